//! What the token holds, in memory and without secrets: slots, grants, keys, and how to find them.
//!
//! Only the control thread has it. Workers know the keys that were bound to them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keylane_api::Algorithm;
use keylane_api::control::{KeyId, KeySelector, SlotId};

use crate::admin::{GrantId, Who};
use crate::contexts::ContextCell;
use crate::messages::Change;
use crate::policy::Policy;
use crate::store::{GrantRow, KeyRow, SlotRow};

/// A key of the token: what everybody may know of it, and the place of its prepared context.
pub struct KeyRecord {
    /// Its identity.
    pub key: KeyId,
    /// Its slot.
    pub slot: SlotId,
    /// Its label.
    pub label: String,
    /// What it is.
    pub algorithm: Algorithm,
    /// Public half, DER `SubjectPublicKeyInfo`.
    pub public: Box<[u8]>,
    /// What it may be used for.
    pub policy: Policy,
    /// The prepared context, if there is one.
    pub context: ContextCell,
    deleted: AtomicBool,
}

impl KeyRecord {
    pub(crate) fn new(row: KeyRow) -> Self {
        Self {
            key: row.key,
            slot: row.slot,
            label: row.label,
            algorithm: row.algorithm,
            public: row.public.into(),
            policy: row.policy,
            context: ContextCell::default(),
            deleted: AtomicBool::new(false),
        }
    }

    /// Whether the key was deleted while handles to it were still known.
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }
}

/// A grant as those see it who act under it: its revocation reaches whatever already waits in their queues.
#[derive(Debug)]
pub struct LiveGrant {
    grant: GrantId,
    revoked: AtomicBool,
}

impl LiveGrant {
    /// A grant that is in force.
    pub fn new(grant: GrantId) -> Self {
        Self { grant, revoked: AtomicBool::new(false) }
    }

    /// Which one.
    pub fn id(&self) -> GrantId {
        self.grant
    }

    /// Whether nothing may begin under it any more.
    pub fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Lets nothing begin under it any more.
    pub fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }
}

/// The identity of a connected process, as Linux vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Process.
    pub pid: u32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// Users whom only a grant to their uid covers: root, and whoever has no mapping in this user namespace.
const NEVER_IMPLIED: [u32; 2] = [0, 65_534];

/// Slots that a session sees, each with the grant that shows it.
pub type Visible = BTreeMap<SlotId, GrantId>;

/// Slots, grants and keys of the token.
#[derive(Default)]
pub struct Directory {
    slots: BTreeMap<SlotId, SlotRow>,
    grants: BTreeMap<GrantId, (GrantRow, Arc<LiveGrant>)>,
    keys: BTreeMap<KeyId, Arc<KeyRecord>>,
    by_label: HashMap<(SlotId, String), KeyId>,
    by_public: HashMap<Box<[u8]>, Vec<KeyId>>,
}

impl Directory {
    /// Reads everything that the store holds.
    pub fn load(slots: Vec<SlotRow>, grants: Vec<GrantRow>, keys: Vec<KeyRow>) -> Self {
        let mut directory = Self::default();
        let changes = slots.into_iter().map(Change::SlotCreated);
        let changes = changes.chain(grants.into_iter().map(Change::GrantAdded));
        for change in changes.chain(keys.into_iter().map(Change::KeyAdded)) {
            directory.apply(change);
        }
        directory
    }

    /// Follows a committed change; returns the key that it concerns.
    pub fn apply(&mut self, change: Change) -> Option<Arc<KeyRecord>> {
        match change {
            Change::SlotCreated(row) => {
                self.slots.insert(row.slot, row);
                None
            }
            Change::GrantAdded(row) => {
                let live = Arc::new(LiveGrant::new(row.grant));
                self.grants.insert(row.grant, (row, live));
                None
            }
            Change::GrantRevoked(grant) => {
                if let Some((_, live)) = self.grants.remove(&grant) {
                    live.revoke();
                }
                None
            }
            Change::KeyAdded(row) => Some(self.add_key(row)),
            Change::KeyDeleted(key) => self.remove_key(key),
        }
    }

    fn add_key(&mut self, row: KeyRow) -> Arc<KeyRecord> {
        let record = Arc::new(KeyRecord::new(row));
        self.by_label.insert((record.slot, record.label.clone()), record.key);
        self.by_public.entry(record.public.clone()).or_default().push(record.key);
        self.keys.insert(record.key, Arc::clone(&record));
        record
    }

