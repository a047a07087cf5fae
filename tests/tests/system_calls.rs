//! Under load, with both sides spinning, neither makes a system call per operation. Counted by strace, from outside.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what must hold by failing")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keylane_api::control::KeySelector;
use keylane_api::{Call, ChannelOptions, Client, Config, Input, Scheme};
use keylane_tests::engine::{SLOT, path};
use keylane_tests::process::{Guarded, eventually};
use keylane_tests::signing::{tls13, transcript};
use keylane_tests::{Options, Token};
use rustix::process::Signal;

const IN_FLIGHT: usize = 64;
/// How long each side is watched.
const WINDOW: Duration = Duration::from_secs(5);

fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn spinning_client(socket: impl Into<std::path::PathBuf>) -> Client {
    Client::new(Config { busy_poll: true, ..Config::for_socket(socket) })
}

/// Keeps [`IN_FLIGHT`] operations in flight until told to stop, counting what is answered.
fn saturate(client: &Client, sign: bool, stop: &AtomicBool, answered: &AtomicU64) {
    let selector = KeySelector::Label { slot: Some(SLOT.to_owned()), label: "k".to_owned() };
    let key = client.key(&selector, in_seconds(20)).expect("the key is there");
    let mut channel = client.channel(ChannelOptions::default()).expect("a channel");
    let message = tls13(&transcript(0, 0));
    let deadline = in_seconds(120);
    let call = if sign {
        Call::Sign { key: &key, scheme: Scheme::EcdsaP256Sha256, input: Input::Message(&message) }
    } else {
        Call::Ping(&[7; 64])
    };
    let mut in_flight = 0;
    while !stop.load(Ordering::Relaxed) {
        while in_flight < IN_FLIGHT {
            channel.submit(call, deadline).expect("room");
            in_flight += 1;
        }
        channel.wait(deadline);
        while let Some((_, outcome)) = channel.take_next() {
            outcome.expect("the engine is up");
            in_flight -= 1;
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// System calls of a process while `window` passes.
fn system_calls(pid: i32, directory: &Path, window: Duration) -> u64 {
    let summary = directory.join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-o", path(&summary), "-p", &pid.to_string()]).stderr(Stdio::null());
    let mut strace = Guarded::spawn(&mut strace);
    std::thread::sleep(window);
    strace.signal(Signal::INT);
    strace.wait(Duration::from_secs(20));
    let text = std::fs::read_to_string(&summary).unwrap_or_default();
    println!("{text}");
    let total = text.lines().find(|line| line.trim_end().ends_with("total"));
    // Nothing called, nothing summed up.
    total.map_or(0, |line| {
        line.split_whitespace().nth(3).and_then(|calls| calls.parse().ok()).expect("a count")
    })
}

/// What the child of the tests does: saturates the engine and says how far it is.
#[test]
fn child_that_saturates() {
    let Ok(socket) = std::env::var("KEYLANE_TEST_SATURATE") else { return };
    let sign = std::env::var_os("KEYLANE_TEST_SIGN").is_some();
    let file = std::env::var("KEYLANE_TEST_COUNT").expect("a file");
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let client = spinning_client(socket);
    std::thread::scope(|scope| {
        scope.spawn(|| saturate(&client, sign, &stop, &answered));
        eventually("operations are answered", Duration::from_secs(20), || {
            (answered.load(Ordering::Relaxed) > 1000).then_some(())
        });
        std::fs::write(&file, "running").expect("writes");
        // Quiet while it is watched: the parent's window is shorter than this sleep.
        std::thread::sleep(Duration::from_secs(25));
        stop.store(true, Ordering::Relaxed);
    });
}

fn measured(sign: bool) {
    let token = Token::new();
    let engine = token.serve_granted(&Options::with(&["--workers", "1", "--busy-poll"]));
    engine.keylane(&["key", "generate", "--slot", SLOT, "--label", "k", "--algorithm", "p-256"]);
    let count = token.directory().join("count");
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "child_that_saturates"]).stdout(Stdio::null());
    command.env("KEYLANE_TEST_SATURATE", token.socket()).env("KEYLANE_TEST_COUNT", &count);
    if sign {
        command.env("KEYLANE_TEST_SIGN", "1");
    }
    let child = Guarded::spawn(&mut command);
    eventually("the child saturates", Duration::from_secs(30), || count.exists().then_some(()));
    let requests = || engine.status()["workers"][0]["requests"].as_u64().expect("a number");
    for (who, pid) in [("the engine", engine.process.pid()), ("the client", child.pid())] {
        let before = requests();
        let calls = system_calls(pid, token.directory(), WINDOW);
        let operations = requests() - before;
        println!("{who}: {calls} system calls for {operations} operations");
        assert!(operations > 5_000, "the load stopped");
        assert!(calls * 1_000 < operations, "{who}: {calls} system calls for {operations} operations");
    }
}

#[test]
fn signatures_need_no_system_calls() {
    measured(true);
}

#[test]
fn pings_need_no_system_calls() {
    measured(false);
}
