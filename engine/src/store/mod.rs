//! The token at rest: one directory with one database, in which every row is sealed.
//!
//! Invariants kept here:
//! - A private key or key-encryption key leaves this module's memory wrapped only (I1). Secrets are in secret memory;
//!   callers run on a secret stack.
//! - A change is one transaction, durable before it is answered: it adds one to the store's epoch and replaces the
//!   commitment over all rows (I6). What an error leaves is looked up: the change is there, and was carried out, or it is
//!   not, and nothing has changed.
//! - Nothing that is read from the file is believed before it authenticates as the row that it should be, in the
//!   version that it should have: at open all rows, later each one that is read.
//! - A damaged, edited, older or foreign file, a full disk and a second engine are typed errors with a remedy.
//!
//! Reading order: `place` (directory, lock), `database` (redb at arm's length), `row` (what is in it), `seal` (how a row
//! is wrapped and bound to its place), `unlock` and `passphrase` (the root key), `commitment` (the sum over all rows),
//! `contents` (all of it, authenticated, in memory), `change` (one transaction), `found` (the first one), and [`Store`],
//! which puts them together.

mod change;
mod commitment;
mod contents;
mod database;
mod error;
mod found;
mod name;
mod passphrase;
mod place;
mod row;
mod seal;
mod unlock;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use keylane_api::control::{KeyId, SlotId};
use uuid::Uuid;

pub use error::StoreError;
pub use name::NameError;
pub use place::Place;
use row::State;
pub use row::{GrantRow, KeyRow, RowId, SlotRow};
pub use unlock::UnlockWith;

use crate::admin::{GrantId, Who};
use crate::key::Material;
use crate::os::secret::SecretBytes;
use crate::policy::Policy;
use change::Change;
use contents::Contents;
use database::Database;

/// An open token store. It is locked against other engines as long as it lives.
pub struct Store {
    database: Database,
    root: SecretBytes,
    contents: Contents,
    rolled_back: Option<u64>,
    /// Dropped last: the lock outlives the database.
    _place: Place,
}

impl Store {
    /// Makes an empty store in `dir` (created with mode 0700 if it is not there) that `unlock` opens. Whole or not at
    /// all, also after a crash.
    pub fn init(dir: &Path, unlock: UnlockWith<'_>) -> Result<(), StoreError> {
        let place = Place::create(dir)?;
        let draft = place.draft()?;
        let rows = found::rows(&place.database(), unlock)?;
        let made = Database::create(&draft).and_then(|database| database.apply(&rows));
        made.and_then(|()| place.publish(&draft)).inspect_err(|_| place.discard())
    }

    /// Takes the store in `dir` and opens it: see [`open_at`](Self::open_at).
    pub fn open(
        dir: &Path,
        unlock: UnlockWith<'_>,
        seen: Option<u64>,
        accept_rollback: bool,
    ) -> Result<Self, StoreError> {
        Self::open_at(Place::open(dir)?, unlock, seen, accept_rollback)
    }

    /// Opens the store in a place that is ours, and authenticates every row.
    ///
    /// `seen` is the newest epoch that the audit log knows: a store that is older is refused unless `accept_rollback`.
    /// An accepted one goes on with an epoch above `seen`, so that what was there before cannot come back.
    pub fn open_at(
        place: Place,
        unlock: UnlockWith<'_>,
        seen: Option<u64>,
        accept_rollback: bool,
    ) -> Result<Self, StoreError> {
        let database = Database::open(&place.database())?;
        let uuid = contents::identify(&database)?;
        let root = unlock::root(&database, uuid, unlock)?;
        let contents = Contents::load(&database, uuid, &root)?;
        let mut store = Self { database, root, contents, rolled_back: None, _place: place };
        match seen.filter(|&seen| seen > store.epoch()) {
            None => Ok(store),
            Some(seen) if accept_rollback => store.accept_rollback(seen).map(|()| store),
            Some(seen) => {
                let (path, epoch) = (store.database.path().to_owned(), store.epoch());
                Err(StoreError::RolledBack { path, epoch, seen })
            }
        }
    }

    fn accept_rollback(&mut self, seen: u64) -> Result<(), StoreError> {
        self.rolled_back = Some(self.epoch());
        let mut change = Change::new(&self.contents)?;
        change.state.epoch = seen.checked_add(1).ok_or(StoreError::Exhausted)?;
        self.commit(change)
    }

    /// Identity of the token.
    pub fn uuid(&self) -> Uuid {
        self.contents.uuid()
    }

    /// Number of the last transaction; it only grows.
    pub fn epoch(&self) -> u64 {
        self.contents.state().epoch
    }

