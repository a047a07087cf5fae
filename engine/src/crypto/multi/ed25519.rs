//! Batches of Ed25519.

use keylane_kernels::ed25519::{Job, Key, Workspace, check, sign};
use keylane_kernels::{Fault, Kernels, Unchecked};

use super::super::lane_key::random;
use super::{Give, Operation, Room};
use crate::limits::BATCH_MAX;
use crate::os::secret::SecretBox;
use crate::policy::Input;

/// See [`Room`].
pub(super) struct EdRoom {
    work: Workspace,
    results: [Result<Unchecked<[u8; 64]>, Fault>; BATCH_MAX],
}

impl Default for EdRoom {
    fn default() -> Self {
        Self { work: Workspace::default(), results: [const { Err(Fault::Wrong) }; BATCH_MAX] }
    }
}

fn job<'a>(operation: &Operation<'a>) -> Option<Job<'a>> {
    let key: &SecretBox<Key> = operation.key()?;
    // Ed25519 hashes in its own way: there is no digest to sign.
    let Input::Message(message) = operation.input else { return None };
    Some(Job { key, message })
}

/// The batch's jobs, in an array that repeats the first behind the last; `None` unless all are for this kernel.
fn jobs<'a>(operations: &[Operation<'a>]) -> Option<[Job<'a>; BATCH_MAX]> {
    let mut jobs = [job(operations.first()?)?; BATCH_MAX];
    for (to, operation) in jobs.iter_mut().zip(operations) {
        *to = job(operation)?;
    }
    Some(jobs)
}

impl Room for EdRoom {
    fn sign(&mut self, kernels: Kernels, operations: &[Operation<'_>]) -> bool {
        let fill = operations.len();
        let Some(jobs) = jobs(operations) else { return false };
        sign(kernels, &jobs[..fill], &mut self.work, &mut self.results[..fill]);
        true
    }

    fn check(&mut self, kernels: Kernels, operations: &[Operation<'_>], give: Give<'_>) {
        let fill = operations.len();
        let Some(jobs) = jobs(operations) else { return };
        let mut checked = [const { Err(Fault::Wrong) }; BATCH_MAX];
        let (work, results) = (&mut self.work, &self.results[..fill]);
        check(kernels, &jobs[..fill], &mut random, work, results, &mut checked[..fill]);
        for (number, outcome) in checked[..fill].iter().enumerate() {
            give(number, outcome.as_ref().map(|checked| checked.get().as_slice()).map_err(|&fault| fault));
        }
    }
}
