//! The control thread of a real engine: both of its backends, its way out, and descriptors that run out.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what must hold by failing")]

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use keylane_api::control::{PACKET_BYTES_MAX, Reply, Request, decode, encode, socket};
use keylane_api::wire::ABI;
use keylane_api::{ChannelOptions, Status};
use keylane_tests::process::eventually;
use keylane_tests::{Options, Token, engine};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

const PATIENCE: Duration = Duration::from_secs(20);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// Options beside the defaults' from a configuration file of this content.
fn configured(token: &Token, content: &str) -> Options {
    let file = token.directory().join("engine.toml");
    std::fs::write(&file, content).expect("a configuration file");
    Options::with(&["--workers", "1", "--spin-us", "0", "--config", engine::path(&file)])
}

#[test]
fn either_backend_serves_and_ends_well() {
    let mut used = Vec::new();
    for choice in ["epoll", "auto"] {
        let token = Token::new();
        let engine = token.serve_granted(&configured(&token, &format!("control_backend = \"{choice}\"\n")));
        used.push(engine.status()["control_backend"].as_str().expect("a name").to_owned());
        let mut channel = engine.client().channel(ChannelOptions::one_at_a_time()).expect("a channel");
        assert_eq!(channel.ping(b"both", soon()).expect("an echo"), b"both");
        eventually("the audit log is on disk", PATIENCE, || {
            (engine.status()["audit"]["durable_records"].as_u64()? > 0).then_some(())
        });
        engine.terminate();
        assert!(!token.socket().exists() && !token.store().join("admin.sock").exists());
    }
    assert_eq!(used[0], "epoll");
}

/// Descriptors that the engine is left with: more than it opens for itself, fewer than newcomers would take.
const DESCRIPTORS: u64 = 64;

/// What a newcomer hears: the engine's answer to its greeting.
fn greet(path: &std::path::Path) -> (OwnedFd, Option<Reply>) {
    let peer = socket::connect(path).expect("somebody listens");
    let hello = Request::Hello { abi: ABI, program: "test".to_owned() };
    // Refused before it was asked, perhaps.
    let _ = socket::send(&peer, &encode(&hello).expect("a message"), &[]);
    let mut buffer = vec![0; PACKET_BYTES_MAX];
    assert!(socket::wait(&peer, soon()).expect("a socket"), "no answer and no hang-up");
    let answer = socket::receive(&peer, &mut buffer).ok().and_then(|received| decode(received.packet).ok());
    (peer, answer)
}

#[test]
fn descriptors_that_run_out_are_refused_by_name_and_harm_no_running_session() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    let client = engine.client();
    let mut channel = client.channel(ChannelOptions::one_at_a_time()).expect("a channel");
    channel.ping(b"before", soon()).expect("an echo");

    let limit = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    prlimit(Pid::from_raw(engine.process.pid()), Resource::Nofile, limit).expect("a limit");
    let newcomers: Vec<_> = (0..2 * DESCRIPTORS).map(|_| greet(&token.socket())).collect();
    let welcome =
        newcomers.iter().filter(|(_, answer)| matches!(answer, Some(Reply::Welcome { .. }))).count();
    assert!(welcome > 0, "the limit leaves room for some");
    let refused = newcomers.iter().filter(|(_, answer)| {
        matches!(answer, Some(Reply::Refused { status: Status::Busy, detail }) if detail.contains("RLIMIT_NOFILE"))
    });
    assert!(refused.count() > 0, "{:?}", newcomers.iter().map(|(_, answer)| answer).collect::<Vec<_>>());
    channel.ping(b"meanwhile", soon()).expect("an echo");

    drop(newcomers);
    eventually("there is room again", PATIENCE, || {
        matches!(greet(&token.socket()).1, Some(Reply::Welcome { .. })).then_some(())
    });
    channel.ping(b"after", soon()).expect("an echo");
    engine.terminate();
}
