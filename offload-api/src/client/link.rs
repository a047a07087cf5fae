//! A channel of one session: its rings, its doorbell, and where it wakes an event loop.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytemuck::{cast_slice, cast_slice_mut, from_bytes_mut, pod_read_unaligned};
use keylane_shm::{Bell, ChannelDescriptors, ClientChannel, Geometry, RingFault};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::Obstacle;
use super::session::{Session, exactly};
use crate::control::{ChannelShape, Reply, Request, socket};
use crate::error::ProtocolFault;
use crate::wire::{
    COMPLETION_HEADER_BYTES, CompletionHeader, KeyHandle, SUBMISSION_HEADER_BYTES, SubmissionHeader,
};

/// Words of a completion's header.
const HEADER_WORDS: usize = COMPLETION_HEADER_BYTES / size_of::<u64>();

/// Wake-ups taken at once.
const WAKES_MAX: usize = 16;

/// An open channel. Closed when it is dropped.
#[derive(Debug)]
pub(super) struct Link {
    session: Arc<Session>,
    channel: u32,
    rings: ClientChannel,
    bell: Bell,
    wake: Option<OwnedFd>,
    /// A completion's payload, copied out of shared memory.
    payload: Box<[u64]>,
    /// The engine takes nothing new.
    pub(super) draining: bool,
}

impl Link {
    /// Opens a channel that is at least of this shape.
    pub(super) fn open(
        session: Arc<Session>,
        shape: ChannelShape,
        wake_descriptor: bool,
        deadline: Instant,
    ) -> Result<Self, Obstacle> {
        let (reply, descriptors) = session.ask(&Request::OpenChannel { shape, wake_descriptor }, deadline)?;
        let opened = match reply {
            Reply::ChannelOpened { channel, shape: granted, .. } if holds(granted, shape) => {
                map(granted, descriptors, wake_descriptor).map(|parts| (channel, granted, parts))
            }
            Reply::ChannelOpened { .. } => Err(ProtocolFault::Shape),
            Reply::Refused { status, detail } => return Err(session.refused(status, detail)),
            _ => Err(ProtocolFault::UnexpectedReply),
        };
        let (channel, granted, (rings, bell, wake)) =
            opened.map_err(|fault| session.broke_protocol(fault))?;
        let payload_words = granted.completion_bytes as usize / size_of::<u64>() - HEADER_WORDS;
        let payload = vec![0; payload_words].into();
        Ok(Self { session, channel, rings, bell, wake, payload, draining: false })
    }

    /// The session that it is a channel of.
    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// What becomes readable when there are completions, if it was opened so.
    pub(super) fn wake(&self) -> Option<&OwnedFd> {
        self.wake.as_ref()
    }

    /// Stages an entry, under this handle and budget; `false` when the ring is full.
    pub(super) fn push(
        &mut self,
        entry: &mut [u64],
        key: Option<KeyHandle>,
        budget: Duration,
    ) -> Result<bool, ProtocolFault> {
        let (header, _) = cast_slice_mut::<u64, u8>(entry).split_at_mut(SUBMISSION_HEADER_BYTES);
        let header: &mut SubmissionHeader = from_bytes_mut(header);
        header.key = key.unwrap_or_default();
        // Zero would be no limit.
        header.budget_us = u32::try_from(budget.as_micros()).unwrap_or(u32::MAX).max(1);
        Ok(self.rings.submissions().push(entry)?)
    }

    /// Lets the engine see what was staged, and rings if its worker sleeps.
    pub(super) fn publish(&mut self) {
        self.rings.submissions().publish();
        if self.rings.owner_sleeps(self.session.flags()) {
            // A bell that cannot be rung is an engine that looks again by itself, or one that is gone, which the next
            // look at the session finds.
            let _ = self.bell.ring();
        }
    }

    /// The next completion, and its payload up to what an entry holds.
    pub(super) fn pop(&mut self) -> Result<Option<(CompletionHeader, &[u8])>, ProtocolFault> {
        let Some(mut front) = self.rings.completions().front()? else { return Ok(None) };
        let mut words = [0; HEADER_WORDS];
        front.read(0, &mut words);
        let header: CompletionHeader = pod_read_unaligned(cast_slice(&words));
        let length = header.length as usize;
        let payload = self.payload.get_mut(..length.div_ceil(size_of::<u64>()));
        let payload = payload.ok_or(ProtocolFault::Length(header.length))?;
        front.read(HEADER_WORDS, payload);
        front.consume();
        Ok(Some((header, &cast_slice::<u64, u8>(payload)[..length])))
    }

    /// Gives popped entries back to the engine.
    pub(super) fn release(&mut self) {
        self.rings.completions().release();
    }

    /// Whether there are completions.
    pub(super) fn has_completions(&mut self) -> Result<bool, RingFault> {
        Ok(self.rings.completions().available()? > 0)
    }

    /// Asks to be woken through the wake descriptor by the next completion; `false` when there is one already.
    pub(super) fn announce_sleep(&mut self) -> Result<bool, ProtocolFault> {
        self.rings.announce_sleep();
        Ok(!self.has_completions()?)
    }

    /// Takes the engine's wake-ups back, so that the wake descriptor is quiet until the next.
    pub(super) fn take_wakes(&self) {
        if self.wake.as_ref().is_some_and(|wake| !take_wakes(wake)) {
            self.session.end();
        }
    }

    /// Sleeps until there are completions, at most until `deadline`.
    pub(super) fn sleep(&mut self, deadline: Instant) -> Result<(), ProtocolFault> {
        if self.wake.is_none() {
            self.rings.sleep(deadline.saturating_duration_since(Instant::now()))?;
        } else if self.announce_sleep()?
            && let Some(wake) = &self.wake
        {
            // A wait that fails is one that ends early.
            let _ = socket::wait(wake, deadline);
            self.take_wakes();
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.session.post(Request::CloseChannel { channel: self.channel });
    }
}

/// Takes the engine's wake-ups; `false` when it hung up. One comes for each sleep; more are a peer's mischief, and stay
/// for the next call.
fn take_wakes(wake: &OwnedFd) -> bool {
    for _ in 0..WAKES_MAX {
        match recv(wake, &mut [0; 64], RecvFlags::DONTWAIT) {
            Ok((0, _)) => return false,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return error == Errno::AGAIN,
        }
    }
    true
}

type Parts = (ClientChannel, Bell, Option<OwnedFd>);

fn map(
    shape: ChannelShape,
    descriptors: Vec<OwnedFd>,
    wake_descriptor: bool,
) -> Result<Parts, ProtocolFault> {
    let (submission, completion, bell, wake) = if wake_descriptor {
        let [submission, completion, bell, wake] = exactly(descriptors)?;
        (submission, completion, bell, Some(wake))
    } else {
        let [submission, completion, bell] = exactly(descriptors)?;
        (submission, completion, bell, None)
    };
    let rings = ClientChannel::map(geometry(shape)?, ChannelDescriptors { submission, completion })?;
    Ok((rings, Bell::from_fd(bell), wake))
}

fn geometry(shape: ChannelShape) -> Result<Geometry, ProtocolFault> {
    let ChannelShape { entries, submission_bytes, completion_bytes } = shape;
    Geometry::new(entries, submission_bytes, completion_bytes).map_err(|_| ProtocolFault::Shape)
}

/// Whether whatever fits a channel of `asked` fits one of `granted`. Fewer entries only make senders wait.
fn holds(granted: ChannelShape, asked: ChannelShape) -> bool {
    granted.submission_bytes >= asked.submission_bytes && granted.completion_bytes >= asked.completion_bytes
}
