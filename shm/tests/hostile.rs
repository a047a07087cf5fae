//! A client that writes what it likes into the memory it shares with the engine.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::disallowed_types, reason = "a flag between a test's own threads")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use keylane_shm::{ChannelDescriptors, ClientChannel, CursorFault, EngineChannel, Geometry, RingFault};
use raw::{Raw, Stop};
use rustix::fs::{FallocateFlags, fallocate};

mod raw;

const ENTRIES: u32 = 16;
const WORDS: usize = 8;

fn geometry() -> Geometry {
    Geometry::new(ENTRIES, 64, 64).unwrap()
}

fn channel() -> (EngineChannel, ChannelDescriptors) {
    EngineChannel::create(geometry()).unwrap()
}

/// Distances from a cursor that tell every comparison apart: all near the boundaries, a spread over the rest.
fn distances() -> impl Iterator<Item = u32> {
    let near =
        |centre: u32| (0..=4_200_u32).map(move |offset| centre.wrapping_add(offset).wrapping_sub(2_100));
    let powers = (0..32).flat_map(move |bit| near(1 << bit));
    let spread = (0..=u32::MAX).step_by(65_521);
    near(0).chain(powers).chain(spread)
}

#[test]
fn every_tail_is_believed_or_named() {
    let (mut engine, descriptors) = channel();
    let raw = Raw::writing(&descriptors.submission);
    let mut from = raw.line(raw::TAIL);
    // Released 11 of 16: the next claims may reach past the array's end and, later, past the wrap.
    for _ in 0..3 {
        raw.set_line(raw::TAIL, from.wrapping_add(11));
        while engine.submissions().pop(&mut []).unwrap() {}
        from = from.wrapping_add(11);
        for distance in distances() {
            let to = from.wrapping_add(distance);
            raw.set_line(raw::TAIL, to);
            let expected = match distance {
                0 => Ok(0),
                // Not released: only five entries are the producer's.
                1..=5 => continue,
                6..=0x7FFF_FFFF => Err(RingFault::Tail(CursorFault::Jumped { from, to, reach: 5 })),
                0x8000_0000.. => Err(RingFault::Tail(CursorFault::Regressed { from, to })),
            };
            assert_eq!(engine.submissions().available(), expected, "distance {distance:#x}");
        }
        raw.set_line(raw::TAIL, from.wrapping_add(5));
        assert_eq!(engine.submissions().available(), Ok(5));
        while engine.submissions().pop(&mut []).unwrap() {}
        from = from.wrapping_add(5);
        engine.submissions().release();
    }
}

#[test]
fn every_head_is_believed_or_named() {
    let (mut engine, descriptors) = channel();
    let raw = Raw::writing(&descriptors.submission);
    let mut from = raw.line(raw::HEAD);
    for _ in 0..3 {
        while engine.completions().push(&[1]).unwrap() {}
        for distance in distances().filter(|distance| *distance != 0) {
            let to = from.wrapping_add(distance);
            raw.set_line(raw::HEAD, to);
            let fault = if distance < 1 << 31 {
                CursorFault::Jumped { from, to, reach: 0 }
            } else {
                CursorFault::Regressed { from, to }
            };
            assert_eq!(engine.completions().free(), Err(RingFault::Head(fault)), "nothing is published");
        }
        engine.completions().publish();
        raw.set_line(raw::HEAD, from.wrapping_add(ENTRIES + 1));
        assert!(engine.completions().push(&[1]).is_err());
        from = from.wrapping_add(ENTRIES);
        raw.set_line(raw::HEAD, from);
        assert_eq!(engine.completions().free(), Ok(ENTRIES));
    }
}

#[test]
fn a_fault_leaves_the_other_ring_and_the_other_channels_alone() {
    let (mut engine, descriptors) = channel();
    let (mut other, other_descriptors) = channel();
    let raw = Raw::writing(&descriptors.submission);
    raw.set_line(raw::TAIL, 77);
    assert!(engine.submissions().available().is_err());
    assert_eq!(engine.completions().push(&[1]), Ok(true));

    let mut client = ClientChannel::map(geometry(), other_descriptors).unwrap();
    client.submissions().push(&[9]).unwrap();
    client.submissions().publish();
    assert_eq!(other.submissions().available(), Ok(1));
}

/// A client that rewrites an entry while the engine copies it: words may be mixed, none is torn, and what the engine
/// copied is private.
#[test]
fn an_entry_rewritten_under_the_engine_is_torn_between_words_only() {
    const OLD: u64 = 0x0000_0000_FFFF_FFFF;
    const NEW: u64 = !OLD;
    let (mut engine, descriptors) = channel();
    let raw = Raw::writing(&descriptors.submission);
    let start = raw.line(raw::TAIL);
    let first = start as usize % ENTRIES as usize * WORDS;
    (0..WORDS).for_each(|word| raw.set_word(first + word, OLD));
    raw.set_line(raw::TAIL, start.wrapping_add(1));

    let done = AtomicBool::new(false);
    let mut seen = BTreeSet::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for value in [NEW, OLD] {
                    (0..WORDS).for_each(|word| raw.set_word(first + word, value));
                }
            }
        });
        let _stop = Stop(&done);
        // Until both values were seen, and long enough to meet writes in flight.
        let mut looks = 0;
        while seen.len() < 2 || looks < 200_000 {
            let mut entry = [0; WORDS];
            let mut front = engine.submissions().front().unwrap().unwrap();
            assert_eq!(front.read(0, &mut entry), WORDS);
            assert_eq!(front.read(0, &mut [0; WORDS]), 0, "no second fetch");
            seen.extend(entry);
            looks += 1;
        }
    });
    assert_eq!(seen, BTreeSet::from([OLD, NEW]));
}

