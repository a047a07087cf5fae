//! What opens a store, and what keeps it closed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{KEY, Place, RowId, SecretBytes, Store, StoreError, UnlockWith, answers, key_file};

fn secret(octets: &[u8]) -> SecretBytes {
    SecretBytes::copy_from(octets).unwrap()
}

fn open_with(place: &Place, unlock: UnlockWith<'_>) -> Result<Store, StoreError> {
    Store::open(&place.dir(), unlock, None, false)
}

#[test]
fn only_the_key_file_opens_it() {
    let place = Place::new();
    for wrong in [&[0x43; 32][..], &KEY[..31], &[&KEY[..], &[0]].concat(), &[]] {
        let refused = open_with(&place, UnlockWith::KeyFile(&secret(wrong))).err().unwrap();
        assert!(matches!(refused, StoreError::WrongSecret { secret: "key file", .. }), "{refused}");
    }
    let refused = open_with(&place, UnlockWith::Passphrase(&secret(&KEY))).err().unwrap();
    assert!(matches!(refused, StoreError::NoSuchMethod { wanted: "key file", .. }), "{refused}");
}

#[test]
fn only_the_passphrase_opens_it() {
    let place = Place { parent: tempfile::tempdir().unwrap() };
    let passphrase = secret(b"correct horse battery staple");
    Store::init(&place.dir(), UnlockWith::Passphrase(&passphrase)).unwrap();
    open_with(&place, UnlockWith::Passphrase(&passphrase)).unwrap();
    let refused = open_with(&place, UnlockWith::Passphrase(&secret(b"Correct horse"))).err().unwrap();
    assert!(matches!(refused, StoreError::WrongSecret { secret: "passphrase", .. }), "{refused}");
    let refused = open_with(&place, UnlockWith::KeyFile(&key_file())).err().unwrap();
    assert!(matches!(refused, StoreError::NoSuchMethod { wanted: "passphrase", .. }), "{refused}");
}

