//! Clients of an engine that ends, restarts, drains or hangs.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod peer;

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use keylane_api::control::socket;
use keylane_api::{Call, ChannelOptions, Error, Input, Retry, Scheme, Status};

use peer::{Asked, Peer, far, key, signature};

const SCHEME: Scheme = Scheme::EcdsaP256Sha256;

/// Says when an entry came, and never answers.
fn silent(took: mpsc::Sender<()>) -> impl FnMut(Asked) -> Vec<peer::Completion> + Send {
    move |_| {
        took.send(()).unwrap();
        Vec::new()
    }
}

#[test]
fn what_was_in_flight_is_answered_by_the_next_engine() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let (took, taken) = mpsc::channel();
    let first = Peer::start(&path, silent(took));
    let client = peer::client(&path);
    // The next engine gives out the same handle numbers, to other keys.
    let (unused, used) = (key("unused"), key("used"));
    let threads: Vec<_> = [&unused, &used]
        .into_iter()
        .map(|key| {
            let (client, key) = (client.clone(), key.clone());
            let signing = thread::spawn(move || client.sign(&key, SCHEME, Input::Message(b"m"), far()));
            taken.recv().unwrap();
            signing
        })
        .collect();
    drop(unused);
    let path = first.kill();
    let second = Peer::honest(&path);
    for (thread, label) in threads.into_iter().zip(["unused", "used"]) {
        assert_eq!(thread.join().unwrap().unwrap().raw(), signature(label, b"m"));
    }
    assert_eq!(
        client.sign(&used, SCHEME, Input::Message(b"n"), far()).unwrap().raw(),
        signature("used", b"n")
    );
    assert_eq!(second.counts().sessions.load(Ordering::Relaxed), 1, "both threads came by one attempt");
}

#[test]
fn every_operation_in_flight_is_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let (took, taken) = mpsc::channel();
    let first = Peer::start(&path, silent(took));
    let mut channel = peer::client(&path).channel(ChannelOptions::default()).unwrap();
    let key = key("a");
    let calls = [
        Call::Ping(b"echo"),
        Call::Random(9),
        Call::ExportPublic(&key),
        Call::Sign { key: &key, scheme: SCHEME, input: Input::Message(b"m") },
    ];
    let tickets = calls.map(|call| channel.submit(call, far()).unwrap());
    let abandoned = channel.submit(Call::Ping(b"abandoned"), far()).unwrap();
    for _ in 0..5 {
        taken.recv().unwrap();
    }
    channel.abandon(abandoned);
    let second = Peer::honest(&first.kill());
    let results = [b"echo".to_vec(), vec![4; 9], peer::public("a"), signature("a", b"m")];
    let mut left = 4;
    while left > 0 {
        assert!(channel.wait(far()));
        let (ticket, outcome) = channel.take_next().unwrap();
        let index = tickets.iter().position(|known| *known == ticket).unwrap();
        assert_eq!(outcome.unwrap(), results[index]);
        left -= 1;
    }
    assert_eq!(second.counts().taken.load(Ordering::Relaxed), 4, "nobody wants the abandoned one");
}

#[test]
fn an_engine_that_stays_away_is_an_error_at_the_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let client = peer::client(&path);
    let peer = Peer::honest(&path);
    client.sign(&key("a"), SCHEME, Input::Message(b"m"), far()).unwrap();
    peer.kill();
    let deadline = Instant::now() + Duration::from_millis(120);
    let gone = client.sign(&key("a"), SCHEME, Input::Message(b"m"), deadline).unwrap_err();
    assert!(Instant::now() >= deadline, "it may have come back until then");
    assert!(matches!(gone, Error::EngineGone(_)), "{gone}");
    assert_eq!(gone.retry(), Retry::Later);
    let _back = Peer::honest(&path);
    client.sign(&key("a"), SCHEME, Input::Message(b"m"), far()).unwrap();
}

#[test]
fn a_draining_engine_is_left_for_its_successor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let (took, taken) = mpsc::channel();
    let draining = Peer::start(&path, move |asked| {
        took.send(()).unwrap();
        vec![asked.refuse(Status::Draining)]
    });
    let client = peer::client(&path);
    let signing = {
        let client = client.clone();
        thread::spawn(move || client.sign(&key("a"), SCHEME, Input::Message(b"m"), far()))
    };
    taken.recv().unwrap();
    let _successor = Peer::honest(&draining.kill());
    assert_eq!(signing.join().unwrap().unwrap().raw(), signature("a", b"m"));
}

