//! Clients of an engine in good health.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod peer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use keylane_api::{
    Algorithm, Blame, Call, Channel, ChannelOptions, Client, Error, Input, Key, Retry, Scheme, Status,
};

use peer::{Asked, Completion, Peer, far, key, public, selector, signature};

const SCHEME: Scheme = Scheme::EcdsaP256Sha256;

/// An engine, and a client of it.
fn honest() -> (tempfile::TempDir, Peer, Client) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    (directory, Peer::honest(&path), peer::client(&path))
}

fn channel(client: &Client, entries: u32) -> Channel {
    let mut options = ChannelOptions::default();
    options.shape.entries = entries;
    client.channel(options).unwrap()
}

#[test]
fn every_operation_gives_its_result() {
    let (_directory, _peer, client) = honest();
    let mut channel = channel(&client, 8);
    let key = client.key(&selector("a"), far()).unwrap();
    assert_eq!((key.algorithm(), key.public()), (Algorithm::P256, &public("a")[..]));
    for round in 0..100_u32 {
        let message = round.to_le_bytes().repeat(usize::try_from(round % 50).unwrap());
        let made = channel.sign(&key, SCHEME, Input::Message(&message), far()).unwrap();
        assert_eq!(made.raw(), signature("a", &message));
        assert_eq!(channel.ping(&message, far()).unwrap(), message);
    }
    assert_eq!(channel.random(37, far()).unwrap(), [4; 37]);
    assert_eq!(channel.export_public(&key, far()).unwrap(), public("a"));
}

#[test]
fn a_sleeping_worker_is_rung() {
    let (_directory, peer, client) = honest();
    let mut channel = channel(&client, 8);
    // An awake one need not be: sooner or later it sleeps before the next comes.
    while peer.counts().rings.load(Ordering::Relaxed) < 3 {
        assert!(peer.counts().taken.load(Ordering::Relaxed) < 10_000, "never rung");
        channel.ping(b"", far()).unwrap();
    }
}

#[test]
fn entries_carry_what_was_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let (asked, seen) = mpsc::channel();
    let _peer = Peer::start(&path, move |it: Asked| {
        let completion = it.answer();
        asked.send(it).unwrap();
        vec![completion]
    });
    let client = peer::client(&path);
    let deadline = Instant::now() + Duration::from_secs(100);
    client.sign(&key("a"), SCHEME, Input::Digest(&[7; 32]), deadline).unwrap();
    let Asked { header, payload, label, .. } = seen.recv().unwrap();
    assert_eq!((header.operation, header.scheme, header.flags, header.reserved), (2, 0x0403, 1, 0));
    assert_eq!((header.length, payload, label.as_deref()), (32, vec![7; 32], Some("a")));
    assert!((1..=100_000_000).contains(&header.budget_us), "{}", header.budget_us);
    client.sign(&key("a"), SCHEME, Input::Message(b"m"), deadline).unwrap();
    assert_eq!(seen.recv().unwrap().header.flags, 0);
}