/// A client that moves its cursors all the time: every answer of the engine is within bounds or a fault.
#[test]
fn cursors_that_move_all_the_time_do_no_harm() {
    let (mut engine, descriptors) = channel();
    let raw = Raw::writing(&descriptors.submission);
    let done = AtomicBool::new(false);
    let (mut taken, mut faults) = (0_u32, 0_u32);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut claim = raw.line(raw::TAIL);
            let mut noise = 1_u32;
            while !done.load(Ordering::Relaxed) {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                raw.set_line(raw::TAIL, noise);
                raw.set_line(raw::HEAD, noise.rotate_left(7));
                raw.set_line(raw::SLEEP, noise.rotate_left(13));
                claim = claim.wrapping_add(noise % 4);
                raw.set_line(raw::TAIL, claim);
            }
        });
        let _stop = Stop(&done);
        while taken < 1_000 && faults < 1_000_000 {
            match engine.submissions().pop(&mut [0; WORDS]) {
                Ok(popped) => taken += u32::from(popped),
                Err(RingFault::Tail(_)) => faults += 1,
                Err(other) => panic!("{other}"),
            }
            engine.submissions().release();
            match engine.completions().push(&[0; WORDS]) {
                Ok(_) => {}
                Err(RingFault::Head(_)) => faults += 1,
                Err(other) => panic!("{other}"),
            }
            engine.completions().publish();
            if engine.client_sleeps() {
                engine.wake().unwrap();
            }
        }
    });
    assert!(faults > 0);
}

#[test]
fn a_client_always_asleep_costs_at_most_one_wake_a_publication() {
    let (mut engine, descriptors) = channel();
    let raw = Raw::writing(&descriptors.submission);
    let completion = Raw::reading(&descriptors.completion);
    for _ in 0..100 {
        let tail = completion.line(raw::TAIL);
        raw.set_line(raw::SLEEP, tail);
        assert!(engine.completions().push(&[1]).unwrap());
        engine.completions().publish();
        assert!(engine.client_sleeps());
        engine.wake().unwrap();
        for claim in [tail, tail.wrapping_add(1), tail.wrapping_sub(1)] {
            raw.set_line(raw::SLEEP, claim);
            assert!(!engine.client_sleeps(), "nothing published since");
        }
        raw.set_line(raw::HEAD, tail.wrapping_add(1));
    }
}

#[test]
fn a_client_never_asleep_is_never_woken() {
    let (mut engine, descriptors) = channel();
    let raw = Raw::writing(&descriptors.submission);
    let completion = Raw::reading(&descriptors.completion);
    for _ in 0..100 {
        raw.set_line(raw::SLEEP, completion.line(raw::TAIL).wrapping_add(ENTRIES));
        assert!(engine.completions().push(&[1]).unwrap());
        engine.completions().publish();
        assert!(!engine.client_sleeps());
        raw.set_line(raw::HEAD, completion.line(raw::TAIL));
    }
}

#[test]
fn a_hole_punched_under_the_engine_reads_as_zeros() {
    let (mut engine, descriptors) = channel();
    let raw = Raw::writing(&descriptors.submission);
    let start = raw.line(raw::TAIL);
    (0..ENTRIES as usize * WORDS).for_each(|word| raw.set_word(word, u64::MAX));
    raw.set_line(raw::TAIL, start.wrapping_add(ENTRIES));
    let mut entry = [0; WORDS];
    assert!(engine.submissions().pop(&mut entry).unwrap());
    assert_eq!(entry, [u64::MAX; WORDS]);

    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(&descriptors.submission, punch, 0, 1 << 20).unwrap();
    for _ in 1..ENTRIES {
        assert!(engine.submissions().pop(&mut entry).unwrap(), "known before the hole");
        assert_eq!(entry, [0; WORDS]);
    }
    // The cursors are zeros now too: whatever that claims, it is believed within bounds or named.
    assert_eq!(raw.line(raw::TAIL), 0);
    let claim = CursorFault::Regressed { from: start.wrapping_add(ENTRIES), to: 0 };
    assert_eq!(engine.submissions().available(), Err(RingFault::Tail(claim)));
    assert!(!engine.client_sleeps());

    let refused = fallocate(&descriptors.completion, punch, 0, 1 << 20);
    assert_eq!(refused, Err(rustix::io::Errno::BADF), "nobody punches what the engine writes");
}
