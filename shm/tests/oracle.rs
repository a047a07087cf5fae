//! A hostile client scripted by bytes, against the engine's side of a channel, and a model that says what the engine
//! must answer. Property tests below and the fuzz target `fuzz/fuzz_targets/ring.rs` share it.
//!
//! The model counts entries without wrapping and finds what a cursor may be by trying every possibility, so that it
//! shares no arithmetic with the code under test.

#![allow(clippy::unwrap_used, reason = "an oracle fails by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "cursors truncate on purpose, other counts are small")]

use std::ops::RangeInclusive;

use keylane_shm::{Consumer, CursorFault, EngineChannel, Geometry, Producer, RingFault};
use raw::Raw;

mod raw;

const ENTRIES: u64 = 8;
const ENTRY_WORDS: usize = 8;

/// Runs a script to its end.
///
/// # Panics
/// When the engine's side answers otherwise than the model.
pub fn run(script: &[u8]) {
    let mut script = Script(script);
    let mut peers = Peers::new();
    while let Some(step) = script.byte() {
        peers.step(step, &mut script);
    }
}

/// Bytes that decide; zeros when they run out in the midst of a step.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte().unwrap_or(0)) % bound
    }

    fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte().unwrap_or(0)))
    }

    /// Mostly near `truth`, where the boundaries are; sometimes anything.
    fn cursor(&mut self, truth: u32) -> u32 {
        let near = self.byte().unwrap_or(0).cast_signed();
        if near == i8::MIN { self.word() as u32 } else { truth.wrapping_add_signed(near.into()) }
    }
}

/// The engine's channel, the hostile client's view of its regions, and the model.
struct Peers {
    engine: EngineChannel,
    submission: Raw,
    completion: Raw,
    /// Where cursors started.
    start: u32,
    /// Entries consumed, released, believed published.
    position: u64,
    released: u64,
    tail: u64,
    /// Entries staged, published, believed consumed.
    staged: u64,
    published: u64,
    head: u64,
    /// Entries published at the last look at the sleep word.
    looked_at: u64,
    /// What the completion ring must hold.
    completions: Vec<u64>,
}

impl Peers {
    fn new() -> Self {
        let bytes = (ENTRY_WORDS * 8) as u32;
        let geometry = Geometry::new(ENTRIES as u32, bytes, bytes).unwrap();
        let (engine, descriptors) = EngineChannel::create(geometry).unwrap();
        let submission = Raw::writing(&descriptors.submission);
        let completion = Raw::reading(&descriptors.completion);
        Self {
            start: submission.line(raw::TAIL),
            engine,
            submission,
            completion,
            position: 0,
            released: 0,
            tail: 0,
            staged: 0,
            published: 0,
            head: 0,
            looked_at: 0,
            completions: vec![0; ENTRIES as usize * ENTRY_WORDS],
        }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        match step % 12 {
            0 => self.submission.set_line(raw::TAIL, script.cursor(self.cursor(self.tail))),
            1 => self.submission.set_line(raw::HEAD, script.cursor(self.cursor(self.head))),
            2 => self.submission.set_line(raw::SLEEP, script.cursor(self.cursor(self.published))),
            3 => self.submission.set_word(script.below(ENTRIES as usize * ENTRY_WORDS), script.word()),
            4 => self.available(),
            5 => self.pop(script.below(ENTRY_WORDS + 3)),
            6 => self.front(script),
            7 => self.release(),
            8 => self.free(),
            9 => self.push(script),
            10 => self.publish(),
            _ => self.client_sleeps(),
        }
    }

    fn available(&mut self) {
        let expected = self.follow_tail().map(|()| (self.tail - self.position) as u32);
        assert_eq!(self.submissions().available(), expected);
    }

    fn pop(&mut self, words: usize) {
        let expected = self.follow_tail().map(|()| self.tail > self.position);
        let mut out = vec![0xEE; words];
        let mut expected_out = out.clone();
        assert_eq!(self.submissions().pop(&mut out), expected);
        if expected == Ok(true) {
            let entry = self.front_entry();
            expected_out.iter_mut().zip(entry).for_each(|(word, shared)| *word = shared);
            self.position += 1;
        }
        assert_eq!(out, expected_out);
    }

    fn front(&mut self, script: &mut Script<'_>) {
        let expected = self.follow_tail();
        let entry = self.front_entry();
        let some = self.tail > self.position;
        let reads = [(); 2].map(|()| (script.below(ENTRY_WORDS + 3), script.below(ENTRY_WORDS + 3)));
        let consume = script.below(2) == 1;
        let front = self.submissions().front();
        let Ok(Some(mut front)) = front else {
            assert_eq!(front.map(|front| front.is_some()), expected.map(|()| some));
            return;
        };
        assert!(expected.is_ok() && some);
        let mut unread = 0;
        for (first, count) in reads {
            let mut out = vec![0xEE; count];
            let read = front.read(first, &mut out);
            let readable = if first < unread { 0 } else { ENTRY_WORDS.saturating_sub(first).min(count) };
            assert_eq!(read, readable);
            assert_eq!(out[..read], entry[first.min(ENTRY_WORDS)..][..read]);
            assert!(out[read..].iter().all(|word| *word == 0xEE));
            if first >= unread && first <= ENTRY_WORDS {
                unread = first + read;
            }
        }
        if consume {
            front.consume();
            self.position += 1;
        }
    }