    fn remove_key(&mut self, key: KeyId) -> Option<Arc<KeyRecord>> {
        let record = self.keys.remove(&key)?;
        record.deleted.store(true, Ordering::Release);
        record.context.erase();
        self.by_label.remove(&(record.slot, record.label.clone()));
        if let Some(twins) = self.by_public.get_mut(&record.public) {
            twins.retain(|&twin| twin != key);
            if twins.is_empty() {
                self.by_public.remove(&record.public);
            }
        }
        Some(record)
    }

    /// Slots that `peer` sees through `listener` (`None` is the engine's default socket): the union of its grants; on
    /// one slot the most specific grant wins, uid over gid over listener, then the older one.
    pub fn visible(&self, listener: Option<&Path>, peer: Peer) -> Visible {
        let mut best: BTreeMap<SlotId, (u8, GrantId)> = BTreeMap::new();
        for row in self.grants().filter(|row| row.listener.as_deref() == listener) {
            let Some(rank) = specificity(row.who, peer) else { continue };
            let entry = best.entry(row.slot).or_insert((rank, row.grant));
            if rank > entry.0 {
                *entry = (rank, row.grant);
            }
        }
        best.into_iter().map(|(slot, (_, grant))| (slot, grant)).collect()
    }

    /// The key that `selector` names among the slots that a session sees. Whether it is absent or not visible cannot
    /// be told from the answer.
    pub fn resolve(&self, visible: &Visible, selector: &KeySelector) -> Option<(&Arc<KeyRecord>, GrantId)> {
        let found = match selector {
            KeySelector::Object { slot, key } => self.keys.get(key).filter(|record| record.slot == *slot),
            KeySelector::Label { slot: Some(name), label } => self
                .slot_named(name)
                .filter(|row| visible.contains_key(&row.slot))
                .and_then(|row| self.key_labelled(row.slot, label)),
            KeySelector::Label { slot: None, label } => {
                visible.keys().find_map(|&slot| self.key_labelled(slot, label))
            }
            KeySelector::Public(public) => self
                .by_public
                .get(public.as_slice())
                .into_iter()
                .flatten()
                .filter_map(|key| self.keys.get(key))
                .find(|record| visible.contains_key(&record.slot)),
        }?;
        visible.get(&found.slot).map(|&grant| (found, grant))
    }

    /// The slot of this name.
    pub fn slot_named(&self, name: &str) -> Option<&SlotRow> {
        self.slots.values().find(|row| row.name == name)
    }

    /// The key of this label in a slot.
    pub fn key_labelled(&self, slot: SlotId, label: &str) -> Option<&Arc<KeyRecord>> {
        self.by_label.get(&(slot, label.to_owned())).and_then(|key| self.keys.get(key))
    }

    /// The slot of this number.
    pub fn slot(&self, slot: SlotId) -> Option<&SlotRow> {
        self.slots.get(&slot)
    }

    /// All slots, by number.
    pub fn slots(&self) -> impl Iterator<Item = &SlotRow> {
        self.slots.values()
    }

    /// All grants, by number.
    pub fn grants(&self) -> impl Iterator<Item = &GrantRow> {
        self.grants.values().map(|(row, _)| row)
    }

    /// What acts under a grant holds this.
    pub fn live(&self, grant: GrantId) -> Option<&Arc<LiveGrant>> {
        self.grants.get(&grant).map(|(_, live)| live)
    }

    /// Keys behind `after`, by number.
    pub fn keys_after(&self, after: Option<KeyId>) -> impl Iterator<Item = &Arc<KeyRecord>> {
        let behind = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.keys.range((behind, std::ops::Bound::Unbounded)).map(|(_, record)| record)
    }

    /// How many keys there are.
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }
}

/// How specifically a grant to `who` covers `peer`, if it does.
fn specificity(who: Who, peer: Peer) -> Option<u8> {
    match who {
        Who::Uid(uid) => (uid == peer.uid).then_some(3),
        Who::Gid(gid) => (gid == peer.gid && !NEVER_IMPLIED.contains(&peer.uid)).then_some(2),
        Who::Listener => (!NEVER_IMPLIED.contains(&peer.uid)).then_some(1),
    }
}

#[cfg(test)]
mod tests;
