//! How long a thread spins before it sleeps.

use std::time::Duration;

use crate::config::Config;

/// Adapts to how long answers take: spinning pays only for those that come sooner than a sleep and a wake-up cost.
#[derive(Debug)]
pub(super) struct Pace {
    spin_max: Duration,
    busy_poll: bool,
    /// Mean of the last waits, each new one counting for an eighth.
    expected: Duration,
}

impl Pace {
    pub(super) fn new(config: &Config) -> Self {
        Self { spin_max: config.spin, busy_poll: config.busy_poll, expected: Duration::ZERO }
    }

    /// Whether threads never sleep.
    pub(super) fn is_busy_poll(&self) -> bool {
        self.busy_poll
    }

    /// How long to spin for the next answer: twice the expected time, nothing for one that takes longer than the
    /// longest spin anyway.
    pub(super) fn budget(&self) -> Duration {
        match self.expected {
            Duration::ZERO => self.spin_max,
            expected if expected > self.spin_max => Duration::ZERO,
            expected => (2 * expected).min(self.spin_max),
        }
    }

    /// An answer took so long.
    pub(super) fn learn(&mut self, waited: Duration) {
        self.expected = match self.expected {
            Duration::ZERO => waited,
            expected => (7 * expected + waited) / 8,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pace;
    use crate::config::Config;

    const MICROSECOND: Duration = Duration::from_micros(1);

    fn pace_after(waits: &[u32]) -> Pace {
        let mut pace = Pace::new(&Config::for_socket("/nonexistent"));
        for wait in waits {
            pace.learn(*wait * MICROSECOND);
        }
        pace
    }

    #[test]
    fn fast_answers_are_spun_for_and_slow_ones_are_not() {
        assert_eq!(pace_after(&[]).budget(), 50 * MICROSECOND, "nothing is known");
        assert_eq!(pace_after(&[10]).budget(), 20 * MICROSECOND);
        assert_eq!(pace_after(&[40]).budget(), 50 * MICROSECOND, "bounded");
        assert_eq!(pace_after(&[260]).budget(), Duration::ZERO);
    }

    #[test]
    fn it_follows_a_change() {
        let mut waits = vec![260; 4];
        waits.extend([2; 40]);
        let budget = pace_after(&waits).budget();
        assert!(budget > Duration::ZERO && budget < 10 * MICROSECOND, "{budget:?}");
    }
}