#[test]
fn a_killed_engine_loses_and_crosses_nothing_under_load() {
    const RESTARTS: usize = 10;
    const THREADS: usize = 4;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let client = peer::client(&path);
    let (over, signed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (client, over, signed) = (client.clone(), over.clone(), signed.clone());
            thread::spawn(move || {
                let label = format!("key-{thread}");
                let key = key(&label);
                while !over.load(Ordering::Relaxed) {
                    let message = signed.fetch_add(1, Ordering::Relaxed).to_le_bytes();
                    let made = client.sign(&key, SCHEME, Input::Message(&message), far()).unwrap();
                    assert_eq!(made.raw(), signature(&label, &message));
                }
            })
        })
        .collect();
    for restart in 0..RESTARTS {
        let peer = Peer::honest(&path);
        // Killed at another moment of the load each time.
        while peer.counts().taken.load(Ordering::Relaxed) < 50 + 7 * restart {
            thread::yield_now();
        }
        peer.kill();
    }
    let _last = Peer::honest(&path);
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Remembers that it was woken.
#[derive(Default)]
struct Flag(Mutex<usize>);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() += 1;
    }
}

#[test]
fn an_event_loop_is_told_of_completions_ends_and_returns() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let (took, taken) = mpsc::channel();
    let first = Peer::start(&path, silent(took));
    let options = ChannelOptions { event_driven: true, ..ChannelOptions::default() };
    let mut channel = peer::client(&path).channel(options).unwrap();
    let key = key("a");
    let call = Call::Sign { key: &key, scheme: SCHEME, input: Input::Message(b"m") };
    let ticket = channel.submit(call, far()).unwrap();
    taken.recv().unwrap();
    let flag = Arc::new(Flag::default());
    let waker = Waker::from(flag.clone());
    let descriptor = channel.descriptor().unwrap().try_clone_to_owned().unwrap();
    let mut engine = Some(first);
    let mut second = None;
    let made = loop {
        if let Poll::Ready(made) = channel.poll(ticket, &waker) {
            break made.unwrap();
        }
        if let Some(first) = engine.take() {
            second = Some(Peer::honest(&first.kill()));
        }
        assert!(socket::wait(descriptor.as_fd(), far()).unwrap());
        channel.turn();
    };
    assert_eq!((made, *flag.0.lock().unwrap()), (signature("a", b"m"), 1));
    // In good health: every answer wakes the loop, and the loop comes to rest.
    for round in 0..200_u32 {
        let payload = round.to_le_bytes();
        let ticket = channel.submit(Call::Ping(&payload), far()).unwrap();
        while channel.poll(ticket, &waker).is_pending() {
            assert!(socket::wait(descriptor.as_fd(), far()).unwrap());
            channel.turn();
        }
    }
    drop(second);
}

#[test]
fn an_event_loop_is_told_of_deadlines() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _peer = Peer::start(&path, |_| Vec::new());
    let options = ChannelOptions { event_driven: true, ..ChannelOptions::default() };
    let mut channel = peer::client(&path).channel(options).unwrap();
    channel.submit(Call::Ping(b"slow"), far()).unwrap();
    let ticket = channel.submit(Call::Ping(b"fast"), Instant::now() + Duration::from_millis(3)).unwrap();
    let descriptor = channel.descriptor().unwrap().try_clone_to_owned().unwrap();
    let late = loop {
        if let Poll::Ready(late) = channel.poll(ticket, Waker::noop()) {
            break late.unwrap_err();
        }
        assert!(socket::wait(descriptor.as_fd(), far()).unwrap());
        channel.turn();
    };
    assert!(matches!(late, Error::DeadlineExceeded), "{late}");
}

#[test]
fn a_thread_may_wait_for_an_event_driven_channel_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _peer = Peer::honest(&path);
    let options = ChannelOptions { event_driven: true, ..ChannelOptions::default() };
    let mut channel = peer::client(&path).channel(options).unwrap();
    for round in 0..100_u32 {
        assert_eq!(channel.ping(&round.to_le_bytes(), far()).unwrap(), round.to_le_bytes());
    }
}
