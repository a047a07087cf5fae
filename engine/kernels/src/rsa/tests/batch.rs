use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;

use super::super::{BatchError, Blinding, Job, Workspace, check, sign, sign_unblinded};
use super::keys::encoded;
use super::*;
use crate::Fault;

/// Signs and checks, blinded and not, and compares with what is expected.
fn run<const HALF: usize, const FULL: usize, const OCTETS: usize>(
    kernels: Kernels,
    jobs: &[Job<'_, HALF, FULL, OCTETS>],
    blindings: &mut [Blinding<FULL>],
    work: &mut Workspace<HALF, FULL>,
    expected: &[[u8; OCTETS]],
) {
    let mut results: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
    let mut checked: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
    for is_blinded in [false, true] {
        if is_blinded {
            sign(kernels, jobs, blindings, &mut seeded(7), work, &mut results).unwrap();
        } else {
            sign_unblinded(kernels, jobs, work, &mut results).unwrap();
        }
        for (place, (result, expected)) in results.iter().zip(expected).enumerate() {
            assert_eq!(result.as_ref().unwrap().expose(), expected, "job {place} of {}", jobs.len());
        }
        check(kernels, jobs, blindings, work, &mut results, &mut checked).unwrap();
        for (result, expected) in checked.iter().zip(expected) {
            assert_eq!(result.as_ref().unwrap().get(), expected);
        }
    }
}

/// Signatures of padded digests are aws-lc's, bit for bit.
fn like_aws_lc<const HALF: usize, const FULL: usize, const OCTETS: usize>(numbers: &[Numbers], fill: usize) {
    for kernels in tiers() {
        let keys: Vec<PrivateKey<HALF, FULL, OCTETS>> =
            numbers.iter().map(|numbers| numbers.prepared(kernels)).collect();
        let texts: Vec<_> = (0..fill).map(|place| format!("message {place}")).collect();
        let messages: Vec<[u8; OCTETS]> = texts.iter().map(|text| encoded(text.as_bytes())).collect();
        let expected: Vec<[u8; OCTETS]> = (0..fill)
            .map(|place| {
                let mut signature = [0; OCTETS];
                let pair = &numbers[place % numbers.len()].pair;
                let text = texts[place].as_bytes();
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
                signature
            })
            .collect();
        let jobs: Vec<_> = (0..fill)
            .map(|place| Job {
                key: &keys[place % keys.len()],
                message: &messages[place],
                blinding: place % keys.len(),
            })
            .collect();
        let mut blindings = vec![Blinding::EMPTY; keys.len()];
        run(kernels, &jobs, &mut blindings, &mut Box::new(Workspace::ZERO), &expected);
    }
}

#[test]
fn signs_with_2048_bits() {
    like_aws_lc::<2, 4, 256>(&KEYS_2048, 11);
}

#[test]
fn signs_with_3072_bits() {
    like_aws_lc::<3, 6, 384>(&KEYS_3072, 5);
}

#[test]
fn signs_with_4096_bits() {
    like_aws_lc::<4, 8, 512>(&KEYS_4096, 2);
}

#[test]
fn any_fill_of_mixed_keys() {
    let kernels = best();
    let keys = keys_2048(kernels);
    let messages: Vec<[u8; 256]> = (0..128).map(message).collect();
    let expected: Vec<_> =
        (0..128).map(|place| KEYS_2048[place * 7 % keys.len()].raised(&messages[place])).collect();
    let jobs: Vec<_> = (0..128)
        .map(|place| {
            let key = place * 7 % keys.len();
            Job { key: &keys[key], message: &messages[place], blinding: key }
        })
        .collect();
    let mut blindings = vec![Blinding::EMPTY; keys.len()];
    let mut work = Box::new(Workspace::ZERO);
    for fill in (1..=17).chain([31, 64, 127, 128]) {
        run(kernels, &jobs[..fill], &mut blindings, &mut work, &expected[..fill]);
    }
}

/// What the scalar functions would find hard: 0, 1, n − 1, numbers that a prime divides, long runs of ones.
#[test]
fn edge_messages() {
    for kernels in tiers() {
        let keys = keys_2048(kernels);
        let numbers = &KEYS_2048[0];
        let (n, p, q) = (numbers.n(), numbers.number(3), numbers.number(4));
        let one = BigUint::from(1u8);
        let messages = [
            BigUint::ZERO,
            one.clone(),
            &n - &one,
            (&one << 2047) - &one,
            p.clone(),
            &q * 3u8,
            &n - &p,
            (&one << 1040) - &one,
            &one << 1040,
            &n - &q,
        ];
        let messages = messages.map(|message| octets::<256>(&message));
        let expected = messages.map(|message| numbers.raised(&message));
        let jobs = messages.each_ref().map(|message| Job { key: &keys[0], message, blinding: 0 });
        run(kernels, &jobs, &mut [Blinding::EMPTY], &mut Box::new(Workspace::ZERO), &expected);
    }
}

#[test]
fn a_message_that_is_too_large_is_refused_alone() {
    let kernels = best();
    let keys = keys_2048(kernels);
    let n = KEYS_2048[0].n();
    let messages = [octets(&(&n - 1u8)), octets(&n), [0xff; 256], message(1)];
    let jobs = messages.each_ref().map(|message| Job { key: &keys[0], message, blinding: 0 });
    let mut results = [const { Err(Fault::Wrong) }; 4];
    let mut checked = [const { Err(Fault::Wrong) }; 4];
    let mut work = Box::new(Workspace::ZERO);
    let blindings = &mut [Blinding::EMPTY];
    sign(kernels, &jobs, blindings, &mut seeded(1), &mut work, &mut results).unwrap();
    check(kernels, &jobs, blindings, &mut work, &mut results, &mut checked).unwrap();
    let verdicts = checked.map(|result| result.map(drop));
    assert_eq!(verdicts, [Ok(()), Err(Fault::Range), Err(Fault::Range), Ok(())]);
}

#[test]
fn a_batch_has_1_to_128_jobs_and_as_many_results() {
    let kernels = best();
    let keys = keys_2048(kernels);
    let message = message(1);
    let jobs = vec![Job { key: &keys[0], message: &message, blinding: 0 }; 129];
    let mut results: Vec<_> = (0..129).map(|_| Err(Fault::Wrong)).collect();
    let mut work = Box::new(Workspace::ZERO);
    let mut attempt = |jobs: usize, out: usize, all: &[_]| {
        sign_unblinded(kernels, &all[..jobs], &mut work, &mut results[..out])
    };
    assert_eq!(attempt(0, 0, &jobs), Err(BatchError::Fill));
    assert_eq!(attempt(129, 129, &jobs), Err(BatchError::Fill));
    assert_eq!(attempt(2, 1, &jobs), Err(BatchError::Lengths));
    assert_eq!(attempt(1, 1, &jobs), Ok(()));
}
