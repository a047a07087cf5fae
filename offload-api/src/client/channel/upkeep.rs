//! What keeps a channel going, whatever becomes of the engine: takes completions in, leaves a link that is of no use any
//! more, opens the next, and sends again what has no answer.

use std::time::{Duration, Instant};

use keylane_shm::Own;

use super::{Channel, ChannelOptions};
use crate::Error;
use crate::client::Obstacle;
use crate::client::events::Events;
use crate::client::home::Patience;
use crate::client::link::Link;
use crate::client::table::{Completed, Table};
use crate::error::ProtocolFault;

/// Longest time between two looks at whether the engine is still there.
pub(super) const SLICE: Duration = Duration::from_millis(50);

impl Channel {
    /// What every call does: see [`Channel::drive`].
    pub(super) fn progress(&mut self, patience: Patience) {
        self.recognise_fork();
        let heard = self.reap();
        let now = Instant::now();
        self.look(now, heard);
        self.expire(now);
        self.send(patience);
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let trouble = &self.trouble;
        self.table.expire(now, || trouble.clone().map_or(Error::DeadlineExceeded, Error::EngineGone));
    }

    /// Takes in all completions; whether there were any.
    fn reap(&mut self) -> bool {
        let Some(link) = live(&mut self.link) else { return false };
        match reap(link, &mut self.table) {
            Ok(heard) => heard,
            Err(fault) => {
                link.session().look();
                // An engine that has hung up takes its rings back: that is no fault of its.
                if link.session().is_alive() {
                    self.give_up(fault);
                } else {
                    self.leave();
                }
                false
            }
        }
    }

    /// Looks now and then whether an engine that says nothing is still there, and leaves the link if somebody found
    /// that it is not. Completions are a sign of life that costs no system call.
    fn look(&mut self, now: Instant, heard: bool) {
        let Some(link) = live(&mut self.link) else { return };
        if heard {
            self.next_look = now + SLICE;
        } else if now >= self.next_look {
            self.next_look = now + SLICE;
            link.session().look();
        }
        if !link.session().is_alive() {
            self.reap();
            self.leave();
        }
    }

    /// Sends what is to be sent, as far as possible now.
    pub(super) fn send(&mut self, patience: Patience) {
        if self.table.next_unsent().is_none() {
            return;
        }
        match self.open_link(patience).and_then(|()| self.push_unsent(patience)) {
            Ok(()) => {}
            Err(Obstacle::Passing(cause)) => self.trouble = cause.or(self.trouble.take()),
            Err(Obstacle::Final(error)) => self.table.fail_all_unsent(&error),
        }
        if let Some(link) = live(&mut self.link) {
            link.publish();
        }
    }

    /// Pushes until the ring is full or nothing is left.
    fn push_unsent(&mut self, patience: Patience) -> Result<(), Obstacle> {
        let Some(link) = live(&mut self.link) else { return Ok(()) };
        let now = Instant::now();
        while !link.draining
            && let Some(sending) = self.table.next_unsent()
        {
            let deadline = sending.deadline.min(patience.answers);
            let handle = match sending.key.map(|key| key.handle(link.session(), deadline)).transpose() {
                Ok(handle) => handle,
                Err(Obstacle::Final(error)) => {
                    self.table.fail_unsent(error);
                    continue;
                }
                Err(passing) => return Err(passing),
            };
            match link.push(sending.entry, handle, sending.deadline.saturating_duration_since(now)) {
                Ok(true) => self.table.mark_sent(),
                Ok(false) => break,
                Err(fault) => {
                    self.give_up(fault);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Makes sure that there is a link.
    fn open_link(&mut self, patience: Patience) -> Result<(), Obstacle> {
        if let Some(link) = live(&mut self.link) {
            let drained = link.draining && self.table.sent() == 0;
            if drained {
                // The next engine is another session.
                link.session().end();
            }
            if link.session().is_alive() {
                return Ok(());
            }
            self.leave();
        }
        let session = self.home.session(patience)?;
        let ChannelOptions { shape, event_driven } = self.options;
        let mut link = Link::open(session, shape, event_driven, patience.answers)?;
        if let (Some(events), Some(wake)) = (&self.events, link.wake()) {
            events.add(wake).map_err(Error::from)?;
            link.announce_sleep().map_err(Error::from)?;
        }
        self.link = Some(Own::new(link));
        self.trouble = None;
        self.next_look = Instant::now() + SLICE;
        Ok(())
    }

    /// Leaves the link; what had no answer is to be sent again on the next.
    fn leave(&mut self) {
        self.close_link();
        self.table.requeue();
    }

    /// Leaves the link because the engine broke protocol on it; what had no answer has failed.
    pub(super) fn give_up(&mut self, fault: ProtocolFault) {
        tracing::warn!(%fault, "the engine broke protocol; the channel is closed");
        self.close_link();
        self.table.fail_all(&fault.into());
    }

    fn close_link(&mut self) {
        if let (Some(events), Some(wake)) = (&self.events, live(&mut self.link).and_then(|link| link.wake()))
        {
            events.remove(wake);
        }
        self.link = None;
    }

    /// A forked child forgets its parent's link, and sends on one of its own what its parent had in flight.
    pub(super) fn recognise_fork(&mut self) {
        let generation = keylane_shm::generation();
        if generation == self.generation {
            return;
        }
        self.generation = generation;
        self.leave();
        if self.options.event_driven {
            // Without descriptors a child cannot be woken, but whatever it calls still makes progress.
            self.events = Events::new().ok().or(self.events.take());
        }
    }
}

/// The link, unless it is the parent's.
pub(super) fn live(link: &mut Option<Own<Link>>) -> Option<&mut Link> {
    link.as_mut()?.get_mut()
}

/// Takes in all completions; whether there were any.
fn reap(link: &mut Link, table: &mut Table) -> Result<bool, ProtocolFault> {
    let mut heard = false;
    while let Some((header, payload)) = link.pop()? {
        heard = true;
        match table.complete(header, payload)? {
            Completed::Nothing => {}
            Completed::Forget(key, handle) => key.forget(link.session(), handle),
            Completed::Leave => link.draining = true,
        }
    }
    link.release();
    Ok(heard)
}
