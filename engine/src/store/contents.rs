//! Everything in a store, authenticated, in memory: public rows as they are, private keys not at all, slots' keys in
//! secret memory.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use keylane_api::control::{KeyId, SlotId};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::change::{Effect, SealedChange};
use super::commitment::{Fingerprint, Fingerprinter, Sum};
use super::database::Database;
use super::error::StoreError;
use super::row::{self, Dated, GrantRow, Identity, KeyRow, Kind, RowId, SCHEMA, SlotRow, State, Tombstone};
use super::seal::{self, Opened};
use crate::admin::GrantId;
use crate::os::secret::SecretBytes;

/// A slot and the key that seals what is in it.
pub(super) struct Slot {
    pub row: SlotRow,
    pub kek: SecretBytes,
}

/// What the last transaction left.
pub(super) struct Contents {
    path: PathBuf,
    uuid: Uuid,
    state: State,
    fingerprint_key: SecretBytes,
    sum: Sum,
    /// Of every row but the state: which version is the current one.
    fingerprints: HashMap<RowId, Fingerprint>,
    slots: BTreeMap<SlotId, Slot>,
    grants: BTreeMap<GrantId, GrantRow>,
    keys: BTreeMap<KeyId, KeyRow>,
    labels: BTreeMap<(SlotId, String), KeyId>,
}

/// Which store this is, as it says itself. Every seal covers it, so a wrong answer opens nothing.
pub(super) fn identify(database: &Database) -> Result<Uuid, StoreError> {
    let path = || database.path().to_owned();
    let stored = database.get(RowId::IDENTITY)?;
    let identity = stored.as_deref().and_then(Identity::decode);
    match identity.ok_or_else(|| StoreError::Foreign { path: path() })? {
        Identity { schema: SCHEMA, uuid, .. } => Ok(uuid),
        Identity { schema, .. } if schema > SCHEMA => {
            Err(StoreError::Newer { path: path(), found: schema, known: SCHEMA })
        }
        // No schema came before the first.
        _ => Err(StoreError::Row { row: RowId::IDENTITY, path: path() }),
    }
}

impl Contents {
    /// Reads and authenticates every row of the store `uuid`, and compares all of them with what it committed to.
    pub(super) fn load(database: &Database, uuid: Uuid, root: &[u8]) -> Result<Self, StoreError> {
        let path = database.path();
        let damaged = || StoreError::Row { row: RowId::STATE, path: path.to_owned() };
        let stored = database.get(RowId::STATE)?.ok_or_else(damaged)?;
        let opened = seal::open(root, uuid, RowId::STATE, &stored).map_err(|cause| cause.or(damaged))?;
        let mut contents = Self {
            path: path.to_owned(),
            uuid,
            state: row::decode(opened.body).ok_or_else(damaged)?,
            fingerprint_key: opened.secret,
            sum: Sum::default(),
            fingerprints: HashMap::new(),
            slots: BTreeMap::new(),
            grants: BTreeMap::new(),
            keys: BTreeMap::new(),
            labels: BTreeMap::new(),
        };
        let maker = contents.fingerprinter();
        database.scan(|id, value| contents.take(&maker, root, id, value))?;
        contents.compare(&maker)?;
        Ok(contents)
    }

    /// Takes one row in.
    fn take(
        &mut self,
        maker: &Fingerprinter,
        root: &[u8],
        id: RowId,
        value: &[u8],
    ) -> Result<(), StoreError> {
        if id.kind == Kind::State {
            // Read before; it holds the commitment, so it cannot be under it.
            return if id == RowId::STATE { Ok(()) } else { Err(self.damaged(id)) };
        }
        let fingerprint = maker.of_row(id, value);
        self.sum.add(&fingerprint);
        self.fingerprints.insert(id, fingerprint);
        match id.kind {
            // The commitment alone vouches for these: who they are for has its own key, or none.
            Kind::Identity | Kind::Unlock | Kind::State => {}
            Kind::Slot => {
                let (row, kek) = self.open::<SlotRow>(root, id, value)?;
                self.apply(Effect::SlotAdded(Slot { row, kek }));
            }
            Kind::Grant => {
                let row = self.open::<GrantRow>(self.kek_of(id)?, id, value)?.0;
                self.apply(Effect::GrantAdded(row));
            }
            Kind::Key => {
                let row = self.open::<KeyRow>(self.kek_of(id)?, id, value)?.0;
                self.apply(Effect::KeyAdded(row));
            }
            Kind::RevokedGrant | Kind::DeletedKey => {
                self.open::<Tombstone>(self.kek_of(id)?, id, value)?;
            }
        }
        Ok(())
    }

