//! How many times as fast as aws-lc-rs a batch of ECDSA signatures is, on one core: `cargo run --release -p keylane-kernels
//! --example measure_ecdsa`.
//!
//! Slices of some milliseconds of aws-lc, of the bare kernel (nonces given, no check) and of the whole (hedged nonces,
//! check) take turns; each turn gives two ratios, of which the median and (p90 − p10) / median are printed. Every signature
//! of the whole has passed the kernel's check; the first batch of every row is verified by aws-lc, too.

#![allow(clippy::expect_used, reason = "a measurement that cannot run shall stop")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Digest, SHA256, SHA384, digest};
use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use keylane_kernels::{Fault, Kernels, RandomFailed, Tier};

const TURNS: usize = 61;
const SLICE: Duration = Duration::from_millis(3);
const PART: Duration = Duration::from_micros(100);
const KEYS: usize = 128;

/// Nanoseconds per call in the best part of one slice, so that being preempted does not count.
fn slice(mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = f64::MAX;
    while start.elapsed() < SLICE {
        let part = Instant::now();
        let mut calls = 0u32;
        while part.elapsed() < PART {
            f();
            calls += 1;
        }
        best = best.min(part.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
    }
    best
}

/// The value at this fraction of the sorted ones.
fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let at = ((sorted.len() - 1) as f64 * fraction).round() as usize;
    sorted[at]
}

/// Prints a row: median time and ratio, and spread.
fn report(name: &str, fill: usize, mut times: Vec<f64>, mut ratios: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    ratios.sort_by(f64::total_cmp);
    let median = quantile(&ratios, 0.5);
    let spread = (quantile(&ratios, 0.9) - quantile(&ratios, 0.1)) / median;
    let best = times[0] / 1000.0;
    let typical = quantile(&times, 0.5) / 1000.0;
    println!(
        "{name:30} fill {fill:3}  {typical:8.2} us/batch (best {best:8.2})  {median:6.2} x  spread {spread:.2}"
    );
}

macro_rules! measure {
    ($name:ident, $curve:ident, $hash:ident, $signing:ident, $verification:ident) => {
        fn $name(kernels: Kernels, fills: &[usize]) {
            use keylane_kernels::$curve::{
                Job, SCALAR_LEN, SIGNATURE_LEN, SigningKey, Workspace, check, sign, sign_with_nonces,
            };

            let pairs: Vec<_> =
                (0..KEYS).map(|_| EcdsaKeyPair::generate(&$signing).expect("a key")).collect();
            let keys: Vec<_> = pairs
                .iter()
                .map(|pair| {
                    let private = pair.private_key().as_be_bytes().expect("its number");
                    SigningKey::new(private.as_ref().try_into().expect("its length")).expect("its range")
                })
                .collect();
            let messages: Vec<_> = (0..KEYS).map(|i| format!("message {i}")).collect();
            let digests: Vec<Digest> =
                messages.iter().map(|message| digest(&$hash, message.as_bytes())).collect();
            let octets: Vec<[u8; SCALAR_LEN]> =
                digests.iter().map(|digest| digest.as_ref().try_into().expect("its length")).collect();
            let mut nonces = vec![[0; 64]; KEYS];
            aws_lc_rs::rand::fill(nonces.as_flattened_mut()).expect("random octets");
            let mut random = |to: &mut [u8]| aws_lc_rs::rand::fill(to).map_err(|_| RandomFailed);
            let mut work = Box::new(Workspace::new());
            for &fill in fills {
                let jobs: Vec<_> =
                    keys.iter().zip(&octets).take(fill).map(|(key, digest)| Job { key, digest }).collect();
                let mut results: Vec<Result<_, _>> = (0..fill).map(|_| Err(Fault::Wrong)).collect();
                let mut out: Vec<Result<_, _>> = (0..fill).map(|_| Err(Fault::Wrong)).collect();
                sign(kernels, &jobs, &mut random, &mut work, &mut results);
                check(kernels, &jobs, &mut work, &mut results, &mut out);
                for (i, signature) in out.iter().enumerate() {
                    let signature: &[u8; SIGNATURE_LEN] =
                        signature.as_ref().expect("a checked signature").get();
                    let public = UnparsedPublicKey::new(&$verification, pairs[i].public_key());
                    public.verify(messages[i].as_bytes(), signature).expect("a signature");
                }
                let (mut bare, mut whole) = ((vec![], vec![]), (vec![], vec![]));
                let mut with_check = (vec![], vec![]);
                let mut next = 0;
                for _ in 0..TURNS {
                    let scalar = slice(|| {
                        next = (next + 1) % KEYS;
                        black_box(pairs[next].sign_digest(&digests[next]).expect("a signature"));
                    });
                    let batch = slice(|| {
                        sign_with_nonces(kernels, &jobs, &nonces, &mut work, black_box(&mut results))
                    });
                    let and_check = slice(|| {
                        sign_with_nonces(kernels, &jobs, &nonces, &mut work, &mut results);
                        check(kernels, &jobs, &mut work, &mut results, &mut out);
                    });
                    let checked = slice(|| {
                        sign(kernels, &jobs, &mut random, &mut work, &mut results);
                        check(kernels, &jobs, &mut work, &mut results, &mut out);
                        assert!(out.iter().all(Result::is_ok), "a wrong signature");
                    });
                    #[expect(clippy::cast_precision_loss, reason = "at most 128")]
                    let all = scalar * fill as f64;
                    bare.0.push(batch);
                    bare.1.push(all / batch);
                    with_check.0.push(and_check);
                    with_check.1.push(all / and_check);
                    whole.0.push(checked);
                    whole.1.push(all / checked);
                }
                let tier = kernels.tier().name();
                report(&format!(concat!(stringify!($curve), " {} bare"), tier), fill, bare.0, bare.1);
                report(
                    &format!(concat!(stringify!($curve), " {} and check"), tier),
                    fill,
                    with_check.0,
                    with_check.1,
                );
                report(
                    &format!(concat!(stringify!($curve), " {} hedged, checked"), tier),
                    fill,
                    whole.0,
                    whole.1,
                );
            }
        }
    };
}

measure!(measure_p256, p256, SHA256, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256_SHA256_FIXED);
measure!(measure_p384, p384, SHA384, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED);

fn main() {
    let fast = Kernels::select().expect("kernels that compute");
    measure_p256(fast, &[1, 2, 4, 8, 16, 32, 64, 128]);
    measure_p384(fast, &[8, 16, 64, 128]);
    if std::env::args().any(|argument| argument == "--portable") {
        let portable = Kernels::with_tier(Tier::Portable).expect("kernels that compute");
        measure_p256(portable, &[8, 64]);
        measure_p384(portable, &[8, 64]);
    }
}
