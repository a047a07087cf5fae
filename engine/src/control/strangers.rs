//! Connections that have not said who they are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::shares::{Party, Shares};
use crate::limits::{HELLO_MAX, HELLO_MAX_CROWDED, STRANGERS_MAX};

/// Strangers, in the order in which they came.
#[derive(Debug)]
pub(super) struct Strangers {
    waiting: BTreeMap<u64, (Party, Instant)>,
    shares: Shares,
}

impl Default for Strangers {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), shares: Shares::of(STRANGERS_MAX as u64) }
    }
}

impl Strangers {
    pub(super) fn add(&mut self, number: u64, party: Party, now: Instant) {
        self.shares.take(&party, 1);
        self.waiting.insert(number, (party, now));
    }

    pub(super) fn remove(&mut self, number: u64) {
        if let Some((party, _)) = self.waiting.remove(&number) {
            self.shares.give_back(&party, 1);
        }
    }

    /// Whether further ones wait to be accepted.
    pub(super) fn are_too_many(&self) -> bool {
        self.waiting.len() >= STRANGERS_MAX
    }

    /// The oldest of a party that has its share: it makes way for the next, so that a silent crowd keeps nobody out, not
    /// even its own.
    pub(super) fn in_the_way_of(&self, newcomer: &Party) -> Option<u64> {
        self.shares.admit(newcomer, 1).err()?;
        self.waiting.iter().find_map(|(&number, (party, _))| (party == newcomer).then_some(number))
    }

    /// One that has been silent for too long.
    pub(super) fn overdue(&self, now: Instant) -> Option<u64> {
        let (&oldest, _) = self.waiting.first_key_value()?;
        self.next_dismissal().is_some_and(|at| now >= at).then_some(oldest)
    }

    /// When the next one has been silent for too long.
    pub(super) fn next_dismissal(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(_, &(_, since))| since + self.patience())
    }

    fn patience(&self) -> Duration {
        if self.are_too_many() { HELLO_MAX_CROWDED } else { HELLO_MAX }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::Strangers;
    use crate::control::shares::Party;
    use crate::limits::{HELLO_MAX, HELLO_MAX_CROWDED, STRANGERS_MAX};

    #[test]
    fn a_silent_crowd_is_in_nobodys_way_but_its_own() {
        let (crowd, other) = (Party::Uid(1), Party::Uid(2));
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        let numbers = 1..=STRANGERS_MAX as u64;
        for number in numbers {
            if let Some(oldest) = strangers.in_the_way_of(&crowd) {
                strangers.remove(oldest);
            }
            strangers.add(number, crowd.clone(), now);
        }
        assert_eq!(strangers.len(), STRANGERS_MAX / 2);
        assert_eq!(strangers.in_the_way_of(&crowd), Some(STRANGERS_MAX as u64 / 2 + 1));
        assert_eq!(strangers.in_the_way_of(&other), None);
    }

    #[test]
    fn patience_is_short_while_there_are_too_many() {
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        assert_eq!(strangers.next_dismissal(), None);
        for number in 1..STRANGERS_MAX {
            strangers.add(number as u64, Party::Uid(u32::try_from(number).unwrap()), now);
        }
        assert_eq!(strangers.next_dismissal(), Some(now + HELLO_MAX));
        strangers.add(STRANGERS_MAX as u64, Party::Uid(0), now);
        assert_eq!(strangers.next_dismissal(), Some(now + HELLO_MAX_CROWDED));
        assert_eq!(strangers.overdue(now), None);
        assert_eq!(strangers.overdue(now + HELLO_MAX_CROWDED), Some(1));
    }
}
