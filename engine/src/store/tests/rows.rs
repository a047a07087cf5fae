//! Rows edited, swapped, removed, doubled and put back by somebody who can write to the file.

use keylane_api::control::{KeyId, SlotId};

use super::{GrantId, Place, Policy, RowId, StoreError, answers, put, slot};

const ONE: RowId = key(1, 1);
const TWO: RowId = key(1, 2);
const OTHER: RowId = key(2, 3);

const fn key(slot: u32, key: u64) -> RowId {
    RowId { kind: super::super::row::Kind::Key, slot: SlotId(slot), number: key }
}

#[test]
fn wrapped_keys_do_not_change_places() {
    for (from, to) in [(ONE, TWO), (TWO, ONE), (ONE, OTHER), (OTHER, ONE)] {
        let place = Place::furnished();
        place.write(to, Some(&place.read(from)));
        let complaint = place.complaint();
        assert!(complaint.contains(&to.to_string()), "{from} at {to}: {complaint}");
    }
}

#[test]
fn a_wrapped_key_of_another_store_is_of_no_use() {
    let (place, other) = (Place::furnished(), Place::furnished());
    place.write(ONE, Some(&other.read(ONE)));
    assert!(place.complaint().contains("key 1 of slot 1"));
    let place = Place::furnished();
    place.write(RowId::slot(SlotId(1)), Some(&other.read(RowId::slot(SlotId(1)))));
    assert!(place.complaint().contains("slot 1"));
}

#[test]
fn an_edited_policy_is_noticed() {
    let place = Place::furnished();
    let stored = place.read(ONE);
    // The policy is the last thing in the public part: find it by what it encodes to.
    let policy = postcard::to_allocvec(&Policy::DEFAULT).unwrap();
    let general = postcard::to_allocvec(&Policy::parse("sign,raw-digest").unwrap()).unwrap();
    let places = stored.windows(policy.len()).enumerate().filter(|(_, window)| *window == policy);
    let places: Vec<usize> = places.map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        let mut edited = stored.clone();
        edited[at..at + general.len()].copy_from_slice(&general);
        place.write(ONE, Some(&edited));
        assert!(place.complaint().contains("key 1 of slot 1 in"), "at {at}");
    }
    place.write(ONE, Some(&stored));
    place.open();
}

#[test]
fn a_removed_row_is_missed() {
    let rows = [ONE, RowId::grant(SlotId(1), GrantId(1)), RowId::IDENTITY, RowId::unlock(0), RowId::STATE];
    for row in rows {
        let place = Place::furnished();
        place.write(row, None);
        let refused = place.refusal();
        match row {
            RowId::IDENTITY => assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}"),
            RowId::STATE => assert!(matches!(refused, StoreError::Row { .. }), "{refused}"),
            row if row == RowId::unlock(0) => assert!(matches!(refused, StoreError::NoSuchMethod { .. })),
            _ => assert!(matches!(refused, StoreError::Rows { found: 7, expected: 8, .. }), "{refused}"),
        }
    }
    // Its keys cannot be opened without the slot.
    let place = Place::furnished();
    place.write(RowId::slot(SlotId(2)), None);
    assert!(place.complaint().contains("key 3 of slot 2"));
}

#[test]
fn a_doubled_row_is_noticed() {
    for copy in [key(1, 4), key(2, 1), ONE.tombstone(), RowId::grant(SlotId(1), GrantId(7))] {
        let place = Place::furnished();
        place.write(copy, Some(&place.read(ONE)));
        let complaint = place.complaint();
        assert!(complaint.contains(&copy.to_string()), "{complaint}");
    }
    let place = Place::furnished();
    place.write(RowId::unlock(1), Some(&place.read(RowId::unlock(0))));
    assert!(matches!(place.refusal(), StoreError::Rows { found: 9, expected: 8, .. }));
}

#[test]
fn a_deleted_key_and_a_revoked_grant_cannot_be_put_back() {
    let place = Place::furnished();
    let grant = RowId::grant(SlotId(1), GrantId(1));
    let (old_key, old_grant) = (place.read(ONE), place.read(grant));
    let mut store = place.open();
    let a = slot(&store, "a");
    store.delete_key(a, "one").unwrap();
    store.revoke_grant(GrantId(1)).unwrap();
    drop(store);
    let tombstone = place.read(ONE.tombstone());

    place.write(ONE, Some(&old_key));
    assert!(matches!(place.refusal(), StoreError::Rows { .. }), "beside its tombstone");
    place.write(ONE.tombstone(), None);
    assert!(matches!(place.refusal(), StoreError::Rows { .. }), "instead of its tombstone");
    place.write(ONE, None);
    place.write(ONE.tombstone(), Some(&tombstone));
    place.open();
    place.write(grant, Some(&old_grant));
    assert!(matches!(place.refusal(), StoreError::Rows { .. }));
}

#[test]
fn an_older_state_does_not_fit_newer_rows() {
    let place = Place::furnished();
    let older = place.read(RowId::STATE);
    let mut store = place.open();
    let a = slot(&store, "a");
    put(&mut store, a, "three");
    drop(store);
    place.write(RowId::STATE, Some(&older));
    assert!(matches!(place.refusal(), StoreError::Rows { .. }));
}

/// A running engine compares what it reads with what it knows: here the file changes under it, as far as redb shows it.
#[test]
fn a_row_of_another_time_is_not_unwrapped() {
    let place = Place::furnished();
    let stored = place.read(ONE);
    let store = place.open();
    let current = store.contents.open_key(ONE, &stored).unwrap().0;
    assert_eq!(current.key, KeyId(1));
    drop(store);

    // The same key sealed anew by the engine itself: genuine, but not the row that is there.
    let mut store = place.open();
    let kek = store.contents.slot_kek(SlotId(1)).unwrap();
    let body = super::super::seal::claimed_body(&stored).unwrap();
    let secret = store.unwrap_key(KeyId(1)).unwrap();
    let again = super::super::seal::seal(kek, store.uuid(), ONE, body, secret.numbers()).unwrap();
    let refused = store.contents.open_key(ONE, &again).unwrap_err();
    assert!(matches!(refused, StoreError::Replayed { .. }), "{refused}");
    let a = slot(&store, "a");
    put(&mut store, a, "three");
    assert_eq!(answers(&store).unwrap().2.len(), 4);
}

/// The file has the change, whatever failed behind it: nobody may go on as if the key were still there.
#[test]
fn a_change_that_fails_after_its_commit_is_carried_out() {
    let place = Place::furnished();
    let mut store = place.open();
    let (a, epoch) = (slot(&store, "a"), store.epoch());
    store.database.loses_answer.set(true);
    let deleted = store.delete_key(a, "one").unwrap();
    assert_eq!(store.epoch(), epoch + 1);
    assert!(store.keys().iter().all(|row| row.key != deleted));
    let commitment = store.commitment();
    store.create_slot("goes-on").unwrap();
    drop(store);
    let again = place.open();
    assert!(again.epoch() == epoch + 2 && again.commitment() != commitment);
    assert!(again.keys().iter().all(|row| row.key != deleted));
}
