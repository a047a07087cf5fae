//! Both sides of a channel as honest peers use them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use keylane_shm::{
    Bell, ClientChannel, ClientFlags, EngineChannel, EngineFlags, Geometry, GeometryError, Parker,
    RegionError, RingFault, Woken,
};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(20);

fn geometry() -> Geometry {
    Geometry::new(8, 64, 128).unwrap()
}

fn pair() -> (EngineChannel, ClientChannel) {
    let (engine, descriptors) = EngineChannel::create(geometry()).unwrap();
    (engine, ClientChannel::map(geometry(), descriptors).unwrap())
}

#[test]
fn geometry_has_bounds() {
    for entries in [0, 4, 7, 12, 8192, u32::MAX] {
        assert_eq!(Geometry::new(entries, 64, 64), Err(GeometryError::Entries(entries)));
    }
    for bytes in [0, 8, 63, 65, 4160, u32::MAX] {
        assert_eq!(Geometry::new(8, bytes, 64), Err(GeometryError::EntryBytes(bytes)));
        assert_eq!(Geometry::new(8, 64, bytes), Err(GeometryError::EntryBytes(bytes)));
    }
    assert!(Geometry::new(4096, 4096, 64).is_ok());
}

#[test]
fn entries_arrive_in_order_and_intact_across_the_wrap() {
    let (mut engine, mut client) = pair();
    let mut out = [0; 8];
    for round in 0..100_u64 {
        let words = [round; 8].map(|word| word.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        assert!(client.submissions().push(&words).unwrap());
        assert!(!engine.submissions().pop(&mut out).unwrap(), "nothing is seen before it is published");
        client.submissions().publish();
        assert!(engine.submissions().pop(&mut out).unwrap());
        assert_eq!(out, words);
        engine.submissions().release();
    }
}

#[test]
fn a_ring_is_full_until_its_entries_are_released() {
    let (mut engine, mut client) = pair();
    for word in 0..8 {
        assert!(client.submissions().push(&[word]).unwrap());
    }
    assert!(!client.submissions().push(&[8]).unwrap());
    client.submissions().publish();
    let mut out = [0];
    assert!(engine.submissions().pop(&mut out).unwrap());
    assert_eq!(client.submissions().free(), Ok(0), "popped, not released");
    engine.submissions().release();
    assert_eq!(client.submissions().free(), Ok(1));
    assert!(client.submissions().push(&[8]).unwrap());
    client.submissions().publish();
    for word in 1..=8 {
        assert!(engine.submissions().pop(&mut out).unwrap());
        assert_eq!(out, [word]);
    }
    assert_eq!(engine.submissions().available(), Ok(0));
}

#[test]
fn an_entry_too_long_is_refused_and_the_ring_goes_on() {
    let (mut engine, mut client) = pair();
    let refused = RingFault::EntryTooLong { words: 9, entry_words: 8 };
    assert_eq!(client.submissions().push(&[0; 9]), Err(refused));
    assert_eq!(client.submissions().push(&[1; 8]), Ok(true));
    client.submissions().publish();
    assert_eq!(engine.submissions().available(), Ok(1));
}

#[test]
fn a_front_is_read_forward_only_and_stays_until_consumed() {
    let (mut engine, mut client) = pair();
    let words = [10, 11, 12, 13, 14, 15, 16, 17];
    client.submissions().push(&words).unwrap();
    client.submissions().publish();
    assert!(engine.submissions().front().unwrap().is_some());

    let mut front = engine.submissions().front().unwrap().unwrap();
    let mut out = [0; 3];
    assert_eq!(front.read(1, &mut out), 3);
    assert_eq!(out, [11, 12, 13]);
    assert_eq!(front.read(3, &mut out), 0, "word 3 was read");
    assert_eq!(out, [11, 12, 13]);
    assert_eq!(front.read(6, &mut out), 2, "the entry ends");
    assert_eq!(out, [16, 17, 13]);
    assert_eq!(front.read(9, &mut out), 0);
    front.consume();
    assert!(engine.submissions().front().unwrap().is_none());
}

#[test]
fn a_sleeping_client_is_woken_by_every_completion() {
    let (mut engine, mut client) = pair();
    let sleeper = thread::spawn(move || {
        for round in 0..100 {
            let start = Instant::now();
            while client.completions().available().unwrap() == 0 {
                client.sleep(PATIENCE).unwrap();
            }
            assert!(start.elapsed() < PATIENCE, "woken by the clock only");
            let mut out = [0];
            assert!(client.completions().pop(&mut out).unwrap());
            client.completions().release();
            assert_eq!(out, [round]);
        }
    });
    for round in 0..100 {
        // Mostly enough for it to fall asleep.
        thread::sleep(Duration::from_micros(200));
        while !engine.completions().push(&[round]).unwrap() {
            assert!(!sleeper.is_finished());
            thread::yield_now();
        }
        engine.completions().publish();
        if engine.client_sleeps() {
            engine.wake().unwrap();
        }
    }
    sleeper.join().unwrap();
}

fn complete(engine: &mut EngineChannel) -> bool {
    engine.completions().push(&[0]).unwrap();
    engine.completions().publish();
    engine.client_sleeps()
}

#[test]
fn the_engine_hears_once_of_each_wait() {
    let (mut engine, mut client) = pair();
    assert!(!engine.client_sleeps() && !complete(&mut engine), "nobody waits yet");
    assert!(client.completions().pop(&mut [0]).unwrap());

    client.announce_sleep();
    assert!(!engine.client_sleeps(), "nothing was published since");
    assert!(complete(&mut engine));
    assert!(!complete(&mut engine), "woken already");

    client.announce_sleep();
    assert!(!complete(&mut engine), "there are completions that it did not take");

    while client.completions().pop(&mut [0]).unwrap() {}
    client.announce_sleep();
    client.announce_awake();
    assert!(!complete(&mut engine));

    while client.completions().pop(&mut [0]).unwrap() {}
    client.completions().release();
    client.announce_sleep();
    assert!(complete(&mut engine), "the next wait is another one");
}

#[test]
fn a_sleep_ends_at_its_timeout_and_not_at_all_when_there_is_work() {
    let (mut engine, mut client) = pair();
    assert_eq!(client.sleep(Duration::from_millis(2)), Ok(Woken::TimedOut));
    engine.completions().push(&[1]).unwrap();
    engine.completions().publish();
    assert_eq!(client.sleep(PATIENCE), Ok(Woken::Completions));
    assert!(!engine.client_sleeps(), "awake again");
}

#[test]
fn a_client_asks_the_owner_of_its_channel() {
    let (engine, client) = pair();
    let (page, fd) = EngineFlags::create(2).unwrap();
    let flags = ClientFlags::map(fd).unwrap();
    assert!(client.owner_sleeps(&flags), "an owner not named yet is rung");
    engine.own(0);
    assert!(!client.owner_sleeps(&flags));
    page.announce_sleep(1);
    assert!(!flags.sleeps(0) && flags.sleeps(1) && flags.sleeps(2), "an unknown worker is rung");
    assert!(!client.owner_sleeps(&flags));
    engine.own(1);
    assert!(client.owner_sleeps(&flags));
    page.announce_awake(1);
    assert!(!client.owner_sleeps(&flags));
}

#[test]
fn every_ring_of_a_bell_is_an_edge_and_nothing_reads_it() {
    let bell = Bell::new().unwrap();
    let mut parker = Parker::new().unwrap();
    parker.add(bell.as_fd(), 7).unwrap();
    let mut edges = Vec::new();
    for _ in 0..3 {
        bell.ring().unwrap();
        parker.park(Some(PATIENCE), |token| edges.push(token)).unwrap();
        parker.park(Some(Duration::ZERO), |token| edges.push(token)).unwrap();
    }
    assert_eq!(edges, [7, 7, 7]);
    parker.remove(bell.as_fd()).unwrap();
    bell.ring().unwrap();
    parker.park(Some(Duration::ZERO), |token| edges.push(token)).unwrap();
    assert_eq!(edges, [7, 7, 7]);
}

#[test]
fn a_client_accepts_only_the_region_that_was_agreed() {
    let (_engine, descriptors) = EngineChannel::create(geometry()).unwrap();
    let other = Geometry::new(16, 64, 128).unwrap();
    assert!(matches!(ClientChannel::map(other, descriptors), Err(RegionError::Size { .. })));

    let (_engine, mut descriptors) = EngineChannel::create(geometry()).unwrap();
    std::mem::swap(&mut descriptors.submission, &mut descriptors.completion);
    assert!(matches!(ClientChannel::map(geometry(), descriptors), Err(RegionError::Size { .. })));

    let same = Geometry::new(8, 64, 64).unwrap();
    let (_engine, mut descriptors) = EngineChannel::create(same).unwrap();
    std::mem::swap(&mut descriptors.submission, &mut descriptors.completion);
    assert!(ClientChannel::map(same, descriptors).is_err(), "neither has the other's seals");

    let pipe = std::io::pipe().unwrap();
    assert!(matches!(ClientFlags::map(pipe.0.into()), Err(RegionError::Inspect(_))));
}
