//! The table of sessions and channels: who is connected, what each holds, and what is still being given up.
//!
//! A number of a session or channel is not used again while anybody may still mean the former holder by it: until all
//! workers have confirmed that it is gone.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use keylane_shm::Bell;

use super::handles::Handles;
use crate::directory::{Peer, Visible};

/// A connection that said who it is.
pub(super) struct Session {
    pub(super) peer: Peer,
    /// Through which socket it came; `None` is the engine's default one.
    pub(super) listener: Option<PathBuf>,
    /// The slots that it sees, each with the grant that shows it.
    pub(super) visible: Visible,
    pub(super) handles: Handles,
    /// Its doorbell at each worker that owns a channel of it.
    pub(super) bells: BTreeMap<usize, Bell>,
    /// Octets of its rings, those included that a worker has not given up yet.
    pub(super) ring_bytes: u64,
    /// Channels that it has not closed.
    pub(super) channels: Vec<u32>,
    /// Channels that it closed and a worker has not given up yet.
    pub(super) closing: usize,
}

/// Where a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) session: u32,
    pub(super) worker: usize,
    pub(super) ring_bytes: u64,
}

/// A session that is gone, but not yet from every worker.
struct Leaving {
    workers: usize,
    channels: Vec<u32>,
}

/// See the module's description.
#[derive(Default)]
pub(super) struct Sessions {
    open: HashMap<u32, Session>,
    leaving: HashMap<u32, Leaving>,
    channels: HashMap<u32, Home>,
    ring_bytes: u64,
    last_session: u32,
    last_channel: u32,
}

impl Sessions {
    /// Sessions that are open or being given up.
    pub(super) fn len(&self) -> usize {
        self.open.len() + self.leaving.len()
    }

    /// Sessions that are open.
    pub(super) fn open_len(&self) -> usize {
        self.open.len()
    }

    /// Channels that are open or being given up.
    pub(super) fn channel_len(&self) -> usize {
        self.channels.len()
    }

    /// Octets of all rings.
    pub(super) fn ring_bytes(&self) -> u64 {
        self.ring_bytes
    }

    pub(super) fn get(&self, number: u32) -> Option<&Session> {
        self.open.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Session> {
        self.open.get_mut(&number)
    }

    /// Every open session.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Session)> {
        self.open.iter_mut().map(|(&number, session)| (number, session))
    }

    /// Opens a session and numbers it.
    pub(super) fn add(&mut self, session: Session) -> u32 {
        let taken = |number: &u32| self.open.contains_key(number) || self.leaving.contains_key(number);
        self.last_session = next_number(self.last_session, taken);
        self.open.insert(self.last_session, session);
        self.last_session
    }

    /// Ends a session; `workers` of them are going to confirm it. `None` if it has ended before.
    pub(super) fn leave(&mut self, number: u32, workers: usize) -> Option<Session> {
        let mut session = self.open.remove(&number)?;
        if workers > 0 {
            let channels = std::mem::take(&mut session.channels);
            self.leaving.insert(number, Leaving { workers, channels });
        }
        Some(session)
    }

    /// A worker confirmed that it gave up a session; returns how many channels it owned of it.
    pub(super) fn left(&mut self, number: u32, worker: usize) -> usize {
        let Some(leaving) = self.leaving.get_mut(&number) else { return 0 };
        let at_worker =
            |channel: &mut u32| self.channels.get(channel).is_some_and(|home| home.worker == worker);
        let gone: Vec<u32> = leaving.channels.extract_if(.., at_worker).collect();
        leaving.workers = leaving.workers.saturating_sub(1);
        if leaving.workers == 0 {
            self.leaving.remove(&number);
        }
        gone.into_iter().filter(|&channel| self.forget(channel).is_some()).count()
    }

    /// Numbers a channel of a session.
    pub(super) fn add_channel(&mut self, home: Home) -> u32 {
        self.last_channel = next_number(self.last_channel, |number| self.channels.contains_key(number));
        self.channels.insert(self.last_channel, home);
        self.ring_bytes += home.ring_bytes;
        if let Some(session) = self.open.get_mut(&home.session) {
            session.channels.push(self.last_channel);
            session.ring_bytes += home.ring_bytes;
        }
        self.last_channel
    }

    /// A session closes one of its channels; returns where it is.
    pub(super) fn close_channel(&mut self, session: u32, channel: u32) -> Option<Home> {
        let session = self.open.get_mut(&session)?;
        let index = session.channels.iter().position(|&open| open == channel)?;
        session.channels.swap_remove(index);
        session.closing += 1;
        self.channels.get(&channel).copied()
    }

    /// A worker confirmed that it gave up a channel; returns where it was.
    pub(super) fn channel_closed(&mut self, channel: u32) -> Option<Home> {
        let home = self.forget(channel)?;
        if let Some(session) = self.open.get_mut(&home.session) {
            session.ring_bytes = session.ring_bytes.saturating_sub(home.ring_bytes);
            session.closing = session.closing.saturating_sub(1);
        }
        Some(home)
    }

    fn forget(&mut self, channel: u32) -> Option<Home> {
        let home = self.channels.remove(&channel)?;
        self.ring_bytes = self.ring_bytes.saturating_sub(home.ring_bytes);
        Some(home)
    }
}

/// The next free number after `last`; never zero, which means none on the wire. Far fewer are taken than there are.
fn next_number(last: u32, taken: impl Fn(&u32) -> bool) -> u32 {
    let mut number = last;
    loop {
        number = number.checked_add(1).unwrap_or(1);
        if !taken(&number) {
            return number;
        }
    }
}
