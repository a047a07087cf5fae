//! Stage 4, [`Batch`] + key contexts → [`Ready`]: each context is pinned for the run; a missing one is prepared by
//! the preparer while its requests wait here, in nobody's way.

use std::sync::Arc;

use keylane_api::{Algorithm, Status};

use super::audit::Auditor;
use super::batch::{Batch, Batcher};
use super::request::{Admitted, Answer, Buffers};
use crate::counters::Counters;
use crate::crypto::KeyContext;
use crate::directory::KeyRecord;
use crate::limits::{BATCH_MAX, LOOKUP_WAITING_MAX};
use crate::mailbox::Mailbox;
use crate::messages::PreparerJob;

/// An operation and its pinned context.
pub struct ReadyOperation {
    /// The operation.
    pub admitted: Admitted,
    /// Its key, prepared.
    pub context: Arc<KeyContext>,
}

/// A batch that can run.
pub struct Ready {
    /// What its keys are.
    pub algorithm: Algorithm,
    /// In the order of arrival.
    pub operations: Vec<ReadyOperation>,
}

/// Finds contexts, and keeps the requests whose context is being prepared.
pub struct Lookup {
    worker: usize,
    preparer: Arc<Mailbox<PreparerJob>>,
    waiting: Vec<Admitted>,
    spare: Vec<ReadyOperation>,
}

impl Lookup {
    /// For this worker.
    pub fn new(worker: usize, preparer: Arc<Mailbox<PreparerJob>>) -> Self {
        Self {
            worker,
            preparer,
            waiting: Vec::with_capacity(LOOKUP_WAITING_MAX),
            spare: Vec::with_capacity(BATCH_MAX),
        }
    }

    /// Pins the contexts of a batch. Operations without one are set aside, or answered if the preparer has no room.
    pub fn pin(
        &mut self,
        batch: &mut Batch,
        auditor: &mut Auditor,
        buffers: &mut Buffers,
        counters: &Counters,
        mut answered: impl FnMut(Answer),
    ) -> Ready {
        let mut operations = std::mem::take(&mut self.spare);
        let now = auditor.now();
        for mut admitted in batch.operations.drain(..) {
            if let Some(status) = admitted.lapsed(now) {
                answered(auditor.refused(admitted, status, buffers));
                continue;
            }
            if let Some(context) = admitted.key.context.pin().or_else(|| admitted.prepared.take()) {
                counters.context_hits.add(1);
                operations.push(ReadyOperation { admitted, context });
                continue;
            }
            counters.context_misses.add(1);
            match self.ask(&admitted.key) {
                Ok(()) => self.waiting.push(admitted),
                Err(status) => answered(auditor.refused(admitted, status, buffers)),
            }
        }
        Ready { algorithm: batch.algorithm, operations }
    }

    fn ask(&self, key: &Arc<KeyRecord>) -> Result<(), Status> {
        if self.waiting.len() >= LOOKUP_WAITING_MAX {
            return Err(Status::Busy);
        }
        // Every worker asks for itself, and is answered itself; while it waits, one question is enough.
        if self.waiting.iter().any(|waiting| waiting.key.key == key.key) {
            return Ok(());
        }
        let job = PreparerJob::Prepare { key: Arc::clone(key), worker: self.worker };
        self.preparer.send(job).map_err(|_| Status::Busy)
    }

    /// The preparer has prepared a context, or could not: its requests go on, or back.
    pub fn ready(
        &mut self,
        key: &KeyRecord,
        outcome: &Result<Arc<KeyContext>, Status>,
        batcher: &mut Batcher,
        auditor: &mut Auditor,
        buffers: &mut Buffers,
        mut answered: impl FnMut(Answer),
    ) {
        for mut admitted in self.waiting.extract_if(.., |waiting| waiting.key.key == key.key) {
            match outcome {
                Ok(context) => {
                    admitted.prepared = Some(Arc::clone(context));
                    batcher.add(admitted);
                }
                Err(status) => answered(auditor.refused(admitted, *status, buffers)),
            }
        }
    }

    /// Whether no request waits for a context.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes back the empty vector of a batch that has run.
    pub fn recycle(&mut self, operations: Vec<ReadyOperation>) {
        debug_assert!(operations.is_empty(), "a batch runs to its end");
        self.spare = operations;
    }
}
