//! Latencies, counted in an HDR histogram: to 0.1 % from a nanosecond to a minute.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

const LONGEST: Duration = Duration::from_mins(1);
const SIGNIFICANT_DIGITS: u8 = 3;

/// A distribution of latencies. Travels between processes as pairs of nanoseconds and count.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    #[expect(clippy::expect_used, reason = "the bounds are constants")]
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, nanoseconds(LONGEST), SIGNIFICANT_DIGITS);
        Self(histogram.expect("the bounds are in order"))
    }
}

impl Latencies {
    /// Counts one; whatever took longer than a minute counts as a minute.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(nanoseconds(latency));
    }

    /// Counts all of `other` too.
    pub fn merge(&mut self, other: &Self) {
        for (nanoseconds, count) in Vec::from(other.clone()) {
            self.0.saturating_record_n(nanoseconds, count);
        }
    }

    /// The latency in µs that `quantile` (0..=1) of all did not exceed; none without any.
    #[expect(clippy::cast_precision_loss, reason = "a minute of nanoseconds stays below 2^52")]
    pub fn quantile_us(&self, quantile: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(quantile) as f64 / 1e3)
    }
}

impl From<Vec<(u64, u64)>> for Latencies {
    fn from(pairs: Vec<(u64, u64)>) -> Self {
        let mut latencies = Self::default();
        for (nanoseconds, count) in pairs {
            latencies.0.saturating_record_n(nanoseconds, count);
        }
        latencies
    }
}

impl From<Latencies> for Vec<(u64, u64)> {
    fn from(latencies: Latencies) -> Self {
        let recorded = latencies.0.iter_recorded();
        recorded.map(|bin| (bin.value_iterated_to(), bin.count_since_last_iteration())).collect()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_survive_the_way_between_processes() {
        let mut latencies = Latencies::default();
        (1..=1_000).for_each(|us| latencies.record(Duration::from_micros(us)));
        let text = serde_json::to_string(&latencies).unwrap();
        let mut merged: Latencies = serde_json::from_str(&text).unwrap();
        assert_eq!(merged.quantile_us(0.99), latencies.quantile_us(0.99));
        (0..1_000).for_each(|_| latencies.record(Duration::from_secs(90)));
        merged.merge(&latencies);
        let median = merged.quantile_us(0.5).unwrap();
        assert!((740.0..760.0).contains(&median), "{median}");
        assert!(merged.quantile_us(1.0).unwrap() >= 60e6);
    }

    #[test]
    fn no_latency_has_no_quantile() {
        assert_eq!(Latencies::default().quantile_us(0.5), None);
    }
}
