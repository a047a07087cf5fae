//! The demo as its users start it: what it prints, and what it leaves behind.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// The engine, the clients, and a server for each of two keys in each of two places.
const CHILDREN: usize = 6;

fn demo(temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keylane-perf"));
    command.arg("demo").env("TMPDIR", temporary).stdin(Stdio::null());
    command
}

fn report(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr, "", "no progress bar without a terminal");
    // Fails if anything precedes or follows the report.
    serde_json::from_slice(&output.stdout).unwrap()
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

fn check_row(row: &Value) {
    assert!(row["verified"].as_u64().unwrap() > 0, "{row}");
    for figure in ["handshakes_per_s", "p50_us", "p99_us", "p999_us"] {
        assert!(row[figure].as_f64().unwrap() > 0.0, "{figure} in {row}");
    }
    let cpu = &row["cpu_us_per_op"];
    assert!(cpu["server"].as_f64().unwrap() > 0.0 && cpu["client"].as_f64().unwrap() > 0.0, "{row}");
    assert_eq!(row["samples"].as_array().unwrap().len(), 5, "{row}");
    if row["mode"] == "keylane" {
        assert!(cpu["engine"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["mean_fill"].as_f64().unwrap() >= 1.0, "{row}");
        assert!(row["syscalls_per_op"].is_number() && row["context_hit_rate"].is_number(), "{row}");
        let fills = row["fill_histogram"].as_array().unwrap().iter();
        assert!(fills.map(|batches| batches.as_u64().unwrap()).sum::<u64>() > 0, "the engine signed: {row}");
    } else {
        assert!(row["mean_fill"].is_null() && row["fill_histogram"].is_null(), "the engine idled: {row}");
    }
}

#[test]
fn both_ways_to_pass_arguments_give_a_report_and_nothing_else() {
    let temporary = TempDir::new().unwrap();
    for arguments in [&["--json", "--seconds", "1"][..], &["--", "--json", "--seconds", "1"]] {
        let output = demo(temporary.path()).args(arguments).output().unwrap();
        let report = report(&output);
        assert_eq!(report["verb"], "demo");
        assert!(report["environment"]["cpu"].is_string());
        let rows = report["rows"].as_array().unwrap();
        let ways: BTreeSet<_> =
            rows.iter().map(|row| (row["algorithm"].as_str(), row["mode"].as_str())).collect();
        assert_eq!((rows.len(), ways.len()), (4, 4), "{ways:?}");
        rows.iter().for_each(check_row);
        let goals = report["goals"].as_array().unwrap();
        assert!(!goals.is_empty() && goals.iter().all(|goal| goal["held"] == true), "{goals:?}");
        assert!(is_empty(temporary.path()), "the demo left files behind");
    }
}

#[test]
fn a_signal_takes_everything_down() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let temporary = TempDir::new().unwrap();
        let mut running = demo(temporary.path()).stdout(Stdio::null()).spawn().unwrap();
        let children = wait_for_children(&mut running);
        assert!(!is_empty(temporary.path()));
        kill_process(Pid::from_child(&running), signal).unwrap();
        assert_eq!(running.wait().unwrap().code(), Some(status));
        assert!(children.iter().all(|child| !is_alive(*child)), "a process of the demo survived it");
        assert!(is_empty(temporary.path()), "the demo left files behind");
    }
}

#[test]
fn a_signal_while_it_starts_leaves_nothing_either() {
    let temporary = TempDir::new().unwrap();
    for milliseconds in [0, 2, 5, 10, 20, 50, 100, 200] {
        let mut running = demo(temporary.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(milliseconds));
        kill_process(Pid::from_child(&running), Signal::INT).unwrap();
        let status = running.wait().unwrap();
        // Before it took the signal over, Linux ended it by the signal.
        assert!(status.code() == Some(130) || status.signal() == Some(2), "{status}");
        assert!(is_empty(temporary.path()), "files left behind after {milliseconds} ms");
    }
}

#[test]
fn no_child_survives_a_killed_demo() {
    let temporary = TempDir::new().unwrap();
    let mut running = demo(temporary.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let children = wait_for_children(&mut running);
    running.kill().unwrap();
    running.wait().unwrap();
    while children.iter().any(|child| is_alive(*child)) {
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_useless_temporary_directory_is_named() {
    let temporary = TempDir::new().unwrap();
    let absent = temporary.path().join("absent");
    // Too long for a socket's path.
    let deep = temporary.path().join("d".repeat(100));
    fs::create_dir(&deep).unwrap();
    for (directory, expected) in
        [(absent.as_path(), "absent"), (deep.as_path(), "too long for a socket path")]
    {
        let output = demo(directory).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(expected) && message.contains("TMPDIR"), "{message}");
    }
    assert!(is_empty(&deep), "the demo left files behind");
}

/// The children's process ids, when all are there.
fn wait_for_children(running: &mut Child) -> Vec<u32> {
    loop {
        assert_eq!(running.try_wait().unwrap(), None, "the demo ended by itself");
        let children = children_of(running.id());
        if children.len() == CHILDREN {
            return children;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(|pid| stat(*pid).is_some_and(|(_, of)| of == parent)).collect()
}

fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z")
}

/// State and parent of a process (proc_pid_stat(5)).
fn stat(pid: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
