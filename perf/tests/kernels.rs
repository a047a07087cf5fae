//! `keylane-perf kernels` as its users run it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const ALGORITHMS: [&str; 8] = [
    "rsa-2048-sign",
    "rsa-3072-sign",
    "rsa-4096-sign",
    "ecdsa-p256-sign",
    "ecdsa-p384-sign",
    "ed25519-sign",
    "x25519-public",
    "x25519-shared",
];
const FIELDS: [&str; 8] = [
    "algorithm",
    "checked",
    "fill",
    "implementation",
    "ops_per_s",
    "ratio_to_awslc",
    "spread",
    "us_per_batch",
];

fn kernels(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keylane-perf"));
    command.arg("kernels").args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = kernels(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn check_row(row: &Value) {
    let fields: BTreeSet<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, FIELDS.into(), "{row}");
    let figure = |name: &str| row[name].as_f64().unwrap();
    let fill = figure("fill");
    assert!((1.0..=128.0).contains(&fill), "{row}");
    assert!(figure("ops_per_s") > 0.0 && figure("ratio_to_awslc") > 0.0 && figure("spread") >= 0.0, "{row}");
    assert!((figure("us_per_batch") * figure("ops_per_s") / 1e6 / fill - 1.0).abs() < 1e-6, "{row}");
    assert!(row["checked"].is_boolean() && row["fill"].is_u64(), "{row}");
    if row["implementation"] == "aws-lc-rs" {
        assert!((figure("ratio_to_awslc") - 1.0).abs() < f64::EPSILON, "{row}");
    }
}

/// What takes turns on the machine that printed this, checked kernels marked.
fn contestants(rows: &[Value], algorithm: &str, fill: u64) -> Vec<(String, bool)> {
    let of = rows.iter().filter(|row| row["algorithm"] == algorithm && row["fill"] == fill);
    of.map(|row| (row["implementation"].as_str().unwrap().to_owned(), row["checked"] == true)).collect()
}

#[test]
fn json_has_every_algorithm_and_implementation() {
    let rows: Vec<Value> = serde_json::from_str(&printed(&["--quick", "--json"])).unwrap();
    rows.iter().for_each(check_row);
    let has_fast_tier = rows.iter().any(|row| row["implementation"] == "avx512ifma");
    for algorithm in ALGORITHMS {
        let mut expected = vec![("aws-lc-rs", false), ("portable", false)];
        if has_fast_tier {
            expected.push(("avx512ifma", false));
            if !algorithm.starts_with("x25519") {
                expected.push(("avx512ifma", true));
            }
        }
        let expected: Vec<_> =
            expected.into_iter().map(|(name, checked)| (name.to_owned(), checked)).collect();
        for fill in [1, 8] {
            assert_eq!(contestants(&rows, algorithm, fill), expected, "{algorithm}, fill {fill}");
        }
    }
}

#[test]
fn people_see_what_they_asked_for() {
    let text = printed(&[
        "--quick",
        "--algorithm",
        "x25519-public",
        "--algorithm",
        "ed25519-sign",
        "--fill",
        "3",
        "--fill",
        "17",
    ]);
    let lines = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    let seen = ["x25519-public", "ed25519-sign", "x25519-shared", "rsa"].map(lines);
    assert_eq!(seen, [2, 2, 0, 0], "{text}");
    for expected in ["Linux", "pinning:", "outputs compared, all right", "leave out"] {
        assert!(text.contains(expected), "{expected} in:\n{text}");
    }
}

#[test]
fn impossible_batches_are_refused() {
    for fill in ["0", "129", "many"] {
        let output = kernels(&["--quick", "--fill", fill]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains("1 to 128 operations"), "{message}");
    }
}
