//! What it costs to hand work to another worker and to get it back: to a thread, by pointer or through a ring, and to
//! a process, through the ring. The figures behind `docs/adr/0001-workers-as-threads.md`.
//!
//! `cargo bench -p keylane-benches --bench handoff`

#![allow(clippy::expect_used, reason = "a measurement that cannot be made ends the program")]

use std::env;

use criterion::{BenchmarkId, Criterion, Throughput};

mod peer;
mod pointer;
mod ring;

use peer::Peer;
use ring::Waiting;

/// Octets of a request as a batch carries it: header, message and room for the result.
const REQUEST_BYTES: u32 = 512;

fn main() {
    if let Some(waiting) = env::var_os(peer::VARIABLE) {
        return peer::serve(Waiting::from_name(&waiting.to_string_lossy()));
    }
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}

fn bench(criterion: &mut Criterion) {
    // One request, and the batch that fills a vector of eight lanes.
    for requests in [1, 8] {
        let mut group = criterion.benchmark_group(format!("hand {requests} requests over and back"));
        group.throughput(Throughput::Elements(u64::from(requests)));
        for waiting in Waiting::ALL {
            let name = |how| BenchmarkId::new(how, waiting.name());
            group.bench_function(name("thread, by pointer"), |bencher| {
                pointer::with_thread(waiting, requests, |round_trip| bencher.iter(round_trip));
            });
            group.bench_function(name("thread, through a ring"), |bencher| {
                with_peer(Peer::Thread, waiting, requests, |round_trip| bencher.iter(round_trip));
            });
            group.bench_function(name("process, through a ring"), |bencher| {
                with_peer(Peer::Process, waiting, requests, |round_trip| bencher.iter(round_trip));
            });
        }
        group.finish();
    }
}

/// Calls `measure` with a function that sends `requests` to a peer and takes as many back.
fn with_peer(peer: Peer, waiting: Waiting, requests: u32, measure: impl FnOnce(&mut dyn FnMut())) {
    let (mut near, far) = ring::create();
    let running = peer.start(far, waiting);
    measure(&mut || near.round_trip(requests, waiting));
    near.stop();
    running.wait();
}
