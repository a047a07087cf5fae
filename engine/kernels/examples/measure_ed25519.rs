//! Ed25519 against aws-lc-rs, interleaved: `cargo run --release -p keylane-kernels --example measure_ed25519`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints, or stops")]
#![allow(clippy::cast_precision_loss, reason = "ratios of times")]

use std::time::{Duration, Instant};

use aws_lc_rs::signature::Ed25519KeyPair;
use keylane_kernels::{Fault, Kernels, RandomFailed, Tier, ed25519};

/// How long one slice runs before the next implementation's turn.
const SLICE: Duration = Duration::from_millis(3);
/// Calls between two looks at the clock.
const CALLS: u32 = 4;
const SLICES: usize = 101;

fn random(octets: &mut [u8]) -> Result<(), RandomFailed> {
    aws_lc_rs::rand::fill(octets).map_err(|_| RandomFailed)
}

/// Nanoseconds per call: the best of a slice, so that a preemption does not count.
fn slice(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = Duration::MAX;
    while start.elapsed() < SLICE {
        let turn = Instant::now();
        (0..CALLS).for_each(|_| call());
        best = best.min(turn.elapsed());
    }
    best.as_nanos() as f64 / f64::from(CALLS)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn report(name: &str, fill: usize, batch: &[f64], one: &[f64]) {
    let ratios = sorted(batch.iter().zip(one).map(|(batch, one)| one * fill as f64 / batch).collect());
    let at = |percent: usize| ratios[(ratios.len() - 1) * percent / 100];
    let median = sorted(batch.to_vec())[batch.len() / 2];
    println!(
        "{name:24} fill {fill:3}: {:7.0} ns/op, {:6.2} µs/batch, {:5.2} × aws-lc-rs (spread {:.2})",
        median / fill as f64,
        median / 1e3,
        at(50),
        (at(90) - at(10)) / at(50)
    );
}

fn main() {
    let message = [0x20; 130];
    let seeds: Vec<[u8; 32]> = (0..128u8).map(|number| [number; 32]).collect();
    let oracle: Vec<_> =
        seeds.iter().map(|seed| Ed25519KeyPair::from_seed_unchecked(seed).unwrap()).collect();
    for tier in Tier::ALL.into_iter().rev().filter(|tier| tier.is_available()) {
        let kernels = Kernels::with_tier(tier).unwrap();
        let keys: Vec<_> =
            seeds.iter().map(|seed| ed25519::Key::new(kernels, seed, &mut random).unwrap()).collect();
        let mut work = Box::new(ed25519::Workspace::default());
        for fill in [1, 2, 4, 8, 16, 32, 64, 128] {
            let jobs: Vec<_> =
                keys[..fill].iter().map(|key| ed25519::Job { key, message: &message }).collect();
            let mut results: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
            let mut out: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
            let (mut one, mut bare, mut checked) = (Vec::new(), Vec::new(), Vec::new());
            let mut turn = 0;
            let slices = if tier == Tier::Portable { 5 } else { SLICES };
            for _ in 0..slices {
                one.push(slice(|| {
                    turn = (turn + 1) % fill;
                    std::hint::black_box(oracle[turn].sign(&message));
                }));
                bare.push(slice(|| ed25519::sign(kernels, &jobs, &mut work, &mut results)));
                checked.push(slice(|| {
                    ed25519::sign(kernels, &jobs, &mut work, &mut results);
                    ed25519::check(kernels, &jobs, &mut random, &mut work, &results, &mut out);
                }));
            }
            for (result, oracle) in out.iter().zip(&oracle) {
                assert_eq!(result.as_ref().unwrap().get(), oracle.sign(&message).as_ref());
            }
            if fill == 1 {
                println!("aws-lc-rs: {:.0} ns/op", sorted(one.clone())[one.len() / 2]);
            }
            report(&format!("{} bare", tier.name()), fill, &bare, &one);
            report(&format!("{} checked", tier.name()), fill, &checked, &one);
        }
    }
}
