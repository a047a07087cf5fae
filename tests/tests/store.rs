//! What happens to the token's files, seen from the command line: a full disk, damage, and an older copy put back.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what must hold by failing")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use keylane_api::control::KeySelector;
use keylane_api::{Input, Scheme};
use keylane_tests::engine::{Engine, SLOT, path};
use keylane_tests::process::run;
use keylane_tests::signing::{tls13, transcript};
use keylane_tests::{Options, Token};
use serde_json::Value;

fn generate(engine: &Engine<'_>, label: &str) -> Output {
    let arguments = ["key", "generate", "--slot", SLOT, "--label", label, "--algorithm", "p-256"];
    engine.try_keylane(&arguments)
}

fn labels(engine: &Engine<'_>) -> Vec<String> {
    let listed: Value =
        serde_json::from_slice(&engine.keylane(&["key", "list", "--json"]).stdout).expect("JSON");
    let keys = listed.as_array().expect("a list");
    keys.iter().map(|key| key["label"].as_str().expect("a label").to_owned()).collect()
}

fn signs(engine: &Engine<'_>, label: &str) {
    let soon = Instant::now() + Duration::from_secs(20);
    let client = engine.client();
    let selector = KeySelector::Label { slot: Some(SLOT.to_owned()), label: label.to_owned() };
    let key = client.key(&selector, soon).expect("the key is there");
    let message = tls13(&transcript(0, 0));
    client.sign(&key, Scheme::EcdsaP256Sha256, Input::Message(&message), soon).expect("it signs");
}

/// An engine that must not start on this token; what it says.
fn refuses_to_start(token: &Token, arguments: &[&str]) -> String {
    let mut serve = token.keylane(&["serve", "--key-file", path(&token.key_file())]);
    let output = serve.args(arguments).stdin(Stdio::null()).output().expect("keylane runs");
    assert!(!output.status.success(), "it started");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file system with room for one audit segment and little else.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let directory = tempfile::Builder::new().prefix("kl").tempdir().expect("a temporary directory");
        let mut mount = Command::new("mount");
        run(mount.args(["-t", "tmpfs", "-o", "size=68m,mode=0700", "keylane-test"]).arg(directory.path()));
        Self(directory)
    }

    fn grow(&self) {
        run(Command::new("mount").args(["-o", "remount,size=80m"]).arg(self.0.path()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_named_and_nothing_is_lost() {
    if !rustix::process::getuid().is_root() {
        println!(
            "only root may mount a small disk: the engine's own tests fill one by a limit on file sizes"
        );
        return;
    }
    let disk = SmallDisk::mount();
    let token = Token::within(disk.0.path());
    let engine = token.serve_granted(&Options::default());
    let mut kept = Vec::new();
    let refused = loop {
        let label = format!("k{}", kept.len());
        let output = generate(&engine, &label);
        if !output.status.success() {
            break String::from_utf8_lossy(&output.stderr).into_owned();
        }
        kept.push(label);
        // The last of the space; the store itself grows in large steps.
        if kept.len() == 3 {
            fill(disk.0.path());
        }
        assert!(kept.len() < 20_000, "the disk never fills");
    };
    assert!(refused.contains("no space") && refused.contains("free some"), "{refused}");
    assert_eq!(labels(&engine), kept);
    signs(&engine, &kept[0]);
    fs::remove_file(disk.0.path().join("ballast")).expect("the ballast");
    disk.grow();
    assert!(generate(&engine, "after").status.success(), "there is space again");
    kept.push("after".to_owned());
    engine.kill();
    let engine = token.serve(&Options::default());
    let mut found = labels(&engine);
    found.sort();
    kept.sort();
    assert_eq!(found, kept);
    signs(&engine, "after");
    engine.terminate();
}

/// Takes all space that is left.
fn fill(disk: &Path) {
    let ballast = fs::File::create(disk.join("ballast")).expect("a file");
    let zeros = vec![0; 4096];
    while std::io::Write::write_all(&mut &ballast, &zeros).is_ok() {}
}

#[test]
fn a_damaged_store_is_named_and_left_as_it_is() {
    let token = Token::new();
    token.serve_granted(&Options::default()).terminate();
    let file = token.store().join("token.redb");
    let whole = fs::read(&file).expect("reads");
    for (damage, octets) in [
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("emptied", Vec::new()),
        ("overwritten", vec![0x5a; whole.len()]),
    ] {
        fs::write(&file, &octets).expect("writes");
        let said = refuses_to_start(&token, &[]);
        assert!(said.contains(path(&file)) && said.contains("backup"), "{damage}: {said}");
        assert_eq!(fs::read(&file).expect("reads"), octets, "{damage}: evidence is not touched");
    }
    fs::write(&file, &whole).expect("writes");
    token.serve(&Options::default()).terminate();
}

#[test]
fn an_older_copy_beside_newer_audit_segments_needs_consent() {
    let token = Token::new();
    let file = token.store().join("token.redb");
    let engine = token.serve_granted(&Options::default());
    assert!(generate(&engine, "old").status.success());
    engine.terminate();
    let older = fs::read(&file).expect("reads");
    let engine = token.serve(&Options::default());
    assert!(generate(&engine, "new").status.success());
    engine.terminate();
    fs::write(&file, older).expect("writes");
    let said = refuses_to_start(&token, &[]);
    assert!(said.contains("older") && said.contains("--accept-rollback"), "{said}");
    let engine = token.serve(&Options::with(&["--workers", "1", "--accept-rollback"]));
    assert_eq!(labels(&engine), ["old"]);
    engine.terminate();
    token.serve(&Options::default()).terminate();
}
