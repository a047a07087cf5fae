//! A store through its interface, and against whoever can write to its files.

mod crash;
mod flips;
mod full;
mod opening;
mod rows;
mod size;

use std::path::PathBuf;

use keylane_api::Algorithm;
use keylane_api::control::{KeyId, SlotId};
use redb::{Database, ReadableDatabase, TableDefinition};
use tempfile::TempDir;

use super::{KeyRow, RowId, Store, StoreError, UnlockWith};
use crate::admin::{GrantId, Who};
use crate::key::{self, Material, Part};
use crate::os::secret::SecretBytes;
use crate::policy::Policy;

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
const KEY: [u8; 32] = [0x42; 32];

/// The table of a database that is not open, as an intruder gets at it.
type Table<'a> = redb::Table<'a, &'static [u8], &'static [u8]>;

fn key_file() -> SecretBytes {
    SecretBytes::copy_from(&KEY).unwrap()
}

/// A store in a directory of its own.
struct Place {
    parent: TempDir,
}

impl Place {
    /// An empty store.
    fn new() -> Self {
        let place = Self { parent: tempfile::tempdir().unwrap() };
        Store::init(&place.dir(), UnlockWith::KeyFile(&key_file())).unwrap();
        place
    }

    /// A store with slots `a` and `b`, a grant on `a`, and keys `one` and `two` in `a`, `one` in `b`.
    fn furnished() -> Self {
        let place = Self::new();
        let mut store = place.open();
        let [a, b] = ["a", "b"].map(|name| store.create_slot(name).unwrap().slot);
        store.add_grant(a, Who::Uid(1000), None).unwrap();
        for (slot, label) in [(a, "one"), (a, "two"), (b, "one")] {
            put(&mut store, slot, label);
        }
        place
    }

    fn dir(&self) -> PathBuf {
        self.parent.path().join("store")
    }

    fn file(&self) -> PathBuf {
        self.dir().join("token.redb")
    }

    fn open(&self) -> Store {
        self.try_open(None).unwrap()
    }

    fn try_open(&self, seen: Option<u64>) -> Result<Store, StoreError> {
        Store::open(&self.dir(), UnlockWith::KeyFile(&key_file()), seen, false)
    }

    /// Why it does not open.
    fn refusal(&self) -> StoreError {
        self.try_open(None).err().expect("a store that was tampered with opens")
    }

    /// What it says instead of opening: names the culprit.
    fn complaint(&self) -> String {
        self.refusal().to_string()
    }

    fn read(&self, id: RowId) -> Vec<u8> {
        let database = Database::open(self.file()).unwrap();
        let table = database.begin_read().unwrap().open_table(ROWS).unwrap();
        table.get(id.to_bytes().as_slice()).unwrap().expect("no such row").value().to_vec()
    }

    /// Writes a row past the engine, or removes it.
    fn write(&self, id: RowId, value: Option<&[u8]>) {
        self.tamper(|table| {
            let key = id.to_bytes();
            match value {
                Some(value) => table.insert(key.as_slice(), value).unwrap().map(drop),
                None => table.remove(key.as_slice()).unwrap().map(drop),
            };
        });
    }

