//! What several parties have of a thing that there is only so much of: nobody may have more than is left.
//!
//! One party alone can have half, two a third each, and however many there are, as much as each of them has is left for
//! the next. So whoever takes all that it can get keeps nobody out.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::limits::{CHANNELS_MAX, RING_BYTES_MAX, SESSIONS_MAX};

/// Whom a share belongs to. Behind a listener of its own, a container can take any uid, so the listener is the party; on
/// the engine's own socket the uid is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Party {
    Uid(u32),
    Listener(PathBuf),
}

impl Party {
    pub(super) fn new(listener: Option<&Path>, uid: u32) -> Self {
        listener.map_or(Self::Uid(uid), |path| Self::Listener(path.to_owned()))
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "uid {uid}"),
            Self::Listener(path) => write!(f, "listener {}", path.display()),
        }
    }
}

/// A party asks for more than would be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    pub(super) has: u64,
    pub(super) left: u64,
}

/// Who has how much of a thing.
#[derive(Debug)]
pub(super) struct Shares {
    max: u64,
    all: u64,
    held: HashMap<Party, u64>,
}

impl Shares {
    /// Nobody has any of `max`.
    pub(super) fn of(max: u64) -> Self {
        Self { max, all: 0, held: HashMap::new() }
    }

    /// What all of them have.
    #[cfg(test)]
    pub(super) fn all(&self) -> u64 {
        self.all
    }

    /// Whether a party may have `wanted` more.
    ///
    /// # Errors
    /// Not as much would be left as it would have.
    pub(super) fn admit(&self, party: &Party, wanted: u64) -> Result<(), Exceeded> {
        let has = self.held.get(party).copied().unwrap_or(0);
        let left = self.max.saturating_sub(self.all);
        if has.saturating_add(wanted) <= left.saturating_sub(wanted) {
            Ok(())
        } else {
            Err(Exceeded { has, left })
        }
    }

    /// A party has so much more from now on.
    pub(super) fn take(&mut self, party: &Party, amount: u64) {
        self.all += amount;
        match self.held.get_mut(party) {
            Some(held) => *held += amount,
            None => drop(self.held.insert(party.clone(), amount)),
        }
    }

    /// A party has so much less.
    pub(super) fn give_back(&mut self, party: &Party, amount: u64) {
        self.all = self.all.saturating_sub(amount);
        if let Some(held) = self.held.get_mut(party) {
            *held = held.saturating_sub(amount);
            if *held == 0 {
                self.held.remove(party);
            }
        }
    }
}

/// Everything that sessions share.
#[derive(Debug)]
pub(super) struct SessionShares {
    pub(super) sessions: Shares,
    pub(super) channels: Shares,
    pub(super) ring_bytes: Shares,
}

impl Default for SessionShares {
    fn default() -> Self {
        Self {
            sessions: Shares::of(SESSIONS_MAX as u64),
            channels: Shares::of(CHANNELS_MAX as u64),
            ring_bytes: Shares::of(RING_BYTES_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exceeded, Party, Shares};

    /// Takes one at a time, as long as it may.
    fn fill(shares: &mut Shares, party: &Party) -> u64 {
        std::iter::repeat_with(|| shares.admit(party, 1).map(|()| shares.take(party, 1)))
            .take_while(Result::is_ok)
            .count() as u64
    }

    #[test]
    fn whoever_takes_all_that_it_can_get_leaves_as_much() {
        let mut shares = Shares::of(100);
        let [first, second, third] = [1, 2, 3].map(Party::Uid);
        assert_eq!(fill(&mut shares, &first), 50);
        assert_eq!(shares.admit(&first, 1), Err(Exceeded { has: 50, left: 50 }));
        assert_eq!(fill(&mut shares, &second), 25);
        assert_eq!(fill(&mut shares, &third), 12);
        assert_eq!(fill(&mut shares, &Party::Listener("/run/s".into())), 6);
        assert_eq!(shares.all(), 93);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut shares = Shares::of(10);
        let [first, second] = [1, 2].map(Party::Uid);
        shares.take(&first, 5);
        assert!(shares.admit(&second, 3).is_err(), "two would be left");
        shares.give_back(&first, 5);
        assert_eq!((shares.all(), shares.held.len()), (0, 0));
        assert_eq!(shares.admit(&second, 5), Ok(()));
        assert!(shares.admit(&second, u64::MAX).is_err());
    }
}
