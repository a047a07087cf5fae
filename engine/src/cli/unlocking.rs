//! Arguments that say what opens the store.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::prompt;
use crate::config::{Config, UnlockSource};
use crate::unlock::Unlock;

/// What opens the store; without any of these, the configuration's `unlock`, else a prompt.
#[derive(Args, Debug, Default)]
#[group(multiple = false)]
pub(super) struct UnlockArgs {
    /// A file of 32 random octets, mode 0400.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A file that holds the passphrase, mode 0400.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// A systemd credential of 32 random octets.
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
}

impl UnlockArgs {
    /// Overrides the configuration's source.
    pub(super) fn apply(&self, config: &mut Config) {
        let key_file = self.key_file.clone().map(UnlockSource::KeyFile);
        let passphrase_file = || self.passphrase_file.clone().map(UnlockSource::PassphraseFile);
        let credential = || self.credential.clone().map(UnlockSource::Credential);
        if let Some(source) = key_file.or_else(passphrase_file).or_else(credential) {
            config.unlock = Some(source);
        }
    }
}

/// What opens an existing store.
pub(super) fn existing(config: &Config) -> Result<Unlock, Failure> {
    match &config.unlock {
        Some(source) => Ok(Unlock::read(source)?),
        None => prompt::passphrase(),
    }
}

/// What will open a new store, and the key file if one was made for it.
pub(super) struct New {
    /// The secret.
    pub unlock: Unlock,
    /// Where it was written.
    pub made: Option<PathBuf>,
}

/// Reads what will open a new store; a key file that is not there yet is made.
pub(super) fn new(config: &Config) -> Result<New, Failure> {
    if let Some(UnlockSource::KeyFile(path)) = &config.unlock
        && !path.exists()
    {
        return Ok(New { unlock: Unlock::generate_key_file(path)?, made: Some(path.clone()) });
    }
    let unlock = match &config.unlock {
        Some(source) => Unlock::read(source)?,
        None => prompt::new_passphrase()?,
    };
    Ok(New { unlock, made: None })
}
