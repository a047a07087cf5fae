//! The engine's process: Keylane's engine through its library, on a new store.

use std::error::Error;
use std::path::PathBuf;

use keylane_engine::config::Config;
use keylane_engine::engine;
use keylane_engine::os::stack::on_secret_stack;
use keylane_engine::store::Store;
use keylane_engine::unlock::Unlock;
use serde::{Deserialize, Serialize};

use crate::child;
use crate::failure::Failure;

/// Stack on which the store's first secrets are made.
const SECRET_STACK_BYTES: usize = 512 * 1024;

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

/// Plays the engine's part; answers only when the engine ended, or why it did not start.
pub fn run() -> Result<(), Failure> {
    let Some(setup) = child::receive::<Setup>()? else { return Ok(()) };
    child::answer(&serve(&setup).map_err(|error| error.to_string()))
}

fn serve(setup: &Setup) -> Result<(), Box<dyn Error>> {
    let (store, socket) = (setup.store.clone(), setup.socket.clone());
    let config = Config { store, socket, ..Config::default() };
    engine::protect(&config)?;
    let unlock = on_secret_stack(SECRET_STACK_BYTES, || -> Result<_, Box<dyn Error>> {
        let unlock = Unlock::generate_key_file(&setup.key_file)?;
        Store::init(&config.store, unlock.as_with())?;
        Ok(unlock)
    })??;
    Ok(engine::run(&config, unlock, false)?)
}
