//! Sudden death: `kill -9` in the middle of a change, again and again.
//!
//! The test program runs itself as the victim: a test that does nothing unless it is told where the store is.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{Place, Store, StoreError, UnlockWith, in_full, key_file, put, slot};

const VICTIM_STORE: &str = "KEYLANE_TEST_VICTIM_STORE";
const COMMITTED: &str = "committed ";

/// Deaths of one run.
fn rounds() -> usize {
    if in_full() { 200 } else { 20 }
}

/// Starts the test `name` of this program as a process of its own.
pub(super) fn victim(name: &str, store: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    let module = module_path!().split_once("::").unwrap().1;
    let module = module.strip_suffix("::crash").unwrap();
    command.args(["--exact", "--nocapture", &format!("{module}::{name}")]);
    command.env(VICTIM_STORE, store).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// The store that this process is to work on, if it is a victim.
pub(super) fn victims_store() -> Option<std::path::PathBuf> {
    env::var_os(VICTIM_STORE).map(Into::into)
}

/// Waits a random part of `longest`, then kills.
fn kill_soon(victim: &mut Child, longest: Duration) {
    let mut random = [0; 2];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    thread::sleep(longest * u32::from(u16::from_be_bytes(random)) / 0xffff);
    victim.kill().unwrap();
    victim.wait().unwrap();
}

#[test]
fn writer() {
    let Some(dir) = victims_store() else { return };
    let mut store = Store::open(&dir, UnlockWith::KeyFile(&key_file()), None, false).unwrap();
    let a = slot(&store, "a");
    for number in store.epoch().. {
        let label = format!("key {number}");
        put(&mut store, a, &label);
        // The announcement is the answer to the administrator: what he has read must last.
        println!("{COMMITTED}{label}");
        if number % 5 == 0 {
            store.delete_key(a, &label).unwrap();
            println!("deleted {label}");
        }
    }
}

#[test]
fn committed_keys_survive_kill_9_at_any_moment() {
    let place = Place::furnished();
    let mut seen = place.open().epoch();
    for round in 0..rounds() {
        let mut victim = victim("crash::writer", &place.dir()).spawn().unwrap();
        let mut output = BufReader::new(victim.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains(COMMITTED) {
            assert_ne!(output.read_line(&mut said).unwrap(), 0, "the victim did not start: {said}");
        }
        kill_soon(&mut victim, Duration::from_millis(60));
        output.read_to_string(&mut said).unwrap();

        let store = place.try_open(Some(seen)).unwrap_or_else(|cause| panic!("round {round}: {cause}"));
        let keys = store.keys();
        let a = slot(&store, "a");
        for line in said.lines() {
            let (kept, label) = match line.split_once(' ') {
                Some(("committed", label)) => (!said.contains(&format!("deleted {label}\n")), label),
                _ => continue,
            };
            let there = keys.iter().find(|row| row.slot == a && row.label == label);
            // The last deletion may be committed and not yet announced.
            let last = said.trim_end().ends_with(line);
            assert!(there.is_some() == kept || last, "round {round}: {label}, kept: {kept}");
        }
        for row in &keys {
            store.unwrap_key(row.key).unwrap();
        }
        seen = store.epoch();
    }
}

#[test]
fn founder() {
    let Some(dir) = victims_store() else { return };
    println!("starting");
    Store::init(&dir, UnlockWith::KeyFile(&key_file())).unwrap();
}

#[test]
fn a_store_is_made_whole_or_not_at_all() {
    for round in 0..rounds() {
        let place = Place { parent: tempfile::tempdir().unwrap() };
        let mut victim = victim("crash::founder", &place.dir()).spawn().unwrap();
        let mut output = BufReader::new(victim.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains("starting") {
            assert_ne!(output.read_line(&mut said).unwrap(), 0, "the victim did not start");
        }
        kill_soon(&mut victim, Duration::from_millis(20));
        match place.try_open(None) {
            Ok(_) => continue,
            Err(StoreError::NotAStore { .. }) => {}
            Err(other) => panic!("round {round}: {other}"),
        }
        Store::init(&place.dir(), UnlockWith::KeyFile(&key_file())).unwrap();
        place.open();
    }
}
