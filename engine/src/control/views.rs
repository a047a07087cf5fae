//! What administrators see of the token.

use std::collections::HashMap;

use keylane_api::Status;
use keylane_api::control::{KeyId, SlotId};

use super::desk::refusal;
use crate::admin::{GrantId, GrantView, KeyView, PAGE_MAX, Page, SlotView};
use crate::directory::{Directory, KeyRecord};
use crate::messages::Refusal;
use crate::store::{GrantRow, KeyRow, SlotRow};

/// Slots behind `after`.
pub(super) fn slots(directory: &Directory, after: Option<SlotId>) -> Page<SlotView> {
    let keys = counts(directory.keys_after(None).map(|key| key.slot));
    let grants = counts(directory.grants().map(|row| row.slot));
    let count = |counts: &HashMap<SlotId, u64>, slot| counts.get(&slot).copied().unwrap_or_default();
    page(directory.slots().filter(|row| Some(row.slot) > after).map(|row| SlotView {
        slot: row.slot,
        name: row.name.clone(),
        keys: count(&keys, row.slot),
        grants: count(&grants, row.slot),
    }))
}

/// A slot that nobody has used yet.
pub(super) fn new_slot(row: &SlotRow) -> SlotView {
    SlotView { slot: row.slot, name: row.name.clone(), keys: 0, grants: 0 }
}

/// Grants behind `after`.
pub(super) fn grants(directory: &Directory, after: Option<GrantId>) -> Page<GrantView> {
    page(directory.grants().filter(|row| Some(row.grant) > after).map(|row| grant(directory, row)))
}

/// One grant.
pub(super) fn grant(directory: &Directory, row: &GrantRow) -> GrantView {
    GrantView {
        grant: row.grant,
        slot: slot_name(directory, row.slot),
        who: row.who,
        listener: row.listener.clone(),
    }
}

/// Keys behind `after`, of one slot if it is named.
pub(super) fn keys(
    directory: &Directory,
    slot: Option<&str>,
    after: Option<KeyId>,
) -> Result<Page<KeyView>, Refusal> {
    let slot = slot.map(|name| find_slot(directory, name)).transpose()?;
    let listed = |record: &&std::sync::Arc<KeyRecord>| slot.is_none_or(|slot| record.slot == slot);
    Ok(page(directory.keys_after(after).filter(listed).map(|record| key(directory, record))))
}

/// The key of this name.
pub(super) fn key_labelled(directory: &Directory, slot: &str, label: &str) -> Result<KeyView, Refusal> {
    let number = find_slot(directory, slot)?;
    let record = directory.key_labelled(number, label).ok_or_else(|| {
        refusal(
            Status::NotFound,
            format!("no key {label:?} in slot {slot:?}; see `keylane key list --slot {slot}`"),
        )
    })?;
    Ok(key(directory, record))
}

/// A key that is not in the directory yet.
pub(super) fn new_key(directory: &Directory, row: &KeyRow) -> KeyView {
    KeyView {
        key: row.key,
        slot: row.slot,
        slot_name: slot_name(directory, row.slot),
        label: row.label.clone(),
        algorithm: row.algorithm,
        allow: row.policy.to_string(),
        schemes: row.policy.schemes(row.algorithm),
        public: row.public.clone(),
    }
}

fn key(directory: &Directory, record: &KeyRecord) -> KeyView {
    KeyView {
        key: record.key,
        slot: record.slot,
        slot_name: slot_name(directory, record.slot),
        label: record.label.clone(),
        algorithm: record.algorithm,
        allow: record.policy.to_string(),
        schemes: record.policy.schemes(record.algorithm),
        public: record.public.to_vec(),
    }
}

fn find_slot(directory: &Directory, name: &str) -> Result<SlotId, Refusal> {
    let row = directory.slot_named(name);
    row.map(|row| row.slot)
        .ok_or_else(|| refusal(Status::NotFound, format!("no slot {name:?}; see `keylane slot list`")))
}

fn slot_name(directory: &Directory, slot: SlotId) -> String {
    directory.slot(slot).map(|row| row.name.clone()).unwrap_or_default()
}

fn page<T>(mut entries: impl Iterator<Item = T>) -> Page<T> {
    let first = entries.by_ref().take(PAGE_MAX).collect();
    Page { entries: first, more: entries.next().is_some() }
}

fn counts(slots: impl Iterator<Item = SlotId>) -> HashMap<SlotId, u64> {
    let mut counts = HashMap::new();
    for slot in slots {
        *counts.entry(slot).or_default() += 1;
    }
    counts
}
