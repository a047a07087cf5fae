//! Sudden death: of the engine under load, of its clients, and of the engine in the middle of a commit.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what must hold by failing")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keylane_api::control::KeySelector;
use keylane_api::{Call, ChannelOptions, Client, Error, Input, Key, Retry, Scheme};
use keylane_tests::engine::SLOT;
use keylane_tests::process::{Guarded, eventually};
use keylane_tests::signing::{tls13, transcript, verifies};
use keylane_tests::{Options, Token, engine, keys};
use rustix::process::Signal;

const SCHEME: Scheme = Scheme::EcdsaP256Sha256;

fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn web_key(client: &Client, label: &str) -> Key {
    let selector = KeySelector::Label { slot: Some(SLOT.to_owned()), label: label.to_owned() };
    client.key(&selector, in_seconds(20)).expect("the key is there")
}

#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    refused: AtomicU64,
}

/// Keeps 32 signatures in flight until told to stop; each is verified or has a typed, retryable error in time.
fn load(client: &Client, key: &Key, who: u64, stop: &AtomicBool, tally: &Tally) {
    let mut channel = client.channel(ChannelOptions::default()).expect("a channel");
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let deadline = in_seconds(20);
        let messages: Vec<_> = (0..32).map(|number| tls13(&transcript(who, count + number))).collect();
        let submit = |message: &Vec<u8>| {
            let call = Call::Sign { key, scheme: SCHEME, input: Input::Message(message) };
            channel.submit(call, deadline).expect("room")
        };
        let tickets: Vec<_> = messages.iter().map(submit).collect();
        for (ticket, message) in tickets.into_iter().zip(&messages) {
            let outcome = loop {
                if let Some(outcome) = channel.take(ticket) {
                    break outcome;
                }
                assert!(
                    Instant::now() < deadline + Duration::from_secs(2),
                    "no answer and no error by the deadline"
                );
                channel.wait(in_seconds(1));
            };
            match outcome {
                Ok(raw) => {
                    assert!(verifies(key.public(), SCHEME, message, &raw), "a crossed or wrong answer");
                    tally.answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    assert_eq!(error.retry(), Retry::Later, "{error}");
                    tally.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        count += 32;
    }
}

#[test]
fn pending_signatures_survive_the_death_of_the_engine() {
    let token = Token::new();
    let mut engine = token.serve_granted(&Options::default());
    engine.keylane(&["key", "generate", "--slot", SLOT, "--label", "k", "--algorithm", "p-256"]);
    let client = engine.client();
    let key = web_key(&client, "k");
    let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let threads: Vec<_> = (0..4)
        .map(|who| {
            let (client, key, stop, tally) =
                (client.clone(), key.clone(), Arc::clone(&stop), Arc::clone(&tally));
            std::thread::spawn(move || load(&client, &key, who, &stop, &tally))
        })
        .collect();
    for round in 0..3 {
        let before = tally.answered.load(Ordering::Relaxed);
        eventually("the load runs", Duration::from_secs(20), || {
            (tally.answered.load(Ordering::Relaxed) > before + 200).then_some(())
        });
        engine.kill();
        std::thread::sleep(Duration::from_millis(100 * round));
        engine = token.serve(&Options::default());
    }
    let before = tally.answered.load(Ordering::Relaxed);
    eventually("signatures go on after the last restart", Duration::from_secs(20), || {
        (tally.answered.load(Ordering::Relaxed) > before + 500).then_some(())
    });
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("no thread panicked");
    }
    assert_eq!(tally.refused.load(Ordering::Relaxed), 0, "the engine was back long before the deadlines");
    engine.terminate();
}

#[test]
fn without_an_engine_the_error_is_typed_and_comes_by_the_deadline() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    engine.keylane(&["key", "generate", "--slot", SLOT, "--label", "k", "--algorithm", "p-256"]);
    let client = engine.client();
    let key = web_key(&client, "k");
    engine.kill();
    let message = tls13(&transcript(0, 0));
    let started = Instant::now();
    let error = client
        .sign(&key, SCHEME, Input::Message(&message), started + Duration::from_secs(1))
        .expect_err("nobody can sign");
    assert!(matches!(error, Error::EngineGone(_) | Error::DeadlineExceeded), "{error}");
    assert_eq!(error.retry(), Retry::Later);
    assert!(started.elapsed() < Duration::from_secs(10), "long past the deadline");
}

