use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::Cli;

fn parse(line: &str) -> Result<Cli, ErrorKind> {
    Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.kind())
}

fn refused(line: &str) -> ErrorKind {
    parse(line).map(|cli| format!("{cli:?}")).unwrap_err()
}

#[test]
fn the_command_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn json_stands_before_or_behind_the_verb() {
    assert!(parse("keylane --json slot list").unwrap().json);
    assert!(parse("keylane slot list --json").unwrap().json);
    assert!(!parse("keylane slot list").unwrap().json);
}

#[test]
fn a_grant_names_its_peers() {
    parse("keylane grant add --slot web --uid 33").unwrap();
    parse("keylane grant add --slot web --gid 33 --listener /run/web.sock").unwrap();
    parse("keylane grant add --slot web --listener /run/web.sock").unwrap();
    assert_eq!(refused("keylane grant add --slot web"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused("keylane grant add --slot web --uid 1 --gid 1"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("keylane grant add --slot web --uid root"), ErrorKind::ValueValidation);
}

#[test]
fn algorithms_are_named_with_or_without_hyphen() {
    for name in ["rsa-2048", "rsa2048", "rsa-4096", "p-256", "p256", "p384", "ed25519"] {
        parse(&format!("keylane key generate --slot s --label l --algorithm {name}")).unwrap();
    }
    let unknown = refused("keylane key generate --slot s --label l --algorithm rsa-1024");
    assert_eq!(unknown, ErrorKind::ValueValidation);
}

#[test]
fn a_status_has_one_form() {
    parse("keylane status --format prometheus").unwrap();
    parse("keylane status --watch --json").unwrap();
    assert_eq!(refused("keylane status --format prometheus --json"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("keylane status --format prometheus --watch"), ErrorKind::ArgumentConflict);
}

#[test]
fn one_secret_opens_a_store_and_none_is_an_argument() {
    parse("keylane serve --key-file /k").unwrap();
    parse("keylane init --passphrase-file /p --store /s").unwrap();
    assert_eq!(refused("keylane serve --key-file /k --credential kek"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("keylane serve --passphrase secret"), ErrorKind::UnknownArgument);
}
