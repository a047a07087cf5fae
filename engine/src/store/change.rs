//! One transaction: rows to write and remove, sealed together with the epoch and the commitment that follow from them.

use std::path::PathBuf;

use keylane_api::control::{KeyId, SlotId};
use serde::Serialize;
use uuid::Uuid;

use super::commitment::{Fingerprint, Sum};
use super::contents::{Contents, Slot};
use super::error::StoreError;
use super::row::{self, Dated, GrantRow, KeyRow, RowChange, RowId, SlotRow, State, Tombstone};
use super::seal::{self, KEK_BYTES};
use crate::admin::{GrantId, Who};
use crate::key::Material;
use crate::policy::Policy;

/// What a transaction does to the store's contents once it is committed.
pub(super) enum Effect {
    SlotAdded(Slot),
    GrantAdded(GrantRow),
    GrantRevoked(GrantId),
    KeyAdded(KeyRow),
    KeyDeleted(KeyId),
}

/// A transaction in the making.
pub(super) struct Change {
    /// The state after it, but for the commitment.
    pub state: State,
    rows: Vec<RowChange>,
    effects: Vec<Effect>,
}

/// A transaction as it goes to the database.
pub(super) struct SealedChange {
    pub rows: Vec<RowChange>,
    pub state: State,
    pub sum: Sum,
    pub fingerprints: Vec<(RowId, Option<Fingerprint>)>,
    pub effects: Vec<Effect>,
}

impl Change {
    /// The next transaction, empty so far.
    pub(super) fn new(contents: &Contents) -> Result<Self, StoreError> {
        let mut state = contents.state().clone();
        state.epoch = state.epoch.checked_add(1).ok_or(StoreError::Exhausted)?;
        Ok(Self { state, rows: Vec::new(), effects: Vec::new() })
    }

    /// Adds a slot with a key of its own, which `root` seals.
    pub(super) fn add_slot(
        &mut self,
        contents: &Contents,
        root: &[u8],
        name: String,
    ) -> Result<SlotRow, StoreError> {
        let slot = SlotId(self.state.next_slot);
        self.state.next_slot = slot.0.checked_add(1).ok_or(StoreError::Exhausted)?;
        let (row, kek) = (SlotRow { slot, name }, seal::random(KEK_BYTES)?);
        self.put(contents.uuid(), root, RowId::slot(slot), &row, &kek)?;
        self.effects.push(Effect::SlotAdded(Slot { row: row.clone(), kek }));
        Ok(row)
    }

    pub(super) fn add_grant(
        &mut self,
        contents: &Contents,
        slot: SlotId,
        who: Who,
        listener: Option<PathBuf>,
    ) -> Result<GrantRow, StoreError> {
        if let Some(path) = listener.as_ref().filter(|path| path.to_str().is_none()) {
            return Err(StoreError::Listener { path: path.clone() });
        }
        let grant = GrantId(self.state.next_grant);
        self.state.next_grant = grant.0.checked_add(1).ok_or(StoreError::Exhausted)?;
        let row = GrantRow { grant, slot, who, listener, epoch: self.state.epoch };
        self.put(contents.uuid(), kek(contents, slot)?, RowId::grant(slot, grant), &row, &[])?;
        self.effects.push(Effect::GrantAdded(row.clone()));
        Ok(row)
    }

    pub(super) fn revoke_grant(&mut self, contents: &Contents, grant: GrantId) -> Result<(), StoreError> {
        let row = contents.grant(grant).ok_or(StoreError::NoGrant { grant })?;
        self.bury(contents, row.slot, RowId::grant(row.slot, grant), String::new())?;
        self.effects.push(Effect::GrantRevoked(grant));
        Ok(())
    }

    pub(super) fn add_key(
        &mut self,
        contents: &Contents,
        slot: SlotId,
        label: String,
        policy: Policy,
        material: &Material,
    ) -> Result<KeyRow, StoreError> {
        let key = KeyId(self.state.next_key);
        self.state.next_key = key.0.checked_add(1).ok_or(StoreError::Exhausted)?;
        let (algorithm, public) = (material.algorithm, material.public_spki());
        let row = KeyRow { key, slot, label, algorithm, public, policy };
        self.put(contents.uuid(), kek(contents, slot)?, RowId::key(slot, key), &row, material.numbers())?;
        self.effects.push(Effect::KeyAdded(row.clone()));
        Ok(row)
    }

    pub(super) fn delete_key(&mut self, contents: &Contents, row: &KeyRow) -> Result<(), StoreError> {
        self.bury(contents, row.slot, RowId::key(row.slot, row.key), row.label.clone())?;
        self.effects.push(Effect::KeyDeleted(row.key));
        Ok(())
    }

    fn put<T: Serialize>(
        &mut self,
        uuid: Uuid,
        kek: &[u8],
        id: RowId,
        row: &T,
        secret: &[u8],
    ) -> Result<(), StoreError> {
        let body = row::encode(&Dated { epoch: self.state.epoch, row });
        self.rows.push(RowChange { id, value: Some(seal::seal(kek, uuid, id, &body, secret)?) });
        Ok(())
    }

    /// Replaces a row by its tombstone.
    fn bury(
        &mut self,
        contents: &Contents,
        slot: SlotId,
        id: RowId,
        label: String,
    ) -> Result<(), StoreError> {
        self.rows.push(RowChange { id, value: None });
        self.put(contents.uuid(), kek(contents, slot)?, id.tombstone(), &Tombstone { label }, &[])
    }

    /// Computes the new commitment, and seals the state with it.
    pub(super) fn seal(mut self, contents: &Contents, root: &[u8]) -> Result<SealedChange, StoreError> {
        let maker = contents.fingerprinter();
        let mut sum = contents.sum();
        let mut fingerprints = Vec::with_capacity(self.rows.len());
        for RowChange { id, value } in &self.rows {
            if let Some(old) = contents.fingerprint(*id) {
                sum.remove(old);
            }
            let new = value.as_deref().map(|value| maker.of_row(*id, value));
            new.iter().for_each(|new| sum.add(new));
            fingerprints.push((*id, new));
        }
        self.state.rows = sum.rows;
        self.state.commitment = maker.commitment(self.state.epoch, &sum);
        self.rows.push(state_row(&self.state, contents.uuid(), root, contents.fingerprint_key())?);
        Ok(SealedChange { rows: self.rows, state: self.state, sum, fingerprints, effects: self.effects })
    }
}

fn kek(contents: &Contents, slot: SlotId) -> Result<&[u8], StoreError> {
    contents.slot_kek(slot).ok_or(StoreError::NoSlot { slot: slot.0 })
}

/// The sealed state of a store.
pub(super) fn state_row(
    state: &State,
    uuid: Uuid,
    root: &[u8],
    fingerprint_key: &[u8],
) -> Result<RowChange, StoreError> {
    let value = seal::seal(root, uuid, RowId::STATE, &row::encode(state), fingerprint_key)?;
    Ok(RowChange { id: RowId::STATE, value: Some(value) })
}