/// What the child of the next test does: signs until it is killed.
#[test]
fn child_that_signs_until_killed() {
    let Ok(socket) = std::env::var("KEYLANE_TEST_CHILD") else { return };
    let client = Client::new(keylane_api::Config::for_socket(socket));
    let key = web_key(&client, "k");
    let (stop, tally) = (AtomicBool::new(false), Tally::default());
    load(&client, &key, 9, &stop, &tally);
}

#[test]
fn a_killed_client_is_reclaimed_and_its_neighbour_hears_nothing_of_it() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    engine.keylane(&["key", "generate", "--slot", SLOT, "--label", "k", "--algorithm", "p-256"]);
    let client = engine.client();
    let key = web_key(&client, "k");
    let message = tls13(&transcript(1, 1));
    let sign = || client.sign(&key, SCHEME, Input::Message(&message), in_seconds(20)).expect("signs");
    sign();
    let sessions = |engine: &engine::Engine<'_>| engine.status()["sessions"].as_u64().expect("a number");
    for _ in 0..5 {
        let mut command = std::process::Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", "child_that_signs_until_killed"]).env("KEYLANE_TEST_CHILD", token.socket());
        command.stdout(std::process::Stdio::null());
        let child = Guarded::spawn(&mut command);
        eventually("the child has a session", Duration::from_secs(20), || {
            (sessions(&engine) == 2).then_some(())
        });
        sign();
        child.signal(Signal::KILL);
        drop(child);
        eventually("its session is reclaimed", Duration::from_secs(20), || {
            (sessions(&engine) == 1).then_some(())
        });
        sign();
    }
    assert_eq!(engine.status()["quarantined"], 0);
}

#[test]
fn committed_keys_survive_a_death_in_the_middle_of_an_import() {
    let rounds = if std::env::var_os("KEYLANE_TEST_FULL").is_some() { 200 } else { 20 };
    let token = Token::new();
    let file = token.directory().join("key.pem");
    keys::write_secret(&file, &keys::pem("p-256"));
    let mut engine = token.serve_granted(&Options::default());
    let mut committed: Vec<String> = Vec::new();
    // A multiplicative generator: every run tries the same moments, spread over an import's few milliseconds.
    let mut moment: u64 = 1;
    for round in 0..rounds {
        moment = moment * 48_271 % 2_147_483_647;
        let labels: Vec<_> = (0..4).map(|number| format!("k{round}-{number}")).collect();
        let mut imports: Vec<_> = labels
            .iter()
            .map(|label| {
                let import = ["key", "import", "--slot", SLOT, "--label", label, engine::path(&file)];
                let mut command = token.keylane(&import);
                command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
                Guarded::spawn(&mut command)
            })
            .collect();
        std::thread::sleep(Duration::from_micros(moment % 25_000));
        engine.kill();
        for (label, import) in labels.into_iter().zip(&mut imports) {
            if import.wait(Duration::from_secs(20)).success() {
                committed.push(label);
            }
        }
        engine = token.serve(&Options::default());
        let listed = String::from_utf8(engine.keylane(&["key", "list", "--json"]).stdout).expect("UTF-8");
        for label in &committed {
            assert!(listed.contains(&format!("\"{label}\"")), "{label} was committed and is gone");
        }
    }
    assert!(!committed.is_empty(), "no import ever succeeded: the moments are too early");
    let client = engine.client();
    let key = web_key(&client, committed.last().expect("some"));
    let message = tls13(&transcript(2, 2));
    let signature = client.sign(&key, SCHEME, Input::Message(&message), in_seconds(20)).expect("signs");
    assert!(verifies(key.public(), SCHEME, &message, signature.raw()));
}