    fn tamper(&self, change: impl FnOnce(&mut Table<'_>)) {
        let database = Database::open(self.file()).unwrap();
        let transaction = database.begin_write().unwrap();
        change(&mut transaction.open_table(ROWS).unwrap());
        transaction.commit().unwrap();
    }
}

fn put(store: &mut Store, slot: SlotId, label: &str) -> (KeyRow, Material) {
    let material = key::generate(Algorithm::P256).unwrap();
    let row = store.put_key(slot, label, Policy::DEFAULT, &material).unwrap();
    (row, material)
}

/// Whether the long counts were asked for.
fn in_full() -> bool {
    std::env::var_os("KEYLANE_TEST_FULL").is_some()
}

fn slot(store: &Store, name: &str) -> SlotId {
    store.slot_named(name).unwrap().slot
}

/// Everything that a store answers.
type Answers = (Vec<super::SlotRow>, Vec<super::GrantRow>, Vec<KeyRow>, Vec<Vec<u8>>);

fn answers(store: &Store) -> Result<Answers, StoreError> {
    let keys = store.keys();
    let numbers = keys.iter().map(|row| Ok(store.unwrap_key(row.key)?.numbers().to_vec()));
    let numbers = numbers.collect::<Result<_, StoreError>>()?;
    Ok((store.slots(), store.grants(), keys, numbers))
}

#[test]
fn every_algorithm_comes_back_as_it_was() {
    let place = Place::new();
    let mut store = place.open();
    let slot = store.create_slot("web").unwrap().slot;
    let kept = Algorithm::ALL.map(|algorithm| {
        let material = key::generate(algorithm).unwrap();
        let policy = Policy::parse("sign").unwrap();
        (store.put_key(slot, algorithm.name(), policy, &material).unwrap(), material)
    });
    drop(store);
    let store = place.open();
    assert_eq!(store.keys(), kept.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>());
    for (row, material) in kept {
        let unwrapped = store.unwrap_key(row.key).unwrap();
        assert_eq!((unwrapped.algorithm, unwrapped.numbers()), (material.algorithm, material.numbers()));
        assert_eq!(Algorithm::of_public(&row.public), Some(row.algorithm));
        assert_eq!(row.public, unwrapped.public_spki());
    }
}

#[test]
fn what_changes_is_there_after_a_restart() {
    let place = Place::furnished();
    let mut store = place.open();
    let (a, b) = (slot(&store, "a"), slot(&store, "b"));
    let gid = store.add_grant(b, Who::Gid(7), Some("/run/web.sock".into())).unwrap();
    store.revoke_grant(GrantId(1)).unwrap();
    assert_eq!(store.delete_key(a, "one").unwrap(), KeyId(1));
    let before = answers(&store).unwrap();
    let witness = (store.uuid(), store.epoch(), store.commitment());
    drop(store);

    let store = place.open();
    assert_eq!(answers(&store).unwrap(), before);
    assert_eq!((store.uuid(), store.epoch(), store.commitment()), witness);
    assert_eq!(before.1, [gid]);
    assert_eq!(
        before.2.iter().map(|row| (row.slot, &*row.label)).collect::<Vec<_>>(),
        [(a, "two"), (b, "one")]
    );
    assert!(matches!(store.unwrap_key(KeyId(1)), Err(StoreError::NoKey { .. })));
}

#[test]
fn every_change_has_an_epoch_and_a_commitment_of_its_own() {
    let place = Place::new();
    let mut store = place.open();
    let mut seen = vec![(store.epoch(), store.commitment())];
    let mut note = |store: &Store| seen.push((store.epoch(), store.commitment()));
    let slot = store.create_slot("a").unwrap().slot;
    note(&store);
    let grant = store.add_grant(slot, Who::Listener, None).unwrap();
    note(&store);
    assert_eq!(grant.epoch, store.epoch());
    put(&mut store, slot, "one");
    note(&store);
    store.revoke_grant(grant.grant).unwrap();
    note(&store);
    store.delete_key(slot, "one").unwrap();
    note(&store);
    assert_eq!(seen.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let mut commitments: Vec<_> = seen.iter().map(|(_, commitment)| commitment).collect();
    commitments.sort();
    commitments.dedup();
    assert_eq!(commitments.len(), seen.len());
}

#[test]
fn numbers_are_never_used_again() {
    let place = Place::furnished();
    let mut store = place.open();
    let a = slot(&store, "a");
    let gone = store.delete_key(a, "two").unwrap();
    store.revoke_grant(GrantId(1)).unwrap();
    drop(store);
    let mut store = place.open();
    assert!(put(&mut store, a, "two").0.key > gone);
    assert!(store.add_grant(a, Who::Listener, None).unwrap().grant > GrantId(1));
}

#[test]
fn names_are_unique_where_they_must_be() {
    let place = Place::furnished();
    let mut store = place.open();
    let (a, b) = (slot(&store, "a"), slot(&store, "b"));
    let material = key::generate(Algorithm::Ed25519).unwrap();
    let before = (store.epoch(), answers(&store).unwrap());
    assert!(matches!(store.create_slot("a"), Err(StoreError::SlotExists { .. })));
    assert!(matches!(store.create_slot("a\u{200b}"), Err(StoreError::Name(_))));
    let taken = store.put_key(a, "two", Policy::DEFAULT, &material);
    assert!(matches!(taken, Err(StoreError::KeyExists { .. })));
    let nowhere = store.put_key(SlotId(9), "two", Policy::DEFAULT, &material);
    assert!(matches!(nowhere, Err(StoreError::NoSlot { slot: 9 })));
    assert!(matches!(store.delete_key(b, "two"), Err(StoreError::NoKey { .. })));
    assert!(matches!(store.revoke_grant(GrantId(9)), Err(StoreError::NoGrant { .. })));
    assert_eq!((store.epoch(), answers(&store).unwrap()), before, "a refusal changes nothing");
    store.put_key(b, "two", Policy::DEFAULT, &material).unwrap();
}

/// No part of a key, and no key that seals one, is in the file as it is.
#[test]
fn the_file_holds_no_secret_in_clear() {
    let place = Place::new();
    let mut store = place.open();
    let slot = store.create_slot("a").unwrap().slot;
    let material = key::generate(Algorithm::Rsa2048).unwrap();
    let row = store.put_key(slot, "one", Policy::DEFAULT, &material).unwrap();
    drop(store);
    let file = std::fs::read(place.file()).unwrap();
    let contains = |needle: &[u8]| file.windows(needle.len()).any(|window| window == needle);
    assert!(contains(&row.public), "the control: public halves are in clear");
    assert!(!contains(&KEY));
    for part in [Part::PrivateExponent, Part::Prime1, Part::Prime2, Part::Exponent1, Part::Exponent2] {
        for piece in material.part(part).chunks_exact(16) {
            assert!(!contains(piece), "{part:?}");
        }
    }
}
