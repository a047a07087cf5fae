//! The table of sessions and channels: who is connected, what each holds, and what is still being given up.
//!
//! A number of a session or channel is not used again while anybody may still mean the former holder by it: until all
//! workers have confirmed that it is gone.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use keylane_shm::Bell;

use super::handles::Handles;
use super::shares::{Party, SessionShares};
use crate::directory::{Peer, Visible};

/// A connection that said who it is.
pub(super) struct Session {
    pub(super) peer: Peer,
    /// Through which socket it came; `None` is the engine's default one.
    pub(super) listener: Option<PathBuf>,
    /// Whose shares it takes from.
    pub(super) party: Party,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) session: u32,
    pub(super) party: Party,
    pub(super) worker: usize,
    pub(super) ring_bytes: u64,
}

/// A session that is gone, but not yet from every worker.
struct Leaving {
    party: Party,
    workers: usize,
    channels: Vec<u32>,
}

/// See the module's description.
#[derive(Default)]
pub(super) struct Sessions {
    open: HashMap<u32, Session>,
    leaving: HashMap<u32, Leaving>,
    channels: HashMap<u32, Home>,
    shares: SessionShares,
    last_session: u32,
    last_channel: u32,
}

impl Sessions {
    /// What each party has of sessions, channels and rings, those included that are being given up.
    pub(super) fn shares(&self) -> &SessionShares {
        &self.shares
    }

    /// Sessions that are open.
    pub(super) fn open_len(&self) -> usize {
        self.open.len()
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
        self.shares.sessions.take(&session.party, 1);
        self.open.insert(self.last_session, session);
        self.last_session
    }

    /// Ends a session; `workers` of them are going to confirm it. `None` if it has ended before.
    pub(super) fn leave(&mut self, number: u32, workers: usize) -> Option<Session> {
        let mut session = self.open.remove(&number)?;
        if workers > 0 {
            let (party, channels) = (session.party.clone(), std::mem::take(&mut session.channels));
            self.leaving.insert(number, Leaving { party, workers, channels });
        } else {
            self.shares.sessions.give_back(&session.party, 1);
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
        if leaving.workers == 0
            && let Some(Leaving { party, .. }) = self.leaving.remove(&number)
        {
            self.shares.sessions.give_back(&party, 1);
        }
        gone.into_iter().filter(|&channel| self.forget(channel).is_some()).count()
    }

    /// Numbers a channel of a session.
    pub(super) fn add_channel(&mut self, home: Home) -> u32 {
        self.last_channel = next_number(self.last_channel, |number| self.channels.contains_key(number));
        self.shares.channels.take(&home.party, 1);
        self.shares.ring_bytes.take(&home.party, home.ring_bytes);
        if let Some(session) = self.open.get_mut(&home.session) {
            session.channels.push(self.last_channel);
            session.ring_bytes += home.ring_bytes;
        }
        self.channels.insert(self.last_channel, home);
        self.last_channel
    }

    /// A session closes one of its channels; returns where it is.
    pub(super) fn close_channel(&mut self, session: u32, channel: u32) -> Option<Home> {
        let session = self.open.get_mut(&session)?;
        let index = session.channels.iter().position(|&open| open == channel)?;
        session.channels.swap_remove(index);
        session.closing += 1;
        self.channels.get(&channel).cloned()
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
        self.shares.channels.give_back(&home.party, 1);
        self.shares.ring_bytes.give_back(&home.party, home.ring_bytes);
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
