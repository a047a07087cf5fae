//! Every interleaving of two or three threads on a small channel. Run by
//! `RUSTFLAGS="--cfg loom" cargo test -p keylane-shm --test loom --target-dir target/loom`.
//!
//! Loom reports a lost wake-up as a deadlock and unordered accesses to one entry as a race. Weakening any label of
//! `docs/MEMORY_ORDERING.md` makes one of these models fail.

#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;
use std::time::Duration;

use keylane_shm::{ClientChannel, ClientFlags, Consumer, EngineChannel, EngineFlags, Producer, Woken, model};
use loom::sync::{Condvar, Mutex};
use loom::thread;

/// Threads switched against their will in one interleaving; loom's authors find nearly every fault with two or three.
const PREEMPTIONS: usize = 3;

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
}

/// An eventfd in a worker's edge-triggered set: an edge is kept until the worker parks.
struct Edge(Mutex<bool>, Condvar);

impl Edge {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(false), Condvar::new()))
    }

    fn ring(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_one();
    }

    fn park(&self) {
        let mut rung = self.0.lock().unwrap();
        while !*rung {
            rung = self.1.wait(rung).unwrap();
        }
        *rung = false;
    }
}

fn send(ring: &mut Producer, value: u64) {
    while !ring.push(&[value, !value]).unwrap() {
        thread::yield_now();
    }
    ring.publish();
}

fn receive(ring: &mut Consumer) -> Option<u64> {
    let mut words = [0; 2];
    let found = ring.pop(&mut words).unwrap();
    ring.release();
    found.then(|| {
        assert_eq!(words[0], !words[1], "torn entry");
        words[0]
    })
}

#[test]
fn entries_arrive_whole_and_in_order() {
    check(|| {
        let (mut engine, mut client) = model::channel();
        let producer = thread::spawn(move || (1..=3).for_each(|value| send(client.submissions(), value)));
        for value in 1..=3 {
            let got = loop {
                match receive(engine.submissions()) {
                    Some(got) => break got,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(got, value);
        }
        producer.join().unwrap();
    });
}

#[test]
fn a_batch_is_published_and_released_as_one() {
    check(|| {
        let (mut engine, mut client) = model::channel();
        let producer = thread::spawn(move || {
            for batch in 0..2 {
                while client.submissions().free().unwrap() < 2 {
                    thread::yield_now();
                }
                assert!(client.submissions().push(&[2 * batch]).unwrap());
                assert!(client.submissions().push(&[2 * batch + 1]).unwrap());
                client.submissions().publish();
            }
        });
        for batch in 0..2 {
            let available = loop {
                match engine.submissions().available().unwrap() {
                    0 => thread::yield_now(),
                    available => break available,
                }
            };
            assert_eq!(available, 2);
            let (mut first, mut second) = ([0], [0]);
            assert!(engine.submissions().pop(&mut first).unwrap());
            assert!(engine.submissions().pop(&mut second).unwrap());
            assert_eq!((first[0], second[0]), (2 * batch, 2 * batch + 1));
            engine.submissions().release();
        }
        producer.join().unwrap();
    });
}

#[test]
fn a_client_never_sleeps_on_a_completion() {
    check(|| {
        let (mut engine, mut client) = model::channel();
        let sleeper = thread::spawn(move || {
            for value in 1..=2 {
                while client.sleep(Duration::MAX).unwrap() != Woken::Completions {}
                assert_eq!(receive(client.completions()), Some(value));
            }
        });
        for value in 1..=2 {
            send(engine.completions(), value);
            if engine.client_sleeps() {
                engine.wake().unwrap();
            }
        }
        sleeper.join().unwrap();
    });
}

#[test]
fn an_event_loop_never_sleeps_on_a_completion() {
    check(|| {
        let (mut engine, mut client) = model::channel();
        let byte = Edge::new();
        let socket = byte.clone();
        let event_loop = thread::spawn(move || {
            for value in 1..=2 {
                client.announce_sleep();
                while client.completions().available().unwrap() == 0 {
                    byte.park();
                }
                client.announce_awake();
                assert_eq!(receive(client.completions()), Some(value));
            }
        });
        for value in 1..=2 {
            send(engine.completions(), value);
            if engine.client_sleeps() {
                socket.ring();
            }
        }
        event_loop.join().unwrap();
    });
}

/// Takes `count` submissions, parking whenever there are none.
fn work(
    channel: &mut EngineChannel,
    worker: usize,
    flags: &EngineFlags,
    bell: &Edge,
    count: u64,
) -> Vec<u64> {
    let mut taken = Vec::new();
    while taken.len() < usize::try_from(count).unwrap() {
        taken.extend(receive(channel.submissions()));
        flags.announce_sleep(worker);
        if channel.submissions().available().unwrap() == 0 && taken.len() as u64 != count {
            bell.park();
        }
        flags.announce_awake(worker);
    }
    taken
}

#[test]
fn a_worker_never_sleeps_on_a_submission() {
    check(|| {
        let (mut engine, mut client) = model::channel();
        let (engine_flags, client_flags) = model::flags(1);
        let bell = Edge::new();
        let rung = bell.clone();
        let worker = thread::spawn(move || work(&mut engine, 0, &engine_flags, &bell, 2));
        for value in 1..=2 {
            send(client.submissions(), value);
            if client_flags.sleeps(0) {
                rung.ring();
            }
        }
        assert_eq!(worker.join().unwrap(), [1, 2]);
    });
}

/// What a client does after each publication; its bell is watched by every worker that the channel may be with.
fn submit(client: &mut ClientChannel, flags: &ClientFlags, bells: &[Arc<Edge>], value: u64) {
    send(client.submissions(), value);
    if client.owner_sleeps(flags) {
        bells.iter().for_each(|bell| bell.ring());
    }
}

#[test]
fn a_channel_moves_between_workers_and_loses_nothing() {
    check(|| {
        let (mut engine, mut client) = model::channel();
        let (engine_flags, client_flags) = model::flags(2);
        let flags = Arc::new(engine_flags);
        let bells = [Edge::new(), Edge::new()];
        let moved = Arc::new(Mutex::new(None));

        let (old_flags, old_moved, new_bell) = (flags.clone(), moved.clone(), bells[1].clone());
        let old = thread::spawn(move || {
            engine.own(0);
            let taken = receive(engine.submissions());
            old_flags.announce_awake(0);
            *old_moved.lock().unwrap() = Some((engine, taken));
            new_bell.ring();
        });
        let bell = bells[1].clone();
        let new = thread::spawn(move || {
            let (mut engine, taken) = loop {
                if let Some(moved) = moved.lock().unwrap().take() {
                    break moved;
                }
                bell.park();
            };
            engine.own(1);
            let rest = work(&mut engine, 1, &flags, &bell, 2 - taken.iter().count() as u64);
            taken.into_iter().chain(rest).collect::<Vec<_>>()
        });
        for value in 1..=2 {
            submit(&mut client, &client_flags, &bells, value);
        }
        old.join().unwrap();
        assert_eq!(new.join().unwrap(), [1, 2]);
    });
}
