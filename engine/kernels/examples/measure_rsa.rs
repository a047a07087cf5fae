//! RSA private operations against aws-lc-rs on one core, in short interleaved slices.
//!
//! `cargo run --release -p keylane-kernels --example measure_rsa [2048|3072|4096]`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a measurement may end by failing, and counts little"
)]

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use keylane_kernels::random::RandomFailed;
use keylane_kernels::rsa::{Blinding, Job, PrivateKey, PrivateParts, Workspace, check, sign, sign_unblinded};
use keylane_kernels::{Fault, Kernels};
use rustix::time::{ClockId, clock_gettime};

#[path = "../src/rsa/tests/keys.rs"]
mod keys;

const SLICES: usize = 120;
const USES_PER_DRAW: f64 = 256.0;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |size: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == size);
    if is_wanted("2048") {
        measure::<2, 4, 256>(KeySize::Rsa2048);
    }
    if is_wanted("3072") {
        measure::<3, 6, 384>(KeySize::Rsa3072);
    }
    if is_wanted("4096") {
        measure::<4, 8, 512>(KeySize::Rsa4096);
    }
}

fn random(octets: &mut [u8]) -> Result<(), RandomFailed> {
    SystemRandom::new().fill(octets).map_err(|_| RandomFailed)
}

/// Microseconds of this thread's processor time, so that waiting for the processor does not count.
fn timed(f: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    };
    let start = now();
    f();
    now() - start
}

/// Median, and (p90 − p10)/median.
fn summary(mut samples: Vec<f64>) -> (f64, f64) {
    samples.sort_by(f64::total_cmp);
    let at = |percent: usize| samples[samples.len() * percent / 100];
    (at(50), (at(90) - at(10)) / at(50))
}

fn measure<const HALF: usize, const FULL: usize, const OCTETS: usize>(size: KeySize) {
    let kernels = Kernels::select().expect("a tier");
    let numbers: Vec<_> = (0..8).map(|_| keys::generate(size)).collect();
    let prepared: Vec<PrivateKey<HALF, FULL, OCTETS>> = numbers
        .iter()
        .map(|numbers| {
            let [modulus, public_exponent, _, p, q, dp, dq, q_inverse] = &numbers.integers[..] else {
                panic!("eight numbers")
            };
            let parts = PrivateParts { modulus, public_exponent, p, q, dp, dq, q_inverse };
            PrivateKey::new(kernels, &parts).expect("a key")
        })
        .collect();
    let mut work = Box::new(Workspace::<HALF, FULL>::ZERO);
    println!("RSA-{} on {}; workspace {} KB", 8 * OCTETS, kernels.tier().name(), size_of_val(&*work) / 1024);
    let mut blindings = vec![Blinding::<FULL>::EMPTY; 8];
    let renewal = (0..8).map(|place| {
        timed(|| blindings[place].renew(kernels, &prepared[place], &mut random, &mut work).expect("random"))
    });
    let (renewal, _) = summary(renewal.collect());
    println!("  a key's blinding {renewal:.0} µs, once in {USES_PER_DRAW} uses");
    for fill in [1, 2, 3, 4, 8, 16, 64] {
        let messages: Vec<[u8; OCTETS]> = (0..fill).map(|place| keys::encoded(&[place])).collect();
        let jobs: Vec<_> = messages
            .iter()
            .enumerate()
            .map(|(place, message)| Job { key: &prepared[place % 8], message, blinding: place % 8 })
            .collect();
        let mut results: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
        let mut checked: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
        let mut samples = [const { Vec::new() }; 4];
        let mut signature = [0; OCTETS];
        for slice in 0..SLICES {
            for blinding in 0..8 {
                blindings[blinding]
                    .renew(kernels, &prepared[blinding], &mut random, &mut work)
                    .expect("random");
            }
            let scalar = timed(|| {
                for numbers in &numbers {
                    let random = SystemRandom::new();
                    numbers
                        .pair
                        .sign(&RSA_PKCS1_SHA256, &random, &[slice as u8], &mut signature)
                        .expect("signs");
                }
            }) / 8.0;
            let bare = timed(|| sign_unblinded(kernels, &jobs, &mut work, &mut results).expect("runs"));
            let blinded = timed(|| {
                sign(kernels, &jobs, &mut blindings, &mut random, &mut work, &mut results).expect("runs");
            });
            let checks = timed(|| {
                check(kernels, &jobs, &mut blindings, &mut work, &mut results, &mut checked).expect("runs");
            });
            assert!(checked.iter().all(Result::is_ok));
            let jobs = jobs.len() as f64;
            let full = blinded + checks + renewal * jobs / USES_PER_DRAW;
            for (samples, sample) in samples.iter_mut().zip([scalar, bare, full, checks]) {
                samples.push(sample);
            }
        }
        report(usize::from(fill), samples);
    }
}

fn report(fill: usize, [scalar, bare, full, checks]: [Vec<f64>; 4]) {
    let jobs = fill as f64;
    let ratios = |of: &[f64]| summary(scalar.iter().zip(of).map(|(scalar, of)| scalar * jobs / of).collect());
    let ((bare_ratio, bare_spread), (full_ratio, full_spread)) = (ratios(&bare), ratios(&full));
    let [scalar, bare, full, checks] = [scalar, bare, full, checks].map(|samples| summary(samples).0);
    println!(
        "  fill {fill:3}: aws-lc {scalar:6.0} µs; bare {bare:7.0} µs = {bare_ratio:.2}x (spread {bare_spread:.2}), {:.0}/s; \
         blinded and checked {full:7.0} µs = {full_ratio:.2}x (spread {full_spread:.2}); check {checks:.1} µs",
        jobs / bare * 1e6
    );
}
