//! The first transaction of a store: what it is, what opens it, and that there is nothing in it.

use std::path::Path;

use uuid::Uuid;

use super::change::state_row;
use super::commitment::{Fingerprinter, KEY_BYTES, Sum};
use super::error::StoreError;
use super::row::{self, Identity, RowChange, RowId, State};
use super::seal::{self, KEK_BYTES};
use super::unlock::{self, UnlockWith};

/// The rows of a new store that will be at `path`.
pub(super) fn rows(path: &Path, unlock: UnlockWith<'_>) -> Result<Vec<RowChange>, StoreError> {
    let (root, fingerprint_key) = (seal::random(KEK_BYTES)?, seal::random(KEY_BYTES)?);
    let identity = Identity::new(Uuid::new_v4());
    let mut rows = vec![
        RowChange { id: RowId::IDENTITY, value: Some(row::encode(&identity)) },
        unlock::wrap(path, identity.uuid, 0, unlock, &root)?,
    ];
    let maker = Fingerprinter::new(&fingerprint_key);
    let mut sum = Sum::default();
    for RowChange { id, value } in &rows {
        value.iter().for_each(|value| sum.add(&maker.of_row(*id, value)));
    }
    let commitment = maker.commitment(1, &sum);
    // Slot 0 means the root key in a row's identity; the others start at 1 to match.
    let state = State { epoch: 1, commitment, rows: sum.rows, next_slot: 1, next_grant: 1, next_key: 1 };
    rows.push(state_row(&state, identity.uuid, &root, &fingerprint_key)?);
    Ok(rows)
}
