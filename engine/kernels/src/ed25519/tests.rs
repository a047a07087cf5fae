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
