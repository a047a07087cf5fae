//! How many refusals of a grant are recorded one by one. The others are counted, and the count is recorded: a client
//! that asks for what it may not have, as fast as it can, must not push everybody's history out of the audit log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::admin::GrantId;
use crate::limits::REFUSAL_RECORDS_MAX;

/// Time over which refusals are counted together.
pub const WINDOW: Duration = Duration::from_secs(1);

struct Window {
    ends: Instant,
    recorded: u32,
    counted: u64,
}

/// Refusals of each grant in the current second.
#[derive(Default)]
pub struct Refusals {
    grants: HashMap<GrantId, Window>,
}

impl Refusals {
    /// Whether a refusal is recorded by itself; if not it is counted.
    pub fn records(&mut self, grant: GrantId, now: Instant) -> bool {
        let fresh = Window { ends: now + WINDOW, recorded: 0, counted: 0 };
        let window = self.grants.entry(grant).or_insert(fresh);
        if now >= window.ends {
            (window.ends, window.recorded) = (now + WINDOW, 0);
        }
        if window.recorded < REFUSAL_RECORDS_MAX {
            window.recorded += 1;
            true
        } else {
            window.counted += 1;
            false
        }
    }

    /// Whether there is nothing to settle.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// Hands the counts of the windows that are over by `now` to `record`, which says whether it had room, and forgets
    /// them.
    pub fn settle(&mut self, now: Instant, mut record: impl FnMut(GrantId, u64) -> bool) {
        self.grants.retain(|&grant, window| {
            now < window.ends || (window.counted > 0 && !record(grant, window.counted))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_recorded_up_to_a_rate_and_counted_beyond() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let recorded = |refusals: &mut Refusals, grant, now| {
            (0..2 * REFUSAL_RECORDS_MAX).filter(|_| refusals.records(GrantId(grant), now)).count()
        };
        let limit = REFUSAL_RECORDS_MAX as usize;
        assert_eq!(recorded(&mut refusals, 1, start), limit);
        assert_eq!(recorded(&mut refusals, 2, start), limit, "one grant does not use up another's");
        refusals.settle(start, |_, _| panic!("the second is not over"));
        assert_eq!(recorded(&mut refusals, 1, start + WINDOW), limit, "again in the next second");

        let later = start + 2 * WINDOW;
        refusals.settle(later, |_, _| false);
        assert!(!refusals.is_empty(), "no room: kept");
        let mut counts = Vec::new();
        refusals.settle(later, |grant, count| {
            counts.push((grant.0, count));
            true
        });
        counts.sort_unstable();
        let more = u64::from(REFUSAL_RECORDS_MAX);
        assert_eq!(counts, [(1, 2 * more), (2, more)]);
        assert!(refusals.is_empty());
    }
}
