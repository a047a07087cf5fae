//! Stage 6, [`Computed`] → an outcome whose success carries [`Checked`]: nothing unchecked goes on.

use keylane_api::Status;

use super::execute::{self, Computed};
use super::request::{Buffer, result_room};
use crate::counters::Counters;
use crate::crypto::{Checked, Unchecked};

/// Checks a result. A faulty one is redone once, with a fresh nonce, and counted; if that is faulty too, the key
/// context or the machine is broken and the request fails.
pub fn check(computed: &mut Computed, counters: &Counters) -> Result<Checked, Status> {
    for attempt in 0..2 {
        if attempt == 1 {
            computed.outcome = execute::sign(&computed.operation, &mut computed.result);
        }
        match std::mem::replace(&mut computed.outcome, Err(crate::crypto::ExecuteError::Failed)) {
            Ok(unchecked) => match verify(computed, unchecked) {
                Some(checked) => return Ok(checked),
                None => report(computed, counters),
            },
            Err(_) => report(computed, counters),
        }
    }
    Err(Status::CheckFailed)
}

fn verify(computed: &mut Computed, unchecked: Unchecked) -> Option<Checked> {
    let admitted = &computed.operation.admitted;
    let context = &computed.operation.context;
    context.check(admitted.scheme, admitted.input(), result_room(&mut computed.result), unchecked).ok()
}

fn report(computed: &Computed, counters: &Counters) {
    counters.check_failures.add(1);
    tracing::error!(
        key = computed.operation.admitted.key.key.0,
        "a result did not pass its check and was withheld: faulty memory or processor?"
    );
}

/// Overwrites a result that is not sent.
pub fn wipe(result: &mut Buffer) {
    result.fill(0);
}