    /// What the last transaction committed to: it changes with every row and epoch, and says nothing about them.
    pub fn commitment(&self) -> [u8; 32] {
        self.contents.state().commitment
    }

    /// The epoch that the file had, if it was older than `seen` and accepted nevertheless.
    pub fn rolled_back(&self) -> Option<u64> {
        self.rolled_back
    }

    /// All slots, by number.
    pub fn slots(&self) -> Vec<SlotRow> {
        self.contents.slots().cloned().collect()
    }

    /// The slot of this name.
    pub fn slot_named(&self, name: &str) -> Option<&SlotRow> {
        self.contents.slots().find(|row| row.name == name)
    }

    /// All grants, by number.
    pub fn grants(&self) -> Vec<GrantRow> {
        self.contents.grants().cloned().collect()
    }

    /// All keys, by number.
    pub fn keys(&self) -> Vec<KeyRow> {
        self.contents.keys().cloned().collect()
    }

    /// Makes a slot that nobody is granted.
    pub fn create_slot(&mut self, name: &str) -> Result<SlotRow, StoreError> {
        let name = name::check(name)?;
        if self.slot_named(&name).is_some() {
            return Err(StoreError::SlotExists { name });
        }
        let mut change = Change::new(&self.contents)?;
        let row = change.add_slot(&self.contents, &self.root, name)?;
        self.commit(change).map(|()| row)
    }

    /// Grants a slot to peers of a listener (`None` is the engine's default socket).
    pub fn add_grant(
        &mut self,
        slot: SlotId,
        who: Who,
        listener: Option<PathBuf>,
    ) -> Result<GrantRow, StoreError> {
        let mut change = Change::new(&self.contents)?;
        let row = change.add_grant(&self.contents, slot, who, listener)?;
        self.commit(change).map(|()| row)
    }

    /// Revokes a grant for ever.
    pub fn revoke_grant(&mut self, grant: GrantId) -> Result<(), StoreError> {
        let mut change = Change::new(&self.contents)?;
        change.revoke_grant(&self.contents, grant)?;
        self.commit(change)
    }

    /// Wraps a key into a slot, under a label that is unique in it.
    pub fn put_key(
        &mut self,
        slot: SlotId,
        label: &str,
        policy: Policy,
        material: &Material,
    ) -> Result<KeyRow, StoreError> {
        let label = name::check(label)?;
        if self.contents.key_labelled(slot, &label).is_some() {
            return Err(StoreError::KeyExists { label });
        }
        let mut change = Change::new(&self.contents)?;
        let row = change.add_key(&self.contents, slot, label, policy, material)?;
        self.commit(change).map(|()| row)
    }

    /// Deletes a key for ever.
    pub fn delete_key(&mut self, slot: SlotId, label: &str) -> Result<KeyId, StoreError> {
        let found = self.contents.key_labelled(slot, label);
        let row = found.ok_or_else(|| StoreError::NoKey { label: label.to_owned() })?;
        let key = row.key;
        let mut change = Change::new(&self.contents)?;
        change.delete_key(&self.contents, row)?;
        self.commit(change).map(|()| key)
    }

    /// Reads and unwraps a key: one row, authenticated and compared with what the store last committed to.
    pub fn unwrap_key(&self, key: KeyId) -> Result<Material, StoreError> {
        let row = self.contents.key(key).ok_or_else(|| StoreError::NoKey { label: key.0.to_string() })?;
        let id = RowId::key(row.slot, key);
        let stored = self.database.get(id)?.ok_or_else(|| self.contents.damaged(id))?;
        let (row, numbers) = self.contents.open_key(id, &stored)?;
        Material::from_numbers(row.algorithm, numbers).ok_or_else(|| self.contents.damaged(id))
    }

    fn commit(&mut self, change: Change) -> Result<(), StoreError> {
        let change = change.seal(&self.contents, &self.root)?;
        let wanted = change.state.clone();
        match self.database.apply(&change.rows) {
            Ok(()) => self.contents.follow(change),
            // What failed may have come after the change was in the file: then it is committed, and says so.
            Err(_) if self.recover() && self.has_reached(&wanted) => {}
            Err(cause) => return Err(cause),
        }
        Ok(())
    }

    fn has_reached(&self, wanted: &State) -> bool {
        let state = self.contents.state();
        (state.epoch, state.commitment) == (wanted.epoch, wanted.commitment)
    }

    /// Goes on with what is in the file after a failed transaction; whether it could be read. If not, the store stays
    /// closed, and says so whenever it is asked for more than what is in memory.
    fn recover(&mut self) -> bool {
        let reopened = self.database.reopen();
        let contents = reopened.and_then(|()| Contents::load(&self.database, self.uuid(), &self.root));
        contents.map(|contents| self.contents = contents).is_ok()
    }
}
