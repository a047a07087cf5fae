//! `keylane-perf ring` as its users run it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::process::{Command, Stdio};

use serde_json::Value;

fn ring(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_keylane-perf"))
        .args(["ring", "--rounds", "1"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn json_has_every_way_and_their_ratio() {
    let printed: Value = serde_json::from_str(&ring(&["--json"])).unwrap();
    let figure =
        |path: &str| printed.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path}"));
    for way in ["ring", "ring_parking", "unix_socket", "unix_socket_spinning"] {
        let p50 = figure(&format!("/{way}/round_trip_ns/p50"));
        assert!(p50 > 0.0 && p50 <= figure(&format!("/{way}/round_trip_ns/p99")), "{way}");
        assert!(figure(&format!("/{way}/entries_per_s")) > 0.0);
    }
    let round_trips = figure("/unix_socket/round_trip_ns/p50") / figure("/ring/round_trip_ns/p50");
    assert!((figure("/ratio/round_trip_p50") / round_trips - 1.0).abs() < 1e-6);
    let entries = figure("/ring/entries_per_s") / figure("/unix_socket/entries_per_s");
    assert!((figure("/ratio/entries_per_s") / entries - 1.0).abs() < 1e-6);
    assert!(printed["environment"]["cpu"].is_string());
}

#[test]
fn people_see_a_line_for_each_way() {
    let printed = ring(&[]);
    for expected in ["ring, parking", "Unix socket, spinning", "round trip, times shorter", "pinning:"] {
        assert!(printed.contains(expected), "{expected} in:\n{printed}");
    }
}
