//! No piece of a private key or of the passphrase is outside secret memory: not in the engine's ordinary memory,
//! stacks or registers, not in a client, a file or a log. Needs the right to trace processes.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what must hold by failing")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keylane_api::control::KeySelector;
use keylane_api::{Algorithm, Call, ChannelOptions, Client, Config, Input, Key, Scheme};
use keylane_tests::engine::{SLOT, path};
use keylane_tests::process::{Guarded, eventually};
use keylane_tests::scan::{Pieces, core_of};
use keylane_tests::signing::{tls13, tls13_scheme, transcript};
use keylane_tests::{Options, Token, keys};
use pkcs8::der::{Decode, SecretDocument};
use rustix::process::{Resource, Rlimit, Signal};

/// The private numbers of a PEM key, by name.
fn secrets(algorithm: Algorithm, pem: &str) -> Vec<(String, Vec<u8>)> {
    let (_, document) = SecretDocument::from_pem(pem).expect("PEM");
    let info = pkcs8::PrivateKeyInfoRef::from_der(document.as_bytes()).expect("PKCS#8");
    let inner = info.private_key.as_bytes();
    let name = |part: &str| format!("{part} of {}", algorithm.name());
    match algorithm {
        Algorithm::P256 | Algorithm::P384 => {
            let key = sec1::EcPrivateKey::from_der(inner).expect("SEC1");
            vec![(name("d"), key.private_key.to_vec())]
        }
        // An OCTET STRING in the OCTET STRING (RFC 8410).
        Algorithm::Ed25519 => vec![(name("seed"), inner[2..].to_vec())],
        _ => {
            let key = pkcs1::RsaPrivateKeyRef::from_der(inner).expect("PKCS#1");
            [
                ("d", key.private_exponent),
                ("p", key.prime1),
                ("q", key.prime2),
                ("dp", key.exponent1),
                ("dq", key.exponent2),
                ("qinv", key.coefficient),
            ]
            .map(|(part, number)| (name(part), number.as_bytes().to_vec()))
            .to_vec()
        }
    }
}

fn passphrase() -> String {
    let mut random = [0; 24];
    aws_lc_rs::rand::fill(&mut random).expect("random octets");
    random.iter().map(|octet| char::from(b'a' + octet % 26)).collect()
}

fn sign_with_all(client: &Client) {
    for algorithm in Algorithm::ALL {
        let selector = KeySelector::Label { slot: Some(SLOT.to_owned()), label: algorithm.name().to_owned() };
        let deadline = Instant::now() + Duration::from_secs(20);
        let key = client.key(&selector, deadline).expect("the key is there");
        for count in 0..20 {
            let message = tls13(&transcript(1, count));
            client.sign(&key, tls13_scheme(algorithm), Input::Message(&message), deadline).expect("signs");
        }
        sign_together(client, &key, tls13_scheme(algorithm), deadline);
    }
}

/// Many at once, so that they run as batches.
fn sign_together(client: &Client, key: &Key, scheme: Scheme, deadline: Instant) {
    let mut channel = client.channel(ChannelOptions::default()).expect("a channel");
    let message = tls13(&transcript(2, 2));
    for _ in 0..32 {
        let call = Call::Sign { key, scheme, input: Input::Message(&message) };
        channel.submit(call, deadline).expect("room");
    }
    for _ in 0..32 {
        let outcome = loop {
            match channel.take_next() {
                Some((_, outcome)) => break outcome,
                None => channel.wait(deadline),
            };
        };
        outcome.expect("signs");
    }
}

/// What the child of the test does: signs with every key, then waits to be looked at.
#[test]
fn child_that_signs_and_waits() {
    let Ok(socket) = std::env::var("KEYLANE_TEST_SIGNER") else { return };
    let client = Client::new(Config::for_socket(socket));
    sign_with_all(&client);
    fs::write(std::env::var("KEYLANE_TEST_DONE").expect("a file"), "").expect("writes");
    std::thread::sleep(Duration::from_mins(2));
}

