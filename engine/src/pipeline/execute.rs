//! Stage 5: [`Ready`] → results in the kernels' memory, a batch at once; or, on the scalar path, [`ReadyOperation`] →
//! [`Computed`], one at a time.

use super::lookup::{Ready, ReadyOperation};
use super::request::{Buffer, Buffers, result_room};
use crate::crypto::{ExecuteError, MultiBuffer, Operation, Unchecked};
use crate::limits::BATCH_MAX;

/// An operation that has run, with a result that nobody may see yet.
pub struct Computed {
    /// The operation.
    pub operation: ReadyOperation,
    /// Completion entry with the signature in place.
    pub result: Buffer,
    /// Evidence that there is one, or why not.
    pub outcome: Result<Unchecked, ExecuteError>,
}

/// Signs a batch on the kernels, which then hold results that nobody may see yet. `false` when it is for the scalar path.
pub fn batch(ready: &Ready, kernels: &mut MultiBuffer) -> bool {
    let fill = ready.operations.len();
    kernels.takes(ready.algorithm, fill)
        && operations(ready).is_some_and(|all| kernels.sign(ready.algorithm, &all[..fill]))
}

/// The batch as the kernels take it, in an array that repeats the first behind the last.
pub(super) fn operations(ready: &Ready) -> Option<[Operation<'_>; BATCH_MAX]> {
    let mut all = [ready.operations.first()?.operation(); BATCH_MAX];
    for (to, ready) in all.iter_mut().zip(&ready.operations) {
        *to = ready.operation();
    }
    Some(all)
}

impl ReadyOperation {
    fn operation(&self) -> Operation<'_> {
        Operation { context: &self.context, scheme: self.admitted.scheme, input: self.admitted.input() }
    }
}

/// Runs one operation on the scalar path. Gives it back when no buffer is left for its result, which admission's bound excludes.
pub fn scalar(operation: ReadyOperation, buffers: &mut Buffers) -> Result<Computed, ReadyOperation> {
    let Some(mut result) = buffers.take() else { return Err(operation) };
    let outcome = sign(&operation, &mut result);
    Ok(Computed { operation, result, outcome })
}

/// Signs into `result`'s payload; each call draws a fresh nonce.
pub fn sign(operation: &ReadyOperation, result: &mut Buffer) -> Result<Unchecked, ExecuteError> {
    let admitted = &operation.admitted;
    operation.context.sign(admitted.scheme, admitted.input(), result_room(result))
}
