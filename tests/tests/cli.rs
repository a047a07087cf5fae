//! The command line on a running engine: every verb, and every mistake with its exit code and its remedy.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what must hold by failing")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use keylane_tests::engine::{SLOT, path};
use keylane_tests::process::{built, run};
use keylane_tests::{Options, Token, keys};
use serde_json::Value;

/// Exit codes, as `keylane --help` lists them.
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const NO_ENGINE: i32 = 3;
const REFUSED: i32 = 4;
const PROBLEM: i32 = 5;

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("keylane runs")
}

/// Requires this exit code and each of `parts` on stderr.
#[track_caller]
fn fails(command: &mut Command, code: i32, parts: &[&str]) {
    let output = output(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "{command:?}: {part:?} is missing in: {said}");
    }
}

#[track_caller]
fn json(command: &mut Command) -> Value {
    serde_json::from_slice(&run(command.arg("--json")).stdout).expect("JSON")
}

#[track_caller]
fn text(command: &mut Command) -> String {
    String::from_utf8(run(command).stdout).expect("UTF-8")
}

fn passphrase(token: &Token, name: &str, words: &str) -> String {
    let file = token.directory().join(name);
    keys::write_secret(&file, words);
    path(&file).to_owned()
}

#[test]
fn slots_and_grants_come_and_go() {
    let token = Token::new();
    let _engine = token.serve(&Options::default());
    let slot = json(&mut token.keylane(&["slot", "create", "shop"]));
    assert_eq!((&slot["name"], &slot["keys"], &slot["grants"]), (&"shop".into(), &0.into(), &0.into()));
    let listener = token.directory().join("shop/shop.sock");
    let by_uid = json(&mut token.keylane(&["grant", "add", "--slot", "shop", "--uid", "33"]));
    let add = ["grant", "add", "--slot", "shop", "--gid", "44", "--listener", path(&listener)];
    fails(&mut token.keylane(&add), REFUSED, &["shop.sock", "No such file"]);
    fs::create_dir(token.directory().join("shop")).unwrap();
    let by_gid = json(&mut token.keylane(&add));
    assert_eq!((&by_uid["uid"], &by_uid["listener"]), (&33.into(), &Value::Null));
    assert_eq!((&by_gid["gid"], &by_gid["listener"]), (&44.into(), &path(&listener).into()));
    assert!(listener.exists(), "the engine listens for the new grant");

    assert_eq!(json(&mut token.keylane(&["grant", "list"])).as_array().map(Vec::len), Some(2));
    assert_eq!(json(&mut token.keylane(&["slot", "list"]))[0]["grants"], 2);
    let table = text(&mut token.keylane(&["grant", "list"]));
    assert!(table.contains("uid 33") && table.contains("gid 44"), "{table}");
    run(&mut token.keylane(&["grant", "revoke", &by_gid["grant"].to_string()]));
    let left = json(&mut token.keylane(&["grant", "list"]));
    assert_eq!(left.as_array().map(Vec::len), Some(1));
    assert_eq!(left[0]["uid"], 33);
}

#[test]
fn a_key_of_every_kind_is_generated_listed_shown_exported_and_deleted() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    for algorithm in keys::ALGORITHMS {
        let generate = ["key", "generate", "--slot", SLOT, "--label", algorithm, "--algorithm", algorithm];
        let made = json(&mut token.keylane(&generate));
        assert_eq!(
            (&made["algorithm"], &made["allow"]),
            (&algorithm.into(), &"tls13-server,tls12-server".into())
        );
        let shown = json(&mut token.keylane(&["key", "show", "--slot", SLOT, algorithm]));
        assert_eq!(shown, made);
        let public = text(&mut token.keylane(&["key", "export-public", "--slot", SLOT, algorithm]));
        assert_eq!(shown["public_key"], public);
        let file = token.directory().join("public.pem");
        fs::write(&file, &public).unwrap();
        run(Command::new("openssl").args(["pkey", "-pubin", "-noout", "-in"]).arg(&file));
    }
    let listed = json(&mut token.keylane(&["key", "list", "--slot", SLOT]));
    let labels: Vec<_> =
        listed.as_array().unwrap().iter().map(|key| key["label"].as_str().unwrap()).collect();
    assert_eq!(labels, keys::ALGORITHMS);
    for algorithm in keys::ALGORITHMS {
        run(&mut token.keylane(&["key", "delete", "--slot", SLOT, algorithm]));
        fails(
            &mut token.keylane(&["key", "show", "--slot", SLOT, algorithm]),
            REFUSED,
            &["keylane key list"],
        );
    }
    assert_eq!(engine.status()["keys"], 0);
}