    /// The row's public part and its secret.
    fn open<T: DeserializeOwned>(
        &self,
        kek: &[u8],
        id: RowId,
        value: &[u8],
    ) -> Result<(T, SecretBytes), StoreError> {
        let damaged = || self.damaged(id);
        let opened = seal::open(kek, self.uuid, id, value).map_err(|cause| cause.or(damaged));
        let Opened { body, secret } = opened?;
        let dated: Dated<T> = row::decode(body).ok_or_else(damaged)?;
        Ok((dated.row, secret))
    }

    /// The key of a row as it was read from the file, if it is the current version of that row.
    pub(super) fn open_key(&self, id: RowId, value: &[u8]) -> Result<(KeyRow, SecretBytes), StoreError> {
        let opened = self.open(self.kek_of(id)?, id, value)?;
        // It is genuine; is it what the last transaction left?
        if self.fingerprints.get(&id) == Some(&self.fingerprinter().of_row(id, value)) {
            Ok(opened)
        } else {
            Err(StoreError::Replayed { row: id, path: self.path.clone() })
        }
    }

    fn compare(&self, maker: &Fingerprinter) -> Result<(), StoreError> {
        if maker.commitment(self.state.epoch, &self.sum) == self.state.commitment {
            return Ok(());
        }
        let path = self.path.clone();
        Err(StoreError::Rows { path, found: self.sum.rows, expected: self.state.rows })
    }

    /// Follows a transaction that is committed.
    pub(super) fn follow(&mut self, change: SealedChange) {
        self.state = change.state;
        self.sum = change.sum;
        for (id, fingerprint) in change.fingerprints {
            match fingerprint {
                Some(fingerprint) => self.fingerprints.insert(id, fingerprint),
                None => self.fingerprints.remove(&id),
            };
        }
        change.effects.into_iter().for_each(|effect| self.apply(effect));
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::SlotAdded(slot) => {
                self.slots.insert(slot.row.slot, slot);
            }
            Effect::GrantAdded(row) => {
                self.grants.insert(row.grant, row);
            }
            Effect::GrantRevoked(grant) => {
                self.grants.remove(&grant);
            }
            Effect::KeyAdded(row) => {
                self.labels.insert((row.slot, row.label.clone()), row.key);
                self.keys.insert(row.key, row);
            }
            Effect::KeyDeleted(key) => {
                if let Some(row) = self.keys.remove(&key) {
                    self.labels.remove(&(row.slot, row.label));
                }
            }
        }
    }

    pub(super) fn uuid(&self) -> Uuid {
        self.uuid
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn sum(&self) -> Sum {
        self.sum
    }

    pub(super) fn fingerprint_key(&self) -> &[u8] {
        &self.fingerprint_key
    }

    pub(super) fn fingerprinter(&self) -> Fingerprinter {
        Fingerprinter::new(&self.fingerprint_key)
    }

    /// Which version of a row is the current one; `None` when there is no such row.
    pub(super) fn fingerprint(&self, id: RowId) -> Option<&Fingerprint> {
        self.fingerprints.get(&id)
    }

    /// Every row but the state.
    #[cfg(test)]
    pub(super) fn row_ids(&self) -> impl Iterator<Item = RowId> {
        self.fingerprints.keys().copied()
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &SlotRow> {
        self.slots.values().map(|slot| &slot.row)
    }

    pub(super) fn grants(&self) -> impl Iterator<Item = &GrantRow> {
        self.grants.values()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &KeyRow> {
        self.keys.values()
    }

    pub(super) fn slot_kek(&self, slot: SlotId) -> Option<&[u8]> {
        self.slots.get(&slot).map(|slot| &*slot.kek)
    }

    pub(super) fn grant(&self, grant: GrantId) -> Option<&GrantRow> {
        self.grants.get(&grant)
    }

    pub(super) fn key(&self, key: KeyId) -> Option<&KeyRow> {
        self.keys.get(&key)
    }

    pub(super) fn key_labelled(&self, slot: SlotId, label: &str) -> Option<&KeyRow> {
        self.labels.get(&(slot, label.to_owned())).and_then(|key| self.keys.get(key))
    }

    /// The key that seals a row of a slot.
    fn kek_of(&self, id: RowId) -> Result<&[u8], StoreError> {
        self.slot_kek(id.slot).ok_or_else(|| self.damaged(id))
    }

    pub(super) fn damaged(&self, id: RowId) -> StoreError {
        StoreError::Row { row: id, path: self.path.clone() }
    }
}
