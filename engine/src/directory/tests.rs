use std::path::{Path, PathBuf};

use keylane_api::Algorithm;
use keylane_api::control::{KeyId, KeySelector, SlotId};

use super::{Directory, Peer};
use crate::admin::{GrantId, Who};
use crate::messages::Change;
use crate::policy::Policy;
use crate::store::{GrantRow, KeyRow, SlotRow};

const PEER: Peer = Peer { pid: 7, uid: 1000, gid: 100 };

fn slot(number: u32) -> SlotRow {
    SlotRow { slot: SlotId(number), name: format!("slot-{number}") }
}

fn grant(number: u32, slot: u32, who: Who, listener: Option<&str>) -> GrantRow {
    GrantRow {
        grant: GrantId(number),
        slot: SlotId(slot),
        who,
        listener: listener.map(PathBuf::from),
        epoch: 1,
    }
}

fn key(number: u64, slot: u32, label: &str) -> KeyRow {
    KeyRow {
        key: KeyId(number),
        slot: SlotId(slot),
        label: label.to_owned(),
        algorithm: Algorithm::P256,
        public: vec![4, 2],
        policy: Policy::DEFAULT,
    }
}

fn directory() -> Directory {
    let slots = vec![slot(1), slot(2)];
    let grants = vec![
        grant(1, 1, Who::Listener, None),
        grant(2, 1, Who::Gid(100), None),
        grant(3, 1, Who::Uid(1000), None),
        grant(4, 2, Who::Listener, Some("/run/b.sock")),
    ];
    Directory::load(slots, grants, vec![key(10, 1, "web"), key(11, 2, "web")])
}

#[test]
fn the_most_specific_grant_wins() {
    let mut directory = directory();
    let grant_of = |directory: &Directory, peer| directory.visible(None, peer).get(&SlotId(1)).copied();
    assert_eq!(grant_of(&directory, PEER), Some(GrantId(3)), "uid over gid over listener");
    assert_eq!(grant_of(&directory, Peer { uid: 1001, ..PEER }), Some(GrantId(2)), "gid over listener");
    assert_eq!(grant_of(&directory, Peer { uid: 1001, gid: 101, ..PEER }), Some(GrantId(1)));
    directory.apply(Change::GrantRevoked(GrantId(3)));
    assert_eq!(grant_of(&directory, PEER), Some(GrantId(2)));
}

#[test]
fn root_and_unmapped_users_must_be_named() {
    let mut directory = directory();
    for uid in [0, 65_534] {
        let peer = Peer { uid, ..PEER };
        assert!(directory.visible(None, peer).is_empty(), "uid {uid}");
        directory.apply(Change::GrantAdded(grant(100 + uid, 1, Who::Uid(uid), None)));
        assert_eq!(directory.visible(None, peer).len(), 1, "uid {uid}, named");
    }
}

#[test]
fn a_listener_shows_only_its_own_grants() {
    let directory = directory();
    let there = directory.visible(Some(Path::new("/run/b.sock")), PEER);
    assert_eq!(there.into_keys().collect::<Vec<_>>(), [SlotId(2)]);
    assert!(directory.visible(Some(Path::new("/run/c.sock")), PEER).is_empty());
}

#[test]
fn nothing_resolves_outside_the_visible_slots() {
    let directory = directory();
    let visible = directory.visible(None, PEER);
    let resolve =
        |selector: &KeySelector| directory.resolve(&visible, selector).map(|(record, _)| record.key);
    let label =
        |slot: Option<&str>| KeySelector::Label { slot: slot.map(str::to_owned), label: "web".to_owned() };
    assert_eq!(resolve(&label(None)), Some(KeyId(10)));
    assert_eq!(resolve(&label(Some("slot-1"))), Some(KeyId(10)));
    assert_eq!(resolve(&label(Some("slot-2"))), None);
    assert_eq!(resolve(&KeySelector::Object { slot: SlotId(1), key: KeyId(10) }), Some(KeyId(10)));
    assert_eq!(resolve(&KeySelector::Object { slot: SlotId(1), key: KeyId(11) }), None, "wrong slot");
    assert_eq!(resolve(&KeySelector::Object { slot: SlotId(2), key: KeyId(11) }), None, "not visible");
    assert_eq!(resolve(&KeySelector::Public(vec![4, 2])), Some(KeyId(10)), "the visible twin");
    assert_eq!(resolve(&KeySelector::Public(vec![4, 3])), None);
}

#[test]
fn a_deleted_key_is_gone_under_every_name() {
    let mut directory = directory();
    let record = directory.apply(Change::KeyDeleted(KeyId(10))).expect("was there");
    assert!(record.is_deleted());
    let visible = directory.visible(None, PEER);
    for selector in [
        KeySelector::Label { slot: None, label: "web".to_owned() },
        KeySelector::Object { slot: SlotId(1), key: KeyId(10) },
        KeySelector::Public(vec![4, 2]),
    ] {
        assert!(directory.resolve(&visible, &selector).is_none(), "{selector:?}");
    }
    assert_eq!(directory.key_count(), 1);
    assert!(directory.apply(Change::KeyDeleted(KeyId(10))).is_none(), "twice");
}