#[test]
fn a_listing_is_longer_than_a_page() {
    let token = Token::new();
    let _engine = token.serve(&Options::default());
    for number in 0..70 {
        run(&mut token.keylane(&["slot", "create", &format!("slot-{number}")]));
    }
    let slots = json(&mut token.keylane(&["slot", "list"]));
    let names: Vec<_> = slots.as_array().unwrap().iter().map(|slot| slot["name"].as_str().unwrap()).collect();
    assert_eq!(names, (0..70).map(|number| format!("slot-{number}")).collect::<Vec<_>>());
}

#[test]
fn a_key_is_imported_and_its_reference_written() {
    let token = Token::new();
    let _engine = token.serve_granted(&Options::default());
    let (file, reference) = (token.directory().join("plain.pem"), token.directory().join("key.pem"));
    keys::write_secret(&file, &keys::pem("p-256"));
    let import = |label| ["key", "import", "--slot", SLOT, "--label", label, path(&file)].map(str::to_owned);
    let arguments = import("a");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert_eq!(json(&mut token.keylane(&arguments))["general_signer"], false);
    fails(&mut token.keylane(&arguments), REFUSED, &["already", "another label"]);
    run(&mut token.keylane(&["key", "reference", "--slot", SLOT, "a", "-o", path(&reference)]));
    let written = fs::read_to_string(&reference).unwrap();
    assert!(written.starts_with("-----BEGIN PRIVATE KEY-----"), "{written}");
    let parsed = Command::new("openssl").args(["asn1parse", "-in", path(&reference)]).output().unwrap();
    let parsed = String::from_utf8_lossy(&parsed.stdout).into_owned();
    assert!(parsed.contains("pkcs11:token=web;object=a"), "{parsed}");
}

#[test]
fn a_general_signer_is_called_one() {
    let token = Token::new();
    let _engine = token.serve_granted(&Options::default());
    for allow in ["raw-digest", "sign", "tls13-server,sign"] {
        let generate = ["key", "generate", "--slot", SLOT, "--label", allow];
        let said = text(token.keylane(&generate).args(["--algorithm", "p-256", "--allow", allow]));
        assert!(said.contains("general signer"), "{said}");
        assert_eq!(json(&mut token.keylane(&["key", "show", "--slot", SLOT, allow]))["general_signer"], true);
    }
    let unknown =
        ["key", "generate", "--slot", SLOT, "--label", "h", "--algorithm", "p-256", "--allow", "decrypt"];
    fails(&mut token.keylane(&unknown), REFUSED, &["decrypt"]);
}

#[test]
fn what_is_no_acceptable_key_is_refused_by_name() {
    let token = Token::new();
    let _engine = token.serve_granted(&Options::default());
    let weak = token.directory().join("weak.pem");
    run(Command::new("openssl").args(["genrsa", "-out", path(&weak), "1024"]));
    let import = |file: &Path| {
        let mut command = token.keylane(&["key", "import", "--slot", SLOT, "--label", "k"]);
        command.arg(file);
        command
    };
    fails(&mut import(&weak), REFUSED, &["1024"]);
    fails(&mut import(&token.directory().join("absent.pem")), FAILED, &["absent.pem", "No such file"]);
    fails(&mut import(token.directory()), REFUSED, &[]);
    fs::write(&weak, "not a key").unwrap();
    fails(&mut import(&weak), REFUSED, &[]);
    assert_eq!(json(&mut token.keylane(&["key", "list"])), Value::Array(Vec::new()));
}

