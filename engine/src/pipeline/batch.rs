//! Stage 3, [`Admitted`] → [`Batch`]: per algorithm, across keys, sessions and tenants.
//!
//! After each round of intake one slice leaves, as full as what has come lets it be: an idle engine never delays a lone
//! request, and a busy one gathers while it computes.

use std::collections::VecDeque;

use keylane_api::Algorithm;

use super::request::Admitted;
use crate::limits::{BATCH_MAX, RSA_SLICE_MAX, WORKER_REQUESTS_MAX};

/// Operations of one algorithm that run together.
pub struct Batch {
    /// Which.
    pub algorithm: Algorithm,
    /// At most [`slice_max`] of them.
    pub operations: Vec<Admitted>,
}

/// Operations of a batch between two rounds of intake.
pub const fn slice_max(algorithm: Algorithm) -> usize {
    if algorithm.is_rsa() { RSA_SLICE_MAX } else { BATCH_MAX }
}

struct Class {
    algorithm: Algorithm,
    waiting: VecDeque<(u64, Admitted)>,
}

/// Gathers admitted operations.
pub struct Batcher {
    classes: Vec<Class>,
    arrivals: u64,
    spare: Vec<Admitted>,
}

impl Default for Batcher {
    /// An empty batcher; allocates what it will ever need.
    fn default() -> Self {
        let class = |algorithm| Class { algorithm, waiting: VecDeque::with_capacity(WORKER_REQUESTS_MAX) };
        Self {
            classes: Algorithm::ALL.into_iter().map(class).collect(),
            arrivals: 0,
            spare: Vec::with_capacity(BATCH_MAX),
        }
    }
}

impl Batcher {
    /// Adds an operation.
    pub fn add(&mut self, admitted: Admitted) {
        self.arrivals += 1;
        let algorithm = admitted.key.algorithm;
        if let Some(class) = self.classes.iter_mut().find(|class| class.algorithm == algorithm) {
            class.waiting.push_back((self.arrivals, admitted));
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.classes.iter().all(|class| class.waiting.is_empty())
    }

    /// The next slice: of the class whose oldest operation has waited longest.
    pub fn next_slice(&mut self) -> Option<Batch> {
        let oldest = |class: &&mut Class| class.waiting.front().map_or(u64::MAX, |(arrival, _)| *arrival);
        let class = self.classes.iter_mut().min_by_key(oldest).filter(|class| !class.waiting.is_empty())?;
        let fill = class.waiting.len().min(slice_max(class.algorithm));
        let mut operations = std::mem::take(&mut self.spare);
        operations.extend(class.waiting.drain(..fill).map(|(_, admitted)| admitted));
        Some(Batch { algorithm: class.algorithm, operations })
    }

    /// Takes back the empty vector of a batch that has run.
    pub fn recycle(&mut self, operations: Vec<Admitted>) {
        debug_assert!(operations.is_empty(), "a batch runs to its end");
        self.spare = operations;
    }
}