#[test]
fn no_piece_of_a_key_or_passphrase_is_outside_secret_memory() {
    // Made here, or this test's own program would hold it, which the client below runs.
    let passphrase = passphrase();
    let token = Token::with_passphrase(&passphrase);
    let engine = token.serve_granted(&Options::default());
    assert_eq!(engine.status()["secret_memory"]["protection"], "memfd_secret");
    let mut searched = vec![("the passphrase".to_owned(), passphrase.into_bytes())];
    for algorithm in Algorithm::ALL {
        let pem = keys::pem(algorithm.name());
        searched.extend(secrets(algorithm, &pem));
        let file = token.directory().join("key.pem");
        keys::write_secret(&file, &pem);
        engine.keylane(&["key", "import", "--slot", SLOT, "--label", algorithm.name(), path(&file)]);
        fs::remove_file(&file).expect("was there");
    }
    let pieces = Pieces::of(&searched);
    let done = token.directory().join("done");
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "child_that_signs_and_waits"]).stdout(Stdio::null());
    command.env("KEYLANE_TEST_SIGNER", token.socket()).env("KEYLANE_TEST_DONE", &done);
    let client = Guarded::spawn(&mut command);
    eventually("the client has signed", Duration::from_mins(1), || done.exists().then_some(()));
    fs::remove_file(token.passphrase_file()).expect("was there");
    let status = engine.status();
    let by_kernels = status["workers"][0]["by_kernels"].as_u64().expect("a number");
    assert!(status["kernels"] == "scalar" || by_kernels >= 6 * 24, "{by_kernels} signatures in batches");

    let cores = tempfile::tempdir().expect("a temporary directory");
    for (who, pid) in [("the engine", engine.process.pid()), ("the client", client.pid())] {
        let core = fs::read(core_of(pid, cores.path())).expect("reads");
        let found = pieces.find(&core);
        assert!(found.is_empty(), "{who}: {} finds, first {:?}", found.len(), &found[..found.len().min(12)]);
    }
    pieces.absent_below(token.directory());
}

/// What the child of the next test does: keeps one secret on the heap and one on the stack.
#[test]
fn child_that_keeps_secrets_badly() {
    let Ok(done) = std::env::var("KEYLANE_TEST_PLANT") else { return };
    let heap: Vec<u8> = (0..32).map(planted_on_the_heap).collect();
    let mut stack = [0; 32];
    for (index, octet) in (0..).zip(&mut stack) {
        *octet = planted_on_the_stack(index);
    }
    // The compiler must believe that both are needed where they are.
    std::hint::black_box((&heap, &mut stack));
    fs::write(done, "").expect("writes");
    std::thread::sleep(Duration::from_mins(2));
    std::hint::black_box((&heap, &stack));
}

fn planted_on_the_heap(index: u8) -> u8 {
    index.wrapping_mul(181).wrapping_add(59)
}

fn planted_on_the_stack(index: u8) -> u8 {
    index.wrapping_mul(93).wrapping_add(201)
}

#[test]
fn the_search_finds_what_is_planted_on_heap_and_stack() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let done = directory.path().join("done");
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command
        .args(["--exact", "child_that_keeps_secrets_badly"])
        .env("KEYLANE_TEST_PLANT", &done)
        .stdout(Stdio::null());
    let child = Guarded::spawn(&mut command);
    eventually("the secrets are planted", Duration::from_secs(20), || done.exists().then_some(()));
    let core = fs::read(core_of(child.pid(), directory.path())).expect("reads");
    for plant in [planted_on_the_heap, planted_on_the_stack] {
        let pieces = Pieces::of(&[("planted".to_owned(), (0..32).map(plant).collect())]);
        assert!(!pieces.find(&core).is_empty());
    }
}

#[test]
fn an_aborted_engine_leaves_no_core_dump() {
    // The engine inherits what this process may; it must refuse it.
    let limit = rustix::process::getrlimit(Resource::Core);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(Resource::Core, raised).expect("may raise its own limit");
    let token = Token::new();
    let mut engine = token.serve(&Options::default());
    engine.process.signal(Signal::ABORT);
    let status = engine.process.wait(Duration::from_secs(20));
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
    assert!(!status.core_dumped());
}
