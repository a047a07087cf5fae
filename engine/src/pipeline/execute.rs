//! Stage 5, [`ReadyOperation`] → [`Computed`]: the scalar path, one operation at a time.

use super::lookup::ReadyOperation;
use super::request::{Buffer, Buffers, result_room};
use crate::crypto::{ExecuteError, Unchecked};

/// An operation that has run, with a result that nobody may see yet.
pub struct Computed {
    /// The operation.
    pub operation: ReadyOperation,
    /// Completion entry with the signature in place.
    pub result: Buffer,
    /// Evidence that there is one, or why not.
    pub outcome: Result<Unchecked, ExecuteError>,
}

/// Runs one operation. Gives it back when no buffer is left for its result, which admission's bound excludes.
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
