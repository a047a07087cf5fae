//! X25519 against aws-lc-rs, interleaved: `cargo run --release -p keylane-kernels --example measure_x25519`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints, or stops")]
#![allow(clippy::cast_precision_loss, reason = "ratios of times")]

use std::time::{Duration, Instant};

use aws_lc_rs::agreement;
use keylane_kernels::{Fault, Kernels, x25519};

/// How long one slice runs before the next implementation's turn.
const SLICE: Duration = Duration::from_millis(3);
/// Calls between two looks at the clock.
const CALLS: u32 = 4;
const SLICES: usize = 51;

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
    let (median, one) = (sorted(batch.to_vec())[batch.len() / 2], sorted(one.to_vec())[one.len() / 2]);
    println!(
        "{name} fill {fill:3}: {:7.0} ns/op (aws-lc-rs {one:.0}), {:6.2} µs/batch, {:5.2} × aws-lc-rs (spread {:.2})",
        median / fill as f64,
        median / 1e3,
        at(50),
        (at(90) - at(10)) / at(50)
    );
}

fn main() {
    let kernels = Kernels::select().unwrap();
    println!("{}", kernels.tier().name());
    let secrets: Vec<[u8; 32]> = (0..128u8).map(|number| [number; 32]).collect();
    let oracle: Vec<_> = secrets
        .iter()
        .map(|secret| agreement::PrivateKey::from_private_key(&agreement::X25519, secret).unwrap())
        .collect();
    let mut work = Box::new(x25519::Workspace::default());
    for fill in [1, 2, 4, 8, 16, 32, 64, 128] {
        let own: Vec<_> = secrets[..fill].iter().collect();
        let mut peers: Vec<_> = own.iter().map(|_| Err(Fault::Wrong)).collect();
        x25519::public(kernels, &own, &mut work, &mut peers);
        let peers: Vec<_> = peers.into_iter().rev().map(|peer| *peer.unwrap().expose()).collect();
        let jobs: Vec<_> =
            own.iter().zip(&peers).map(|(secret, peer)| x25519::Job { secret, peer }).collect();
        let mut out: Vec<_> = own.iter().map(|_| Err(Fault::Wrong)).collect();
        let mut times: [Vec<f64>; 4] = Default::default();
        let mut turn = 0;
        for _ in 0..SLICES {
            times[0].push(slice(|| {
                turn = (turn + 1) % fill;
                // Made anew: a key keeps its public value.
                let secret =
                    agreement::PrivateKey::from_private_key(&agreement::X25519, &secrets[turn]).unwrap();
                std::hint::black_box(secret.compute_public_key().unwrap());
            }));
            times[1].push(slice(|| x25519::public(kernels, &own, &mut work, &mut out)));
            times[2].push(slice(|| {
                turn = (turn + 1) % fill;
                let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, &peers[turn]);
                std::hint::black_box(agreement::agree(&oracle[turn], peer, (), |s| Ok(s[0])).unwrap());
            }));
            times[3].push(slice(|| x25519::shared(kernels, &jobs, &mut work, &mut out)));
        }
        for (i, result) in out.iter().enumerate() {
            let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, &peers[i]);
            let expected = agreement::agree(&oracle[i], peer, (), |shared| Ok(shared.to_vec())).unwrap();
            assert_eq!(result.as_ref().unwrap().expose()[..], expected);
        }
        report("public", fill, &times[1], &times[0]);
        report("shared", fill, &times[3], &times[2]);
    }
}
