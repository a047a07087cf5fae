//! A row of the report: one implementation of one algorithm at one fill.

use serde::Serialize;

use super::cell::Samples;
use crate::figures::{float, median};

/// As programs read it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was computed.
    pub algorithm: &'static str,
    /// By whom: `aws-lc-rs`, `portable` or `avx512ifma`.
    pub implementation: &'static str,
    /// Whether with nonces, blinding and check.
    pub checked: bool,
    /// Operations of a batch; aws-lc-rs computes them one after the other.
    pub fill: usize,
    /// Operations per second of processor time.
    pub ops_per_s: f64,
    /// Processor time of a batch.
    pub us_per_batch: f64,
    /// Times aws-lc-rs's speed: the median of what each turn says.
    pub ratio_to_awslc: f64,
    /// (p90 − p10)/median of the slices' times.
    pub spread: f64,
}

impl Row {
    /// The medians of all slices.
    pub fn new(algorithm: &'static str, fill: usize, samples: &Samples) -> Self {
        let us = median(samples.us_per_operation.clone()).unwrap_or(f64::NAN);
        Self {
            algorithm,
            implementation: samples.implementation,
            checked: samples.checked,
            fill,
            ops_per_s: 1e6 / us,
            us_per_batch: us * float(fill as u64),
            ratio_to_awslc: median(samples.ratios.clone()).unwrap_or(f64::NAN),
            spread: spread(samples.us_per_operation.clone()),
        }
    }
}

/// (p90 − p10)/median.
fn spread(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    // The nearest rank.
    let at = |tenths: usize| {
        let rank = (values.len().saturating_sub(1) * tenths + 5) / 10;
        values.get(rank).copied().unwrap_or(f64::NAN)
    };
    let (low, high) = (at(1), at(9));
    median(values).map_or(f64::NAN, |median| (high - low) / median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_leaves_the_extremes_out() {
        let mut values: Vec<f64> = (90..=110).map(f64::from).collect();
        values[0] = 1.0;
        values[20] = 9_000.0;
        assert!((spread(values) - 0.16).abs() < 1e-9);
        assert!(spread(vec![5.0]).abs() < 1e-9);
    }

    #[test]
    fn a_row_has_medians() {
        let samples = Samples {
            implementation: "avx512ifma",
            checked: true,
            us_per_operation: vec![2.0, 900.0, 1.0],
            ratios: vec![4.0, 0.1, 5.0],
            compared: 3,
        };
        let row = Row::new("ed25519-sign", 64, &samples);
        let expected = serde_json::json!({
            "algorithm": "ed25519-sign", "implementation": "avx512ifma", "checked": true, "fill": 64,
            "ops_per_s": 500_000.0, "us_per_batch": 128.0, "ratio_to_awslc": 4.0, "spread": 449.5,
        });
        assert_eq!(serde_json::to_value(&row).unwrap(), expected);
    }
}
