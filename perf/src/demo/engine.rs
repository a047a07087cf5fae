//! The engine's process: Keylane's engine through its library, on a new store.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::child;
use crate::failure::Failure;

/// What the engine's process needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Directory of the token, which does not exist yet.
    pub store: PathBuf,
    /// Where clients connect.
    pub socket: PathBuf,
    /// The file for the secret that opens the store, which does not exist yet either.
    pub key_file: PathBuf,
}

/// Plays the engine's part; answers only if it cannot start.
pub fn run() -> Result<(), Failure> {
    let Some(_setup) = child::receive::<Setup>()? else { return Ok(()) };
    child::answer::<()>(&Err("not yet".to_owned()))
}