/// Whoever edits the parameters makes neither a guess cheap nor the engine allocate at will.
#[test]
fn edited_passphrase_parameters_are_refused() {
    let place = Place { parent: tempfile::tempdir().unwrap() };
    let passphrase = secret(b"correct horse battery staple");
    Store::init(&place.dir(), UnlockWith::Passphrase(&passphrase)).unwrap();
    // 256 MiB in KiB as postcard writes it: 2^18.
    let stored = place.read(RowId::unlock(0));
    let at = stored.windows(3).position(|window| window == [0x80, 0x80, 0x10]).unwrap();
    for (memory, accepted) in [([0x80, 0x80, 0x01], false), ([0xff, 0xff, 0x7f], true)] {
        let mut edited = stored.clone();
        edited[at..at + 3].copy_from_slice(&memory);
        place.write(RowId::unlock(0), Some(&edited));
        let refused = open_with(&place, UnlockWith::Passphrase(&passphrase)).err().unwrap();
        match refused {
            StoreError::PassphraseCost { .. } => assert!(!accepted),
            StoreError::WrongSecret { .. } => assert!(accepted),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_second_engine_is_refused_and_told_who_is_there() {
    let place = Place::furnished();
    let store = place.open();
    let refused = place.refusal();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
    let again = Store::init(&place.dir(), UnlockWith::KeyFile(&key_file())).unwrap_err();
    assert!(matches!(again, StoreError::InUse { .. }), "{again}");
    drop(store);
    place.open();
}

#[test]
fn init_does_not_overwrite() {
    let place = Place::furnished();
    let before = answers(&place.open()).unwrap();
    let refused = Store::init(&place.dir(), UnlockWith::KeyFile(&key_file())).unwrap_err();
    assert!(matches!(refused, StoreError::Exists { .. }), "{refused}");
    assert_eq!(answers(&place.open()).unwrap(), before);
}

#[test]
fn init_goes_on_after_one_that_died() {
    let place = Place { parent: tempfile::tempdir().unwrap() };
    fs::create_dir(place.dir()).unwrap();
    fs::set_permissions(place.dir(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(place.dir().join("token.redb.new"), [0; 5000]).unwrap();
    let refused = place.refusal();
    assert!(matches!(refused, StoreError::NotAStore { .. }), "{refused}");
    Store::init(&place.dir(), UnlockWith::KeyFile(&key_file())).unwrap();
    place.open();
    assert!(!place.dir().join("token.redb.new").exists());
}

#[test]
fn a_directory_that_others_can_enter_is_refused_with_the_remedy() {
    let place = Place::furnished();
    for mode in [0o750, 0o701, 0o777] {
        fs::set_permissions(place.dir(), fs::Permissions::from_mode(mode)).unwrap();
        let refused = place.refusal();
        assert!(matches!(refused, StoreError::Exposed { .. }), "{refused}");
        assert!(refused.to_string().contains("chmod 0700"), "{refused}");
    }
    fs::set_permissions(place.dir(), fs::Permissions::from_mode(0o700)).unwrap();
    place.open();
}

#[test]
fn nobody_else_may_read_the_files() {
    let place = Place::furnished();
    for file in fs::read_dir(place.dir()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::furnished();
    std::os::unix::fs::chown(place.dir(), Some(4321), None).unwrap();
    let refused = place.refusal();
    assert!(matches!(refused, StoreError::Owner { owner: 4321, uid: 0, .. }), "{refused}");
}

#[test]
fn what_is_no_store_is_called_so() {
    let place = Place::new();
    for content in [&b""[..], b"hello", &[0; 8192], &vec![0xff; 1 << 20]] {
        fs::write(place.file(), content).unwrap();
        let refused = place.refusal();
        let named = matches!(refused, StoreError::Corrupted { .. } | StoreError::Foreign { .. });
        assert!(named, "{} octets: {refused:?}", content.len());
    }
    fs::remove_file(place.file()).unwrap();
    assert!(matches!(place.refusal(), StoreError::NotAStore { .. }));
    redb::Database::create(place.file()).unwrap();
    assert!(matches!(place.refusal(), StoreError::Foreign { .. }), "somebody else's database");
}

#[test]
fn a_later_schema_is_not_touched() {
    let place = Place::furnished();
    let mut identity = place.read(RowId::IDENTITY);
    // The version follows the magic.
    identity[8] += 1;
    place.write(RowId::IDENTITY, Some(&identity));
    let refused = place.refusal();
    assert!(matches!(refused, StoreError::Newer { found: 2, known: 1, .. }), "{refused}");
    identity[8] = 0;
    place.write(RowId::IDENTITY, Some(&identity));
    assert!(matches!(place.refusal(), StoreError::Row { .. }));
}

#[test]
fn an_older_file_beside_a_newer_log_needs_consent() {
    let place = Place::furnished();
    let older = fs::read(place.file()).unwrap();
    let mut store = place.open();
    let a = super::slot(&store, "a");
    let backed_up = store.epoch();
    store.delete_key(a, "one").unwrap();
    let newest = store.epoch();
    drop(store);
    let newer = fs::read(place.file()).unwrap();

    fs::write(place.file(), &older).unwrap();
    let refused = place.try_open(Some(newest)).err().unwrap();
    assert!(refused.to_string().contains("--accept-rollback"), "{refused}");
    let StoreError::RolledBack { epoch, seen, .. } = refused else { panic!("{refused}") };
    assert_eq!((epoch, seen), (backed_up, newest));

    let open = |accept| Store::open(&place.dir(), UnlockWith::KeyFile(&key_file()), Some(newest), accept);
    let store = open(true).unwrap();
    assert_eq!((store.epoch(), store.rolled_back()), (newest + 1, Some(backed_up)));
    assert_eq!(store.keys().len(), 3, "the deleted key is back: that is what was accepted");
    drop(store);
    assert_eq!(place.try_open(Some(newest + 1)).unwrap().rolled_back(), None, "asked for once");

    // What was there before the rollback is now the older one.
    fs::write(place.file(), newer).unwrap();
    assert!(matches!(place.try_open(Some(newest + 1)), Err(StoreError::RolledBack { .. })));
}

/// A crash after the commit and before the log knows of it is no rollback.
#[test]
fn a_store_may_be_ahead_of_the_log() {
    let place = Place::furnished();
    let epoch = place.open().epoch();
    assert_eq!(place.try_open(Some(epoch - 1)).unwrap().rolled_back(), None);
    assert_eq!(place.try_open(Some(epoch)).unwrap().rolled_back(), None);
}
