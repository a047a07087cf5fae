//! `keylane init`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::answer::Answer;
use super::failure::Failure;
use super::place::StorePlace;
use super::secretly;
use super::unlocking::{self, New, UnlockArgs};
use crate::config::Config;
use crate::store::Store;

const HELP: &str = "\
Examples:
  keylane init --key-file /etc/keylane/kek
      makes the key file if it is not there: the engine opens the store unattended, in milliseconds
  keylane init
      asks for a passphrase; `keylane serve` asks for it again at every start

Whoever loses the key file or the passphrase loses every key of the token. Keep a copy elsewhere.";

/// Make a store: the directory of a new token.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Init {
    #[command(flatten)]
    unlock: UnlockArgs,
    #[command(flatten)]
    place: StorePlace,
}

impl Init {
    pub(super) fn run(&self) -> Result<Answer, Failure> {
        let mut config = self.place.load()?;
        self.unlock.apply(&mut config);
        config.validate()?;
        let key_file = secretly(&config, || make(&config))?;
        Ok(made(&config.store, key_file.as_deref()))
    }
}

/// Makes the store, and the key file that opens it if that is not there yet: both or neither.
fn make(config: &Config) -> Result<Option<PathBuf>, Failure> {
    let New { unlock, made } = unlocking::new(config)?;
    let store = Store::init(&config.store, unlock.as_with());
    store.inspect_err(|_| made.iter().for_each(|key_file| drop(fs::remove_file(key_file))))?;
    Ok(made)
}

fn made(store: &Path, key_file: Option<&Path>) -> Answer {
    let shown = store.display();
    let key = key_file.map_or(String::new(), |path| format!(", which {} opens: keep a copy", path.display()));
    let text =
        format!("made the store {shown}{key}\nstart an engine with `keylane serve --store {shown} ...`");
    Answer::new(text, json!({ "store": store, "key_file": key_file }))
}
