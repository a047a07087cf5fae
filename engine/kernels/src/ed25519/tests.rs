use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

use super::*;
use crate::{RandomFailed, Tier};

pub(super) fn random(octets: &mut [u8]) -> Result<(), RandomFailed> {
    aws_lc_rs::rand::fill(octets).map_err(|_| RandomFailed)
}

pub(super) fn tiers() -> impl Iterator<Item = Kernels> {
    Tier::ALL.into_iter().filter(|tier| tier.is_available()).map(|tier| Kernels::with_tier(tier).unwrap())
}

/// A key and its counterpart.
pub(super) fn pair(kernels: Kernels, number: usize) -> (Key, Ed25519KeyPair) {
    let seed: [u8; 32] = core::array::from_fn(|i| (i * 7 + number * 31 + (number >> 3)) as u8);
    let oracle = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let key = Key::new(kernels, &seed, &mut random).unwrap();
    assert_eq!(key.public(), oracle.public_key().as_ref());
    (key, oracle)
}

pub(super) fn signed(
    kernels: Kernels,
    jobs: &[Job<'_>],
    work: &mut Workspace,
) -> Vec<Result<Checked<[u8; 64]>, Fault>> {
    let mut results: Vec<_> = jobs.iter().map(|_| Err(Fault::Nonce)).collect();
    sign(kernels, jobs, work, &mut results);
    let mut out: Vec<_> = jobs.iter().map(|_| Err(Fault::Nonce)).collect();
    check(kernels, jobs, &mut random, work, &results, &mut out);
    out
}

#[test]
fn signatures_are_those_of_the_standard_at_every_fill() {
    for kernels in tiers() {
        let pairs: Vec<_> = (0..24).map(|number| pair(kernels, number)).collect();
        let text: Vec<u8> = (0..200u8).collect();
        let mut work = Box::new(Workspace::default());
        let fills: Vec<usize> = match kernels.tier() {
            Tier::Portable => [1, 2, 8, 9, 17].into(),
            Tier::Avx512Ifma => (1..=17).chain([31, 64, 127, 128]).collect(),
        };
        for fill in fills {
            let of = |i: usize| (&pairs[(i * 5 + fill) % 24], &text[..[130, 146, 0, i, 200][i % 5].min(200)]);
            let jobs: Vec<_> =
                (0..fill).map(of).map(|(pair, message)| Job { key: &pair.0, message }).collect();
            for (i, result) in signed(kernels, &jobs, &mut work).into_iter().enumerate() {
                let (pair, message) = of(i);
                assert_eq!(
                    result.unwrap().get(),
                    pair.1.sign(message).as_ref(),
                    "{kernels:?}: {i} of {fill}"
                );
            }
        }
    }
}

#[test]
fn results_of_other_jobs_do_not_pass() {
    for kernels in tiers() {
        let pairs: Vec<_> = (0..2).map(|number| pair(kernels, number)).collect();
        let mut work = Box::new(Workspace::default());
        let jobs: Vec<_> = (0..9).map(|i| Job { key: &pairs[i % 2].0, message: b"one" }).collect();
        let mut results: Vec<_> = jobs.iter().map(|_| Err(Fault::Nonce)).collect();
        sign(kernels, &jobs, &mut work, &mut results);
        let mut others = jobs.clone();
        others[1].message = b"two";
        others[4].key = &pairs[1].0;
        results[8] = Err(Fault::Random);
        let mut out: Vec<_> = jobs.iter().map(|_| Err(Fault::Nonce)).collect();
        check(kernels, &others, &mut random, &mut work, &results, &mut out);
        for (i, result) in out.iter().enumerate() {
            match i {
                1 | 4 => assert_eq!(*result, Err(Fault::Wrong)),
                8 => assert_eq!(*result, Err(Fault::Random)),
                _ => assert!(result.is_ok(), "{i}"),
            }
        }
    }
}

#[test]
fn without_randomness_nothing_passes() {
    let kernels = Kernels::select().unwrap();
    let (key, _) = pair(kernels, 0);
    let jobs = [Job { key: &key, message: b"" }];
    let mut work = Box::new(Workspace::default());
    let mut results = [Err(Fault::Nonce)];
    sign(kernels, &jobs, &mut work, &mut results);
    let mut out = [Err(Fault::Nonce)];
    check(kernels, &jobs, &mut |_: &mut [u8]| Err(RandomFailed), &mut work, &results, &mut out);
    assert_eq!(out, [Err(Fault::Random)]);
    let refused = Key::new(kernels, &[0; 32], &mut |_: &mut [u8]| Err(RandomFailed));
    assert_eq!(refused.unwrap_err(), KeyError::Fault(Fault::Random));
}

#[test]
fn a_public_key_of_another_is_refused() {
    let kernels = Kernels::select().unwrap();
    let (key, _) = pair(kernels, 5);
    let (other, _) = pair(kernels, 6);
    let seed: [u8; 32] = core::array::from_fn(|i| (i * 7 + 5 * 31) as u8);
    assert!(Key::with_public(kernels, &seed, key.public(), &mut random).is_ok());
    let refused = Key::with_public(kernels, &seed, other.public(), &mut random);
    assert_eq!(refused.unwrap_err(), KeyError::Mismatch);
}

#[test]
fn what_is_secret_is_erased() {
    let kernels = Kernels::select().unwrap();
    let (key, _) = pair(kernels, 3);
    let jobs = [Job { key: &key, message: b"secret" }; 20];
    let mut work = Box::new(Workspace::default());
    assert!(signed(kernels, &jobs, &mut work).iter().all(Result::is_ok));
    for vector in &mut work.vectors {
        // Public.
        vector.x = Default::default();
        vector.encoded = Default::default();
    }
    for share in &mut work.shares {
        share.forget_public();
    }
    assert_eq!(format!("{work:?}"), format!("{:?}", Workspace::default()));
}
