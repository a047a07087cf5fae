use std::cell::Cell;

use super::super::{Blinding, Workspace, rsa2048, sign};
use super::*;
use crate::{Fault, Unchecked};

struct Signer {
    kernels: Kernels,
    keys: Vec<rsa2048::PrivateKey>,
    work: Box<rsa2048::Workspace>,
    draws: Cell<usize>,
}

type Results = Vec<Result<Unchecked<[u8; 256]>, Fault>>;

impl Signer {
    fn new() -> Self {
        let kernels = best();
        Self { kernels, keys: keys_2048(kernels), work: Box::new(Workspace::ZERO), draws: Cell::new(0) }
    }

    /// Signs the same message with these keys and blindings, counting the draws.
    fn sign(&mut self, which: &[(usize, usize)], blindings: &mut [Blinding<4>]) -> Results {
        let message = message(1);
        let keys = &self.keys;
        let jobs: Vec<_> = which
            .iter()
            .map(|&(key, blinding)| rsa2048::Job { key: &keys[key], message: &message, blinding })
            .collect();
        let mut results: Results = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
        let mut source = seeded(self.draws.get() as u64);
        let mut random = |octets: &mut [u8]| {
            self.draws.set(self.draws.get() + 1);
            source(octets)
        };
        sign(self.kernels, &jobs, blindings, &mut random, &mut self.work, &mut results).unwrap();
        results
    }
}

fn expected(key: usize) -> [u8; 256] {
    KEYS_2048[key].raised(&message(1))
}

#[test]
fn jobs_of_one_key_have_pairs_of_their_own() {
    let mut signer = Signer::new();
    let mut blindings = [Blinding::EMPTY];
    let expected = expected(0);
    for _ in 0..3 {
        let before = blindings[0].clone();
        for result in signer.sign(&[(0, 0); 20], &mut blindings) {
            assert_eq!(result.unwrap().expose(), &expected);
        }
        assert!(before.differs(&blindings[0]));
    }
    assert!(blindings[0].all_pairs_differ());
    assert_eq!(signer.draws.get(), 1);
}

#[test]
fn pairs_are_drawn_anew_after_32_uses_each() {
    let mut signer = Signer::new();
    let mut blindings = [Blinding::EMPTY];
    signer.sign(&[(0, 0); 128], &mut blindings);
    signer.sign(&[(0, 0); 127], &mut blindings);
    assert_eq!(signer.draws.get(), 1);
    let expected = expected(0);
    // The first of these takes the last pair, and the second draws: both in one group of lanes.
    for result in signer.sign(&[(0, 0); 8], &mut blindings) {
        assert_eq!(result.unwrap().expose(), &expected);
    }
    assert_eq!(signer.draws.get(), 2);
    for result in signer.sign(&[(0, 0); 8], &mut blindings) {
        assert_eq!(result.unwrap().expose(), &expected);
    }
}

#[test]
fn another_keys_blinding_is_not_used() {
    let mut signer = Signer::new();
    let mut blindings = [Blinding::EMPTY];
    let expected = [expected(0), expected(1)];
    let which = [(0, 0), (1, 0), (0, 0)];
    for (result, (key, _)) in signer.sign(&which, &mut blindings).into_iter().zip(which) {
        assert_eq!(result.unwrap().expose(), &expected[key]);
    }
    assert_eq!(signer.draws.get(), 3);
}

#[test]
fn a_blinding_that_is_not_there_or_a_source_that_fails_is_a_fault() {
    let mut signer = Signer::new();
    let results = signer.sign(&[(0, 0), (0, 1)], &mut [Blinding::EMPTY]);
    let verdicts: Vec<_> = results.into_iter().map(|result| result.map(|_| ())).collect();
    assert_eq!(verdicts, [Ok(()), Err(Fault::Wrong)]);

    let message = message(1);
    let jobs = [rsa2048::Job { key: &signer.keys[0], message: &message, blinding: 0 }];
    let mut results = [Err(Fault::Wrong)];
    let mut fails = |_: &mut [u8]| Err(RandomFailed);
    sign(signer.kernels, &jobs, &mut [Blinding::EMPTY], &mut fails, &mut signer.work, &mut results).unwrap();
    assert_eq!(results, [Err(Fault::Random)]);
}

#[test]
fn renewed_ahead_nothing_is_drawn_in_a_batch() {
    let mut signer = Signer::new();
    let mut blindings = [Blinding::EMPTY];
    blindings[0].renew(signer.kernels, &signer.keys[0], &mut seeded(9), &mut signer.work).unwrap();
    let expected = expected(0);
    for result in signer.sign(&[(0, 0); 9], &mut blindings) {
        assert_eq!(result.unwrap().expose(), &expected);
    }
    assert_eq!(signer.draws.get(), 0);
}

#[test]
fn nothing_is_left_in_the_workspace() {
    let mut signer = Signer::new();
    signer.sign(&[(0, 0); 3], &mut [Blinding::EMPTY]);
    assert!(signer.work.is_zero());
}
