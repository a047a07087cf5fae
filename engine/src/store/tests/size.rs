//! A store of ordinary size: 1,000 slots and 100,000 keys.

use keylane_api::Algorithm;
use keylane_api::control::{KeyId, SlotId};

use super::{Place, Policy};
use crate::key;
use crate::store::change::Change;

#[test]
fn a_hundred_thousand_keys_open_and_unwrap() {
    const SLOTS: u32 = 1_000;
    const KEYS: u64 = 100_000;
    let place = Place::new();
    let mut store = place.open();
    let mut change = Change::new(&store.contents).unwrap();
    for slot in 1..=SLOTS {
        change.add_slot(&store.contents, &store.root, format!("slot {slot}")).unwrap();
    }
    store.commit(change).unwrap();
    let material = key::generate(Algorithm::P256).unwrap();
    let mut change = Change::new(&store.contents).unwrap();
    for key in 0..KEYS {
        let slot = SlotId(u32::try_from(key % u64::from(SLOTS)).unwrap() + 1);
        change.add_key(&store.contents, slot, format!("key {key}"), Policy::DEFAULT, &material).unwrap();
    }
    store.commit(change).unwrap();
    drop(store);

    let started = std::time::Instant::now();
    let store = place.open();
    println!("{KEYS} keys opened in {:?}", started.elapsed());
    assert_eq!((store.slots().len(), store.keys().len()), (1_000, 100_000));
    let started = std::time::Instant::now();
    for key in (1..=KEYS).step_by(97) {
        assert_eq!(store.unwrap_key(KeyId(key)).unwrap().numbers(), material.numbers());
    }
    println!("an unwrap took {:?}", started.elapsed() / u32::try_from(KEYS / 97).unwrap());
}
