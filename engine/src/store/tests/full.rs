//! A disk without space: named, nothing lost, and everything goes on once there is some.

use std::path::Path;
use std::process::Command;

use keylane_api::Algorithm;
use rustix::process::{Resource, Rlimit};

use super::crash::{victim, victims_store};
use super::{Place, Policy, Store, StoreError, UnlockWith, answers, key_file};
use crate::key;

/// Puts keys until there is no space, checks what there is then, makes room, and goes on.
fn fill(dir: &Path, make_room: impl FnOnce()) {
    let open = || Store::open(dir, UnlockWith::KeyFile(&key_file()), None, false);
    Store::init(dir, UnlockWith::KeyFile(&key_file())).unwrap();
    let mut store = open().unwrap();
    let slot = store.create_slot("a").unwrap().slot;
    let material = key::generate(Algorithm::Rsa2048).unwrap();
    let put = |store: &mut Store, number: usize| {
        store.put_key(slot, &format!("key {number}"), Policy::DEFAULT, &material)
    };
    let mut kept = 0;
    let refused = loop {
        match put(&mut store, kept) {
            Ok(_) => kept += 1,
            Err(cause) => break cause,
        }
        assert!(kept < 100_000, "the disk never fills");
    };
    assert!(matches!(&refused, StoreError::Full { path } if path.starts_with(dir)), "{refused}");
    assert!(refused.to_string().contains("free some"), "{refused}");

    let before = (store.epoch(), answers(&store).unwrap());
    assert_eq!(before.1.2.len(), kept, "a refused key is not there, the others are");
    assert!(matches!(put(&mut store, kept), Err(StoreError::Full { .. })), "still full");
    drop(store);
    let mut store = open().unwrap();
    assert_eq!((store.epoch(), answers(&store).unwrap()), before, "nothing lost");

    make_room();
    put(&mut store, kept).unwrap();
    drop(store);
    assert_eq!(open().unwrap().keys().len(), kept + 1);
}

/// A file system of its own, if this process may mount one.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m,mode=0700", "keylane-test"]).arg(dir.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(dir))
    }

    fn grow(&self) {
        let mut mount = Command::new("mount");
        let status = mount.args(["-o", "remount,size=32m"]).arg(self.0.path()).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_file_system_loses_nothing() {
    // Needs root; the limit on a file's size below does not, and stands in where this cannot run.
    let Some(tmpfs) = Tmpfs::mount() else { return };
    fill(&tmpfs.0.path().join("store"), || tmpfs.grow());
}

/// Soft limit of the process below, in bytes.
const FILE_BYTES: u64 = 4 << 20;

#[test]
fn limited() {
    let Some(dir) = victims_store() else { return };
    let hard = rustix::process::getrlimit(Resource::Fsize).maximum;
    let limit = |bytes| {
        rustix::process::setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum: hard }).unwrap();
    };
    limit(Some(FILE_BYTES));
    fill(&dir, || limit(hard));
}

#[test]
fn a_file_that_may_not_grow_loses_nothing() {
    let place = Place { parent: tempfile::tempdir().unwrap() };
    let limited = victim("full::limited", &place.dir());
    // Beyond the limit Linux sends SIGXFSZ first, which a shell can have ignored.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(limited.get_program())
        .args(limited.get_args());
    shell.envs(limited.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