#[test]
fn threads_have_a_channel_each_and_one_session() {
    const THREADS: usize = 8;
    let (_directory, peer, client) = honest();
    let shared = key("shared");
    let (of_thread, of_key) = (client.clone(), shared.clone());
    let sign = move |thread: usize| {
        for round in 0..200 {
            let message = (thread * 1_000 + round).to_le_bytes();
            let made = of_thread.sign(&of_key, SCHEME, Input::Message(&message), far()).unwrap();
            assert_eq!(made.raw(), signature("shared", &message));
        }
    };
    // Not scoped: a scope does not wait for what threads drop at their end.
    let threads = (0..THREADS).map(|thread| {
        thread::spawn({
            let sign = sign.clone();
            move || sign(thread)
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
    assert_eq!(peer.counts().sessions.load(Ordering::Relaxed), 1);
    assert_eq!(peer.counts().channels.load(Ordering::Relaxed), THREADS);
    // What ended threads left is given back when the session is used again.
    let again = client.key(&selector("shared"), far()).unwrap();
    assert_eq!(again.public(), shared.public());
    assert_eq!(peer.counts().open_channels.load(Ordering::Relaxed), 0);
    assert_eq!(peer.counts().handles.load(Ordering::Relaxed), 2, "racing threads keep one handle");
}

/// Holds answers back until there are so many, then gives them in reverse order.
fn reversed(many: usize) -> impl FnMut(Asked) -> Vec<Completion> + Send {
    let mut held = Vec::new();
    move |asked| {
        held.insert(0, asked.answer());
        if held.len() < many { Vec::new() } else { std::mem::take(&mut held) }
    }
}

/// An engine that does this, and a channel of it with 8 entries.
fn serving(
    serve: impl FnMut(Asked) -> Vec<Completion> + Send + 'static,
) -> (tempfile::TempDir, Peer, Channel) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let peer = Peer::start(&path, serve);
    let channel = channel(&peer::client(&path), 8);
    (directory, peer, channel)
}

#[test]
fn a_full_channel_refuses_at_once_and_goes_on() {
    let (_directory, _peer, mut channel) = serving(reversed(8));
    for _ in 0..3 {
        for n in 0..7_u8 {
            channel.submit(Call::Ping(&[n]), far()).unwrap();
        }
        let last = channel.submit(Call::Ping(&[7]), far()).unwrap();
        let refused = channel.submit(Call::Ping(&[8]), far()).unwrap_err();
        assert!(matches!(refused, Error::RingFull { entries: 8 }), "{refused}");
        assert_eq!((refused.retry(), refused.blame()), (Retry::Later, Blame::Refusal));
        assert!(channel.wait(far()));
        assert_eq!(channel.take(last).unwrap().unwrap(), [7], "the first to be answered");
        assert_eq!((0..7).filter_map(|_| channel.take_next()).count(), 7);
    }
}

#[test]
fn answers_in_any_order_find_their_tickets() {
    let (_directory, _peer, mut channel) = serving(reversed(5));
    let mut expected = HashMap::new();
    for n in 0..5_u8 {
        let payload = [n; 20];
        expected.insert(channel.submit(Call::Ping(&payload[..usize::from(n)]), far()).unwrap(), n);
    }
    let mut order = Vec::new();
    while !expected.is_empty() {
        assert!(channel.wait(far()));
        let (ticket, outcome) = channel.take_next().unwrap();
        let n = expected.remove(&ticket).unwrap();
        assert_eq!(outcome.unwrap(), vec![n; usize::from(n)]);
        order.push(n);
    }
    assert_eq!(order, [4, 3, 2, 1, 0]);
    assert!(!channel.wait(far()), "nothing is on its way");
}

#[test]
fn a_ticket_is_void_once_its_result_is_taken() {
    let (_directory, _peer, mut channel) = serving(reversed(1));
    let ticket = channel.submit(Call::Ping(b"x"), far()).unwrap();
    assert!(channel.wait(far()));
    assert_eq!(channel.take(ticket).unwrap().unwrap(), b"x");
    let again = channel.submit(Call::Ping(b"y"), far()).unwrap();
    assert_ne!(again, ticket);
    for void in [ticket, ticket] {
        assert!(matches!(channel.take(void), Some(Err(Error::UnknownTicket))));
    }
    assert!(channel.wait(far()));
    assert_eq!(channel.take(again).unwrap().unwrap(), b"y");
}

#[test]
fn an_abandoned_operation_keeps_its_entry_until_it_is_answered() {
    let (_directory, _peer, mut channel) = serving(reversed(8));
    let abandoned: Vec<_> = (0..7).map(|_| channel.submit(Call::Ping(b"no"), far()).unwrap()).collect();
    for ticket in &abandoned {
        channel.abandon(*ticket);
        assert!(matches!(channel.take(*ticket), Some(Err(Error::UnknownTicket))));
    }
    // The eighth releases the others: none of their answers is taken for its own, and all entries are free again.
    assert_eq!(channel.ping(b"yes", far()).unwrap(), b"yes");
    let tickets: Vec<_> = (0..8).map(|_| channel.submit(Call::Ping(b"more"), far()).unwrap()).collect();
    assert!(tickets.iter().all(|ticket| !abandoned.contains(ticket)), "no tag is used twice");
}

#[test]
fn a_deadline_ends_a_call_and_late_answers_are_dropped() {
    let (_directory, _peer, mut channel) = serving(reversed(8));
    for _ in 0..7 {
        let deadline = Instant::now() + Duration::from_millis(200);
        let late = channel.ping(b"late", deadline).unwrap_err();
        assert!(Instant::now() >= deadline);
        assert!(matches!(late, Error::DeadlineExceeded), "{late}");
        assert_eq!((late.retry(), late.blame()), (Retry::Later, Blame::Error));
    }
    assert_eq!(channel.ping(b"in time", far()).unwrap(), b"in time", "with the seven late ones before it");
    assert!(!channel.is_busy());
}

#[test]
fn an_engine_that_never_answers_costs_entries_and_then_refusals() {
    let (_directory, _peer, mut channel) = serving(|_| Vec::new());
    for _ in 0..8 {
        let late = channel.ping(b"", Instant::now() + Duration::from_millis(200)).unwrap_err();
        assert!(matches!(late, Error::DeadlineExceeded), "{late}");
    }
    assert!(matches!(channel.ping(b"", far()), Err(Error::RingFull { .. })));
}

#[test]
fn refusals_keep_their_status() {
    let (_directory, _peer, mut channel) = serving(|asked| vec![asked.refuse(Status::NotTlsServerMessage)]);
    let refused = channel.sign(&key("a"), SCHEME, Input::Message(b"m"), far()).unwrap_err();
    assert!(matches!(refused, Error::Refused { status: Status::NotTlsServerMessage, .. }), "{refused}");
    assert_eq!((refused.retry(), refused.blame()), (Retry::Never, Blame::Refusal));
    let refused = channel.sign(&key("absent"), SCHEME, Input::Message(b"m"), far()).unwrap_err();
    assert!(matches!(refused, Error::Refused { status: Status::NotFound, .. }), "{refused}");
    assert!(refused.to_string().contains("no such key here"), "{refused}");
}

#[test]
fn a_payload_too_long_is_the_callers_fault() {
    let (_directory, peer, mut channel) = serving(reversed(1));
    let refused = channel.ping(&[0; 217], far()).unwrap_err();
    assert!(matches!(refused, Error::PayloadTooLong { bytes: 217, bytes_max: 216 }), "{refused}");
    assert_eq!(channel.ping(&[1; 216], far()).unwrap(), [1; 216]);
    assert_eq!(peer.counts().taken.load(Ordering::Relaxed), 1);
}

#[test]
fn another_key_of_the_same_name_is_found_out() {
    let (_directory, _peer, mut channel) = serving(reversed(1));
    let other = Key::new(selector("a"), public("b")).unwrap();
    let refused = channel.sign(&other, SCHEME, Input::Message(b"m"), far()).unwrap_err();
    assert!(matches!(&refused, Error::KeyMismatch { key } if key == "\"a\""), "{refused}");
}

#[test]
fn a_stale_handle_is_resolved_again_once() {
    let mut refusals = 1;
    let (_directory, peer, mut channel) = serving(move |asked| {
        if refusals == 0 || asked.header.operation != 2 {
            return vec![asked.answer()];
        }
        refusals -= 1;
        vec![asked.refuse(Status::StaleHandle)]
    });
    let key = key("a");
    assert!(channel.sign(&key, SCHEME, Input::Message(b"m"), far()).is_ok());
    assert_eq!(peer.counts().handles.load(Ordering::Relaxed), 1, "the stale one was given back");

    let (_directory, _peer, mut channel) = serving(|asked| vec![asked.refuse(Status::StaleHandle)]);
    let stale = channel.sign(&key, SCHEME, Input::Message(b"m"), far()).unwrap_err();
    assert!(matches!(stale, Error::Refused { status: Status::StaleHandle, .. }), "{stale}");
    assert_eq!(stale.retry(), Retry::Resolve);
}

/// I9. Else every rotation of a key leaks handles, until the engine has none left for the session.
#[test]
fn a_handle_is_not_forgotten_because_its_predecessor_was_stale() {
    let (mut first, mut second) = (None, None);
    let (_directory, peer, mut channel) = serving(move |asked| match () {
        () if asked.header.operation != 2 => vec![asked.answer()],
        () if first.is_none() => {
            first = Some(asked.header.key);
            vec![asked.refuse(Status::StaleHandle)]
        }
        () if first == Some(asked.header.key) => {
            second = Some(asked);
            Vec::new()
        }
        () => [Some(asked.answer()), second.take().map(|late| late.refuse(Status::StaleHandle))]
            .into_iter()
            .flatten()
            .collect(),
    });
    let key = key("a");
    let call = Call::Sign { key: &key, scheme: SCHEME, input: Input::Message(b"m") };
    let tickets = [(); 2].map(|()| channel.submit(call, far()).unwrap());
    for ticket in tickets {
        let made = loop {
            match channel.take(ticket) {
                Some(outcome) => break outcome.unwrap(),
                None => channel.wait(far()),
            };
        };
        assert_eq!(made, signature("a", b"m"));
    }
    assert_eq!(peer.counts().handles.load(Ordering::Relaxed), 1);
}

#[test]
fn keys_give_their_handles_back() {
    let (_directory, peer, client) = honest();
    for _ in 0..10 {
        client.sign(&key("rotated"), SCHEME, Input::Message(b"m"), far()).unwrap();
    }
    client.key(&selector("last"), far()).unwrap();
    assert!(peer.counts().handles.load(Ordering::Relaxed) <= 2);
}

#[test]
fn no_engine_is_said_with_the_remedy() {
    let client = peer::client(Path::new("/nonexistent/keylane.sock"));
    let deadline = Instant::now() + Duration::from_millis(200);
    let signed = client.sign(&key("a"), SCHEME, Input::Message(b"m"), deadline);
    for error in [client.connect().unwrap_err(), signed.unwrap_err()] {
        assert_eq!((error.retry(), error.blame()), (Retry::Later, Blame::Error));
        let message = error.to_string();
        assert!(
            message.contains("/nonexistent/keylane.sock") && message.contains("keylane serve"),
            "{message}"
        );
        assert!(std::error::Error::source(&error).is_some());
    }
    let long = peer::client(Path::new(&format!("/{}", "d".repeat(120))));
    let refused = long.sign(&key("a"), SCHEME, Input::Message(b"m"), far()).unwrap_err();
    assert!(refused.to_string().contains("107"), "{refused}");
    assert_eq!(refused.retry(), Retry::Never, "and at once");
}
