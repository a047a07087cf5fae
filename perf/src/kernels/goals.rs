//! What the kernels are to reach.

use super::rows::Row;
use crate::report::Goal;

/// Times aws-lc-rs's speed that AVX-512 should reach: algorithm, fill, bare, and with nonces, blinding and check.
const SPEEDS: [(&str, usize, f64, f64); 8] = [
    ("ecdsa-p256-sign", 64, 10.5, 8.0),
    ("ecdsa-p256-sign", 16, 7.0, 5.0),
    ("ecdsa-p256-sign", 8, 5.0, 3.5),
    ("ecdsa-p384-sign", 64, 9.0, 6.5),
    ("rsa-2048-sign", 8, 4.0, 3.7),
    ("rsa-3072-sign", 8, 3.1, 2.9),
    ("rsa-4096-sign", 8, 2.8, 2.6),
    ("ed25519-sign", 64, 4.0, 3.0),
];
/// Half as many operations should take about half the time, because each is two lanes: algorithm, both fills, ratio.
const LATENCY: (&str, [usize; 2], f64) = ("rsa-2048-sign", [4, 8], 0.55);

/// The goals of what was measured.
pub fn of(rows: &[Row]) -> Vec<Goal> {
    let find = |algorithm: &str, fill, checked| {
        rows.iter().find(|row| {
            row.implementation == "avx512ifma"
                && (row.algorithm, row.fill, row.checked) == (algorithm, fill, checked)
        })
    };
    let bounds = SPEEDS.into_iter().flat_map(|(algorithm, fill, bare, checked)| {
        [(algorithm, fill, false, bare), (algorithm, fill, true, checked)]
    });
    let speeds = bounds.filter_map(|(algorithm, fill, checked, bound)| {
        let got = find(algorithm, fill, checked)?.ratio_to_awslc;
        let how = if checked { "checked" } else { "bare" };
        Some(Goal::at_least(format!("{algorithm}, fill {fill}, {how}, times aws-lc-rs"), rounded(got), bound))
    });
    let (algorithm, fills, bound) = LATENCY;
    let [half, whole] = fills.map(|fill| find(algorithm, fill, false));
    let latency = half.zip(whole).map(|(half, whole)| {
        let name = format!("{algorithm}, bare, time of {} over time of {}", half.fill, whole.fill);
        Goal::at_most(name, rounded(half.us_per_batch / whole.us_per_batch), bound)
    });
    speeds.chain(latency).collect()
}

/// As it is printed, so that what is printed decides.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fill: usize, checked: bool, us_per_batch: f64, ratio_to_awslc: f64) -> Row {
        let (algorithm, implementation) = ("rsa-2048-sign", "avx512ifma");
        Row {
            algorithm,
            implementation,
            checked,
            fill,
            ops_per_s: 1.0,
            us_per_batch,
            ratio_to_awslc,
            spread: 0.0,
        }
    }

    #[test]
    fn goals_are_of_what_was_measured() {
        let rows = [row(8, false, 100.0, 4.0), row(8, true, 110.0, 3.6), row(4, false, 56.0, 3.0)];
        let goals: Vec<String> = of(&rows).iter().map(ToString::to_string).collect();
        let expected = [
            "Goal held: rsa-2048-sign, fill 8, bare, times aws-lc-rs 4 >= 4",
            "Goal missed: rsa-2048-sign, fill 8, checked, times aws-lc-rs 3.6 >= 3.7",
            "Goal missed: rsa-2048-sign, bare, time of 4 over time of 8 0.56 <= 0.55",
        ];
        assert_eq!(goals, expected);
    }
}