    fn release(&mut self) {
        self.submissions().release();
        self.released = self.position;
        assert_eq!(self.completion.line(raw::HEAD), self.cursor(self.released));
    }

    fn free(&mut self) {
        let expected = self.follow_head().map(|()| (ENTRIES - (self.staged - self.head)) as u32);
        assert_eq!(self.completions().free(), expected);
    }

    fn push(&mut self, script: &mut Script<'_>) {
        let words = vec![script.word(); script.below(ENTRY_WORDS + 2)];
        let expected = if words.len() > ENTRY_WORDS {
            Err(RingFault::EntryTooLong { words: words.len(), entry_words: ENTRY_WORDS })
        } else {
            self.follow_head().map(|()| self.staged - self.head < ENTRIES)
        };
        assert_eq!(self.completions().push(&words), expected);
        if expected == Ok(true) {
            let first = self.index(self.staged);
            self.completions[first..][..words.len()].copy_from_slice(&words);
            self.staged += 1;
        }
        assert_eq!(self.completion.words(), self.completions);
    }

    fn publish(&mut self) {
        assert_eq!(self.completion.line(raw::TAIL), self.cursor(self.published));
        self.completions().publish();
        self.published = self.staged;
        assert_eq!(self.completion.line(raw::TAIL), self.cursor(self.published));
    }

    fn client_sleeps(&mut self) {
        let word = self.submission.line(raw::SLEEP);
        let expected = (self.looked_at..self.published).any(|count| self.cursor(count) == word);
        self.looked_at = self.published;
        assert_eq!(self.engine.client_sleeps(), expected);
    }

    /// What the engine may believe of the submissions' tail, which it reads only when it knows of no entry.
    fn follow_tail(&mut self) -> Result<(), RingFault> {
        if self.position == self.tail {
            let claim = self.submission.line(raw::TAIL);
            let possible = self.tail..=self.released + ENTRIES;
            self.tail = self.follow(claim, possible).map_err(RingFault::Tail)?;
        }
        Ok(())
    }

    /// What the engine may believe of the completions' head, which it reads only when it knows of no room.
    fn follow_head(&mut self) -> Result<(), RingFault> {
        if self.staged - self.head == ENTRIES {
            let claim = self.submission.line(raw::HEAD);
            self.head = self.follow(claim, self.head..=self.published).map_err(RingFault::Head)?;
        }
        Ok(())
    }

    fn follow(&self, claim: u32, possible: RangeInclusive<u64>) -> Result<u64, CursorFault> {
        let (from, reach) = (self.cursor(*possible.start()), (possible.end() - possible.start()) as u32);
        let behind = from.wrapping_sub(claim) <= 1 << 31;
        possible.into_iter().find(|count| self.cursor(*count) == claim).ok_or(if behind {
            CursorFault::Regressed { from, to: claim }
        } else {
            CursorFault::Jumped { from, to: claim, reach }
        })
    }

    /// How a count of entries looks in shared memory.
    fn cursor(&self, count: u64) -> u32 {
        self.start.wrapping_add(count as u32)
    }

    /// First word of the entry that holds the `count`th.
    fn index(&self, count: u64) -> usize {
        self.cursor(count) as usize % ENTRIES as usize * ENTRY_WORDS
    }

    fn front_entry(&self) -> Vec<u64> {
        self.submission.words()[self.index(self.position)..][..ENTRY_WORDS].to_vec()
    }

    fn submissions(&mut self) -> &mut Consumer {
        self.engine.submissions()
    }

    fn completions(&mut self) -> &mut Producer {
        self.engine.completions()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_engine_answers_any_script_as_the_model_does(script in vec(any::<u8>(), 0..600)) {
            super::run(&script);
        }

        /// Small cursor steps only, so that rings really fill, drain and wrap.
        #[test]
        fn the_engine_answers_a_nearly_honest_client_as_the_model_does(
            steps in vec((0..12_u8, -2..10_i8, any::<u8>()), 0..400),
        ) {
            let script: Vec<u8> =
                steps.into_iter().flat_map(|(step, near, byte)| [step, near.cast_unsigned(), byte]).collect();
            super::run(&script);
        }
    }

    #[test]
    fn the_corpus_replays() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/ring");
        let mut replayed = 0;
        for file in fs::read_dir(corpus).unwrap() {
            super::run(&fs::read(file.unwrap().path()).unwrap());
            replayed += 1;
        }
        assert!(replayed > 0, "an empty corpus tests nothing");
    }
}
