//! What `keylane status` shows: a snapshot of the engine's state and counters.
//!
//! It travels as JSON, and what an older engine does not say reads as zero: `keylane` and engine may differ in version.

use serde::{Deserialize, Serialize};

/// Snapshot of a running engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Version of the engine.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Seconds since it was ready.
    pub uptime_s: u64,
    /// Whether it takes requests.
    pub ready: bool,
    /// Client socket paths.
    pub listeners: Vec<String>,
    /// `io_uring` or `epoll`.
    pub control_backend: String,
    /// `scalar`, or the kernels' tier.
    pub kernels: String,
    /// Where keys lie in memory.
    pub secret_memory: SecretMemory,
    /// Open sessions.
    pub sessions: u64,
    /// Sessions detached since start because the peer broke protocol.
    pub quarantined: u64,
    /// Slots of the token.
    pub slots: u64,
    /// Keys of the token.
    pub keys: u64,
    /// Prepared key contexts.
    pub contexts: u64,
    /// Epoch of the store.
    pub store_epoch: u64,
    /// State of the audit log.
    pub audit: Audit,
    /// One per worker.
    pub workers: Vec<Worker>,
}

/// Where keys lie in memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretMemory {
    /// `memfd_secret` or `mlock`.
    pub protection: String,
    /// Octets of the arena.
    pub bytes: u64,
    /// Octets in use.
    pub used_bytes: u64,
}

/// State of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Audit {
    /// Sequence number of the next record.
    pub next_sequence: u64,
    /// Records fsynced since start.
    pub durable_records: u64,
    /// Segments kept.
    pub segments: u64,
    /// Requests refused because the log was full.
    pub refused_full: u64,
}

/// Counters of one worker since start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Worker {
    /// Its index.
    pub worker: u32,
    /// The core that it is pinned to, if it is.
    pub core: Option<u32>,
    /// Channels that it owns.
    pub channels: u64,
    /// Requests taken in.
    pub requests: u64,
    /// Requests answered with a result.
    pub succeeded: u64,
    /// Requests refused by policy or load.
    pub refused: u64,
    /// Malformed requests.
    pub faults: u64,
    /// Requests that the engine failed.
    pub errors: u64,
    /// Requests refused because the audit log was full.
    pub audit_full: u64,
    /// Results that did not pass their check and were redone.
    pub check_failures: u64,
    /// Signatures made.
    pub signatures: u64,
    /// Those that the kernels made, rather than the scalar path.
    pub by_kernels: u64,
    /// Batches executed.
    pub batches: u64,
    /// Batches by fill, index 0 for a fill of 1; the last counts all larger ones.
    pub fill_histogram: Vec<u64>,
    /// Context look-ups that found a prepared context.
    pub context_hits: u64,
    /// Context look-ups that had to wait for the keeper.
    pub context_misses: u64,
    /// Times that it slept.
    pub parks: u64,
    /// Clients that it woke.
    pub wakes: u64,
    /// System calls that its loop made.
    pub syscalls: u64,
    /// Processor time that it used, in nanoseconds.
    pub cpu_ns: u64,
}

impl Worker {
    /// Mean operations of a batch; zero before the first.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people; counters stay far below 2^52")]
    pub fn mean_fill(&self) -> f64 {
        if self.batches == 0 { 0.0 } else { self.signatures as f64 / self.batches as f64 }
    }
}
