//! Stage 6, results → outcomes whose success carries [`Checked`]: nothing unchecked goes on.

use keylane_api::Status;

use super::execute::{self, Computed};
use super::lookup::Ready;
use super::request::{Buffer, Buffers, result_room};
use crate::counters::Counters;
use keylane_kernels::Fault;

use crate::crypto::{CheckFailed, Checked, ExecuteError, MultiBuffer, Unchecked};

/// A signature that may leave, in the place of its completion's payload.
pub type Signed = (Buffer, Checked);

/// Checks what the kernels hold of a batch: `signed` gets each operation's signature, in their order, or `None` for one that
/// must be made on the scalar path.
pub fn batch(
    ready: &Ready,
    kernels: &mut MultiBuffer,
    buffers: &mut Buffers,
    counters: &Counters,
    signed: &mut Vec<Option<Signed>>,
) {
    let fill = ready.operations.len();
    signed.clear();
    signed.resize_with(fill, || None);
    let Some(all) = execute::operations(ready) else { return };
    kernels.check(ready.algorithm, &all[..fill], |number, outcome| {
        let (checked, signature) = match outcome {
            Ok(right) => right,
            Err(fault) => return report_fault(fault, counters),
        };
        let Some(mut entry) = buffers.take() else { return };
        if let Some(room) = result_room(&mut entry).get_mut(..checked.length())
            && let Some(place) = signed.get_mut(number)
        {
            room.copy_from_slice(signature);
            counters.by_kernels.add(1);
            *place = Some((entry, checked));
        } else {
            buffers.give(entry);
        }
    });
}

/// A nonce that the kernel does not use is no failure, and no randomness is none of the kernel's.
fn report_fault(fault: Fault, counters: &Counters) {
    if matches!(fault, Fault::Nonce | Fault::Random) {
        return;
    }
    if let Some(failures) = count_failure(counters) {
        tracing::error!(failures, %fault, "a result of the kernels was withheld, and is made again on the scalar path");
    }
}

/// Checks a result of the scalar path. A faulty one is redone once, with a fresh nonce, and counted; if that is faulty too, the key
/// context or the machine is broken and the request fails.
pub fn check(computed: &mut Computed, counters: &Counters) -> Result<Checked, Status> {
    for attempt in 0..2 {
        if attempt == 1 {
            computed.outcome = execute::sign(&computed.operation, &mut computed.result);
        }
        let outcome = std::mem::replace(&mut computed.outcome, Err(ExecuteError::Failed));
        match outcome.map_err(Withheld::from).and_then(|unchecked| verify(computed, unchecked)) {
            Ok(checked) => return Ok(checked),
            Err(Withheld::NoMemory) => return Err(Status::ContextsFull),
            Err(Withheld::Wrong) => report(computed, counters),
        }
    }
    Err(Status::CheckFailed)
}

/// Why there is nothing to send yet.
enum Withheld {
    /// The machine computed wrongly.
    Wrong,
    /// Secret memory was full: nobody's fault, and no better at once.
    NoMemory,
}

impl From<ExecuteError> for Withheld {
    fn from(error: ExecuteError) -> Self {
        if error == ExecuteError::OutOfMemory { Self::NoMemory } else { Self::Wrong }
    }
}

impl From<CheckFailed> for Withheld {
    fn from(error: CheckFailed) -> Self {
        if error == CheckFailed::OutOfMemory { Self::NoMemory } else { Self::Wrong }
    }
}

fn verify(computed: &mut Computed, unchecked: Unchecked) -> Result<Checked, Withheld> {
    let admitted = &computed.operation.admitted;
    let context = &computed.operation.context;
    let room = result_room(&mut computed.result);
    Ok(context.check(admitted.scheme, admitted.input(), room, unchecked)?)
}

/// Counts a failure. Gives the count when it is to be spoken of, less and less often: a broken machine fails at every
/// operation.
fn count_failure(counters: &Counters) -> Option<u64> {
    counters.check_failures.add(1);
    Some(counters.check_failures.get()).filter(|failures| failures.is_power_of_two())
}

fn report(computed: &Computed, counters: &Counters) {
    if let Some(failures) = count_failure(counters) {
        tracing::error!(
            failures,
            key = computed.operation.admitted.key.key.0,
            "a result did not pass its check and was withheld: faulty memory or processor?"
        );
    }
}

/// Overwrites a result that is not sent.
pub fn wipe(result: &mut Buffer) {
    result.fill(0);
}
