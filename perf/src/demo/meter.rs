//! What the engine did between two instants, from its own counters and from Linux's.

use std::time::Duration;

use keylane_engine::admin::status::Worker;

use super::token::Token;
use crate::failure::Failure;
use crate::processor_time;

/// Counters of the whole engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Processor time of the process, all threads.
    pub cpu: Duration,
    /// Requests taken in.
    pub requests: u64,
    /// Signatures made.
    pub signatures: u64,
    /// Batches executed.
    pub batches: u64,
    /// Batches by fill, from 1 on.
    pub fill_histogram: Vec<u64>,
    /// Look-ups of a prepared key.
    pub context_lookups: u64,
    /// Those that found one.
    pub context_hits: u64,
    /// System calls of the workers.
    pub syscalls: u64,
}

impl Counters {
    /// The counters now.
    pub fn read(token: &mut Token) -> Result<Self, Failure> {
        let cpu = processor_time::of_process(token.engine_pid())?;
        let workers = token.status()?.workers;
        Ok(workers.iter().fold(Self { cpu, ..Self::default() }, Self::plus))
    }

    fn plus(mut self, worker: &Worker) -> Self {
        self.requests += worker.requests;
        self.signatures += worker.signatures;
        self.batches += worker.batches;
        self.context_lookups += worker.context_hits + worker.context_misses;
        self.context_hits += worker.context_hits;
        self.syscalls += worker.syscalls;
        let fills = &worker.fill_histogram;
        self.fill_histogram.resize(self.fill_histogram.len().max(fills.len()), 0);
        self.fill_histogram.iter_mut().zip(fills).for_each(|(sum, fill)| *sum += fill);
        self
    }

    /// What happened since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let earlier = before.fill_histogram.iter().copied().chain(std::iter::repeat(0));
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            requests: self.requests - before.requests,
            signatures: self.signatures - before.signatures,
            batches: self.batches - before.batches,
            fill_histogram: self.fill_histogram.iter().zip(earlier).map(|(now, then)| now - then).collect(),
            context_lookups: self.context_lookups - before.context_lookups,
            context_hits: self.context_hits - before.context_hits,
            syscalls: self.syscalls - before.syscalls,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_added_up_and_the_past_is_taken_off() {
        let worker = |requests, fill_histogram: &[u64]| Worker {
            requests,
            context_hits: 3,
            context_misses: 1,
            fill_histogram: fill_histogram.to_vec(),
            ..Worker::default()
        };
        let one = Counters::default().plus(&worker(5, &[1]));
        let both = one.clone().plus(&worker(7, &[2, 4]));
        assert_eq!((both.requests, both.context_lookups, both.context_hits), (12, 8, 6));
        assert_eq!(both.fill_histogram, [3, 4]);
        let since = both.since(&one);
        assert_eq!((since.requests, since.fill_histogram), (7, vec![2, 4]));
    }
}