#[test]
fn unknown_and_existing_names_are_refused_with_the_remedy() {
    let token = Token::new();
    let _engine = token.serve_granted(&Options::default());
    fails(&mut token.keylane(&["slot", "create", SLOT]), REFUSED, &[SLOT, "another name"]);
    fails(
        &mut token.keylane(&["grant", "add", "--slot", "nix", "--uid", "0"]),
        REFUSED,
        &["nix", "slot list"],
    );
    fails(&mut token.keylane(&["grant", "revoke", "99"]), REFUSED, &["99", "grant list"]);
    fails(&mut token.keylane(&["key", "list", "--slot", "nix"]), REFUSED, &["nix", "slot list"]);
    fails(&mut token.keylane(&["key", "delete", "--slot", SLOT, "nix"]), REFUSED, &["nix", "key list"]);
    let refused = output(token.keylane(&["key", "show", "--slot", SLOT, "nix"]).arg("--json"));
    let answer: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(answer["error"]["class"], "refused");
    assert_eq!(answer["error"]["status"], "NotFound");
}

#[test]
fn verbs_without_an_engine_say_how_to_start_one() {
    let token = Token::new();
    let start = format!("keylane serve --store {}", path(&token.store()));
    for arguments in [
        &["slot", "create", "s"][..],
        &["slot", "list"],
        &["grant", "add", "--slot", "s", "--uid", "0"],
        &["grant", "list"],
        &["grant", "revoke", "1"],
        &["key", "generate", "--slot", "s", "--label", "l", "--algorithm", "p-256"],
        &["key", "import", "--slot", "s", "--label", "l", "/dev/null"],
        &["key", "list"],
        &["key", "show", "--slot", "s", "l"],
        &["key", "export-public", "--slot", "s", "l"],
        &["key", "reference", "--slot", "s", "l"],
        &["key", "delete", "--slot", "s", "l"],
        &["status"],
        &["status", "--format", "prometheus"],
    ] {
        fails(&mut token.keylane(arguments), NO_ENGINE, &["no engine is running", &start]);
    }
}

#[test]
fn serving_what_is_no_store_makes_none() {
    let token = Token::new();
    let elsewhere = token.directory().join("elsewhere");
    let at = |verb: &str, key: &str| {
        let mut command = Command::new(built("keylane"));
        command.args([verb, "--store", path(&elsewhere), "--key-file", key]);
        command
    };
    fails(&mut at("serve", path(&token.key_file())), FAILED, &[path(&elsewhere), "keylane init"]);
    assert!(!elsewhere.exists());
    run(&mut at("init", path(&token.directory().join("other-key"))));
}

#[test]
fn the_wrong_secret_opens_nothing() {
    let token = Token::new();
    let serve = |kind: &str, file: &str| {
        let mut command = token.keylane(&["serve", kind, file]);
        command.args(["--workers", "1"]);
        command
    };
    let other = token.directory().join("other");
    fs::write(&other, [7; 32]).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o400)).unwrap();
    fails(&mut serve("--key-file", path(&other)), REFUSED, &["wrong key file"]);
    fails(&mut serve("--passphrase-file", &passphrase(&token, "words", "words")), REFUSED, &["key file"]);
    fs::set_permissions(&other, fs::Permissions::from_mode(0o444)).unwrap();
    fails(&mut serve("--key-file", path(&other)), USAGE, &["chmod 0400"]);
    fails(&mut serve("--key-file", "/nonexistent"), USAGE, &["/nonexistent"]);
    fails(&mut token.keylane(&["serve"]), USAGE, &["--key-file"]);

    let second = token.directory().join("second");
    let keylane = |verb, file: &str| {
        let mut command = Command::new(built("keylane"));
        command.args([verb, "--passphrase-file", file, "--store"]).arg(&second);
        command
    };
    run(&mut keylane("init", &passphrase(&token, "right", "correct horse\n")));
    fails(
        &mut keylane("serve", &passphrase(&token, "wrong", "battery staple")),
        REFUSED,
        &["wrong passphrase"],
    );
}

#[test]
fn a_store_is_made_once_and_leaves_no_key_file_behind_otherwise() {
    let token = Token::new();
    let (store, key) = (token.store(), token.directory().join("another"));
    let before = fs::read(store.join("token.redb")).unwrap();
    fails(&mut token.keylane(&["init", "--key-file", path(&key)]), REFUSED, &[path(&store), "already"]);
    assert!(!key.exists(), "its store was not made");
    assert_eq!(fs::read(store.join("token.redb")).unwrap(), before);
    assert_eq!(fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(token.key_file()).unwrap().permissions().mode() & 0o777, 0o400);
}

