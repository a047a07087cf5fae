//! Opening and closing channels.

use std::io;
use std::os::fd::OwnedFd;

use keylane_api::Status;
use keylane_api::control::{ChannelShape, Reply};
use keylane_shm::{Bell, ChannelDescriptors, EngineChannel, Geometry};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::desk::{Desk, Outcome, busy, ended, exceeded, no_descriptor, refusal};
use super::sessions::{Home, Session, Sessions};
use crate::limits::{
    ENTRY_BYTES_MAX, RING_ENTRIES_MAX, RING_ENTRIES_MIN, SESSION_CHANNELS_MAX, SESSION_RING_BYTES_MAX,
};
use crate::messages::{ChannelSeat, Refusal, ToWorker};

impl Desk {
    pub(super) fn open_channel(&mut self, session_number: u32, shape: ChannelShape, wake: bool) -> Outcome {
        self.admit_new_work()?;
        let geometry = geometry(shape)?;
        let ring_bytes =
            u64::from(shape.entries) * u64::from(shape.submission_bytes + shape.completion_bytes);
        within_limits(&self.sessions, self.sessions.get(session_number).ok_or_else(ended)?, ring_bytes)?;
        let worker = self.workers.least_busy().ok_or_else(|| busy("the engine has no worker"))?;
        let worker_word = u32::try_from(worker).unwrap_or(u32::MAX);

        let (half, regions) = EngineChannel::create(geometry).map_err(|error| busy(error.to_string()))?;
        // Before the client sees it, so that it never looks at another worker's sleep word.
        half.own(worker_word);
        let wake = wake.then(wake_pair).transpose().map_err(|error| no_descriptor(&error))?;
        let session = self.sessions.get_mut(session_number).ok_or_else(ended)?;
        let bells = bells(session, worker).map_err(|error| no_descriptor(&error))?;

        let party = session.party.clone();
        let home = Home { session: session_number, party, worker, ring_bytes };
        let channel = self.sessions.add_channel(home);
        self.workers.channel_opened(worker);
        let (engine_wake, client_wake) = wake.unzip();
        let seat = ChannelSeat {
            session: session_number,
            channel,
            half,
            entry_bytes: (shape.submission_bytes, shape.completion_bytes),
            bell: bells.for_worker.map(OwnedFd::from),
            wake: engine_wake,
        };
        self.workers.send(worker, ToWorker::Open(Box::new(seat)));
        let ChannelDescriptors { submission, completion } = regions;
        let descriptors = [submission, completion, bells.for_client.into()].into_iter().chain(client_wake);
        Ok((Reply::ChannelOpened { channel, worker: worker_word, shape }, descriptors.collect()))
    }

    pub(super) fn close_channel(&mut self, session: u32, channel: u32) -> Outcome {
        let home = self.sessions.close_channel(session, channel);
        let home =
            home.ok_or_else(|| refusal(Status::NotFound, format!("the session has no channel {channel}")))?;
        self.workers.send(home.worker, ToWorker::Close { channel });
        Ok((Reply::Done, Vec::new()))
    }
}

/// Entries of at most [`ENTRY_BYTES_MAX`] octets, and what a ring can be made of.
fn geometry(shape: ChannelShape) -> Result<Geometry, Refusal> {
    let malformed = |detail: String| refusal(Status::Malformed, detail);
    let ChannelShape { entries, submission_bytes, completion_bytes } = shape;
    if !(RING_ENTRIES_MIN..=RING_ENTRIES_MAX).contains(&entries) {
        return Err(malformed(format!("a ring has {RING_ENTRIES_MIN} to {RING_ENTRIES_MAX} entries")));
    }
    if submission_bytes.max(completion_bytes) > ENTRY_BYTES_MAX {
        return Err(malformed(format!("an entry has at most {ENTRY_BYTES_MAX} octets")));
    }
    Geometry::new(entries, submission_bytes, completion_bytes).map_err(|error| malformed(error.to_string()))
}

fn within_limits(sessions: &Sessions, session: &Session, ring_bytes: u64) -> Result<(), Refusal> {
    if session.channels.len() + session.closing >= SESSION_CHANNELS_MAX {
        return Err(busy(format!("the session has {SESSION_CHANNELS_MAX} channels")));
    }
    if session.ring_bytes + ring_bytes > SESSION_RING_BYTES_MAX {
        let limit = SESSION_RING_BYTES_MAX >> 20;
        return Err(busy(format!(
            "the session's rings would exceed {limit} MiB; open fewer or smaller ones"
        )));
    }
    let (party, shares) = (&session.party, sessions.shares());
    shares.channels.admit(party, 1).map_err(|beyond| exceeded(party, beyond, "channels"))?;
    shares
        .ring_bytes
        .admit(party, ring_bytes)
        .map_err(|beyond| exceeded(party, beyond, "octets of rings"))?;
    Ok(())
}

/// The engine's end, which only it can write to, and the client's, which becomes readable.
fn wake_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

struct Bells {
    /// Only at the session's first channel there; the worker keeps it for the others.
    for_worker: Option<Bell>,
    for_client: Bell,
}

/// The doorbell of a session at a worker, made when the session comes to that worker first.
fn bells(session: &mut Session, worker: usize) -> io::Result<Bells> {
    if let Some(bell) = session.bells.get(&worker) {
        return Ok(Bells { for_worker: None, for_client: bell.try_clone()? });
    }
    let bell = Bell::new()?;
    let bells = Bells { for_worker: Some(bell.try_clone()?), for_client: bell.try_clone()? };
    session.bells.insert(worker, bell);
    Ok(bells)
}
