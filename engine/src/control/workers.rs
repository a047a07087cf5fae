//! The workers as the control thread sees them: where to write to them, and how much each has to do.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::admin::status;
use crate::counters::Counters;
use crate::mailbox::Mailbox;
use crate::messages::ToWorker;

/// The control thread's ends of one worker.
pub struct WorkerPort {
    /// Messages to it.
    pub inbox: Arc<Mailbox<ToWorker>>,
    /// What it counts.
    pub counters: Arc<Counters>,
}

struct Worker {
    port: WorkerPort,
    /// Messages that found the mailbox full; they keep their order and go first.
    backlog: VecDeque<ToWorker>,
    channels: usize,
}

/// Every worker.
pub(super) struct Workers(Vec<Worker>);

impl Workers {
    pub(super) fn new(ports: Vec<WorkerPort>) -> Self {
        Self(ports.into_iter().map(|port| Worker { port, backlog: VecDeque::new(), channels: 0 }).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Sends a message; it is not lost when the mailbox is full.
    pub(super) fn send(&mut self, worker: usize, message: ToWorker) {
        if let Some(worker) = self.0.get_mut(worker) {
            worker.backlog.push_back(message);
            worker.deliver();
        }
    }

    /// Sends a message to each worker.
    pub(super) fn broadcast(&mut self, mut message: impl FnMut() -> ToWorker) {
        for worker in 0..self.0.len() {
            self.send(worker, message());
        }
    }

    /// Tries again what found a mailbox full.
    pub(super) fn deliver(&mut self) {
        self.0.iter_mut().for_each(Worker::deliver);
    }

    /// Whether some worker is behind with its messages; clients cause no further ones then.
    pub(super) fn are_behind(&self) -> bool {
        self.0.iter().any(|worker| !worker.backlog.is_empty())
    }

    /// The worker with the fewest channels.
    pub(super) fn least_busy(&self) -> Option<usize> {
        (0..self.0.len()).min_by_key(|&worker| self.0[worker].channels)
    }

    pub(super) fn channel_opened(&mut self, worker: usize) {
        if let Some(worker) = self.0.get_mut(worker) {
            worker.channels += 1;
        }
    }

    pub(super) fn channel_closed(&mut self, worker: usize) {
        if let Some(worker) = self.0.get_mut(worker) {
            worker.channels = worker.channels.saturating_sub(1);
        }
    }

    /// Their counters.
    pub(super) fn status(&self) -> Vec<status::Worker> {
        self.0.iter().map(|worker| worker.port.counters.snapshot()).collect()
    }

    /// Requests refused because the audit log was full.
    pub(super) fn refused_by_audit(&self) -> u64 {
        self.0.iter().map(|worker| worker.port.counters.audit_full.get()).sum()
    }
}

impl Worker {
    fn deliver(&mut self) {
        while let Some(message) = self.backlog.pop_front() {
            if let Err(message) = self.port.inbox.send(message) {
                self.backlog.push_front(message);
                return;
            }
        }
    }
}