#[test]
fn a_second_engine_is_refused_and_the_first_goes_on() {
    let token = Token::new();
    let engine = token.serve(&Options::default());
    let mut second = token.keylane(&["serve", "--key-file", path(&token.key_file())]);
    fails(&mut second, REFUSED, &["another engine", &engine.process.pid().to_string()]);
    assert_eq!(engine.status()["ready"], true);
    engine.terminate();
    assert!(!token.socket().exists(), "an engine that ended well leaves no socket");
    token.serve(&Options::default()).terminate();
}

#[test]
fn a_socket_path_too_long_is_named() {
    let token = Token::new();
    let long = token.directory().join("s".repeat(120));
    let mut serve = Command::new(built("keylane"));
    serve.args(["serve", "--key-file", path(&token.key_file()), "--store", path(&token.store()), "--socket"]);
    fails(serve.arg(&long), USAGE, &["107", "shorter"]);
    let mut list = Command::new(built("keylane"));
    fails(list.args(["slot", "list", "--store"]).arg(&long), FAILED, &["107", "shorter"]);
}

#[test]
fn a_configuration_is_checked_without_starting_anything() {
    let token = Token::new();
    let file = token.directory().join("engine.toml");
    let key_file = token.key_file();
    let write = |text: &str| fs::write(&file, text).unwrap();
    write(&format!("workers = 3\n[audit]\nkeep = 2\n[unlock]\nkey_file = {:?}\n", path(&key_file)));
    let check = |arguments: &[&str]| {
        let mut command = token.keylane(&["serve", "--check", "--config", path(&file)]);
        command.args(arguments);
        command
    };
    let used = json(&mut check(&["--audit-keep", "5", "--busy-poll"]));
    assert_eq!(
        (&used["workers"], &used["audit"]["keep"], &used["busy_poll"]),
        (&3.into(), &5.into(), &true.into())
    );
    assert_eq!(used["unlock"]["key_file"], path(&key_file));
    assert_eq!(used["store"], path(&token.store()));
    assert!(text(&mut check(&[])).contains("workers = 3"));
    write("workers = 1\nwrokers = 2\n");
    fails(&mut check(&[]), USAGE, &[path(&file), "line 2", "wrokers"]);
    write("workers = 99\n");
    fails(&mut check(&[]), USAGE, &["workers", "64"]);
    assert!(!token.socket().exists());
}

#[test]
fn too_little_locked_memory_is_named_with_the_remedy() {
    let token = Token::new();
    let serve = token.keylane(&["serve", "--key-file", path(&token.key_file()), "--secret-memory-mib", "64"]);
    // Root may lock what it likes, unless it gave that right up.
    let mut limited = Command::new("prlimit");
    limited.args([
        "--memlock=1048576:1048576",
        "setpriv",
        "--bounding-set=-ipc_lock",
        "--inh-caps=-ipc_lock",
    ]);
    limited.arg(serve.get_program()).args(serve.get_args());
    fails(&mut limited, FAILED, &["RLIMIT_MEMLOCK", "LimitMEMLOCK="]);
}

#[test]
fn doctor_finds_what_is_missing() {
    let token = Token::new();
    let healthy = json(&mut token.keylane(&["doctor"]));
    assert_eq!(healthy["healthy"], true, "{healthy}");
    fs::set_permissions(token.store(), fs::Permissions::from_mode(0o755)).unwrap();
    let sick = output(&mut token.keylane(&["doctor"]));
    assert_eq!(sick.status.code(), Some(PROBLEM));
    assert!(String::from_utf8_lossy(&sick.stdout).contains("chmod 0700"));
}

#[test]
fn status_is_for_people_programs_and_collectors() {
    let token = Token::new();
    let engine = token.serve(&Options::default());
    let status = engine.status();
    assert_eq!(status["pid"], engine.process.pid());
    assert_eq!(status["workers"].as_array().map(Vec::len), Some(1));
    assert!(text(&mut token.keylane(&["status"])).contains("ready"));
    let metrics = text(&mut token.keylane(&["status", "--format", "prometheus"]));
    assert!(metrics.lines().any(|line| line == "keylane_ready 1"), "{metrics}");
    fails(&mut token.keylane(&["status", "--watch"]), USAGE, &["--json"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let token = Token::new();
    let _engine = token.serve(&Options::default());
    let mut watch = token.keylane(&["status", "--watch", "--json"]);
    let mut child = watch.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", ended.status);
    assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
}
