//! Counters of a worker: written by it alone, read by the control thread.

use std::fs;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::admin::status;
use crate::limits::BATCH_MAX;

/// A count with one writer: a load and a store, no locked instruction.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to the count; only its writer may.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a worker counts.
        pub struct Counters {
            $($(#[$doc])* pub $name: Count,)*
            /// Batches by fill, index 0 for a fill of 1.
            pub fill: [Count; BATCH_MAX],
            worker: u32,
            core: Option<u32>,
            thread: AtomicU32,
        }

        impl Counters {
            /// Counters of this worker.
            pub fn new(worker: u32, core: Option<u32>) -> Self {
                Self {
                    $($name: Count::default(),)*
                    fill: std::array::from_fn(|_| Count::default()),
                    worker,
                    core,
                    thread: AtomicU32::new(0),
                }
            }

            /// A snapshot for `keylane status`.
            pub fn snapshot(&self) -> status::Worker {
                status::Worker {
                    worker: self.worker,
                    core: self.core,
                    fill_histogram: self.fill.iter().map(Count::get).collect(),
                    cpu_ns: cpu_ns(self.thread.load(Ordering::Relaxed)),
                    $($name: self.$name.get(),)*
                }
            }
        }
    };
}

counters! {
    /// Channels opened less channels closed.
    channels,
    /// Requests taken in.
    requests,
    /// Requests answered with a result.
    succeeded,
    /// Requests refused by policy or load.
    refused,
    /// Malformed requests.
    faults,
    /// Requests that the engine failed.
    errors,
    /// Requests refused because the audit log was full.
    audit_full,
    /// Results that did not pass their check.
    check_failures,
    /// Signatures made.
    signatures,
    /// Those that the kernels made.
    by_kernels,
    /// Batches executed.
    batches,
    /// Context look-ups that found a prepared context.
    context_hits,
    /// Context look-ups that had to wait for the keeper.
    context_misses,
    /// Times that it slept.
    parks,
    /// Clients that it woke.
    wakes,
    /// System calls of its loop.
    syscalls,
}

impl Counters {
    /// Called by the worker's thread when it starts.
    pub fn started(&self) {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        self.thread.store(thread.unsigned_abs(), Ordering::Relaxed);
    }
}

/// Processor time of a thread of this process in nanoseconds; zero where `/proc` does not tell.
fn cpu_ns(thread: u32) -> u64 {
    let schedstat = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap_or_default();
    schedstat.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}
