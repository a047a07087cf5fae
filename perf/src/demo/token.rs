//! A token that lives as long as the demo, and the engine that holds it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use keylane_api::reference::KeyReference;
use keylane_engine::admin::Who;
use keylane_engine::admin::client::{Client, ClientError};
use keylane_engine::admin::status::Status;
use tempfile::TempDir;

use super::engine;
use crate::child::{Child, PATIENCE, Role};
use crate::failure::Failure;
use crate::interrupt::Interrupt;

const SLOT: &str = "demo";
/// Between two looks whether the engine is up.
const PACE: Duration = Duration::from_millis(10);

/// A temporary token in a running engine.
pub struct Token {
    // Dropped in this order: the engine is gone before its files go.
    engine: Child,
    admin: Client,
    places: engine::Setup,
    directory: TempDir,
}

impl Token {
    /// Makes a token with one slot, granted to this process's user, and starts an engine for it.
    pub fn start(interrupt: &Interrupt) -> Result<Self, Failure> {
        let directory = TempDir::with_prefix("keylane-demo-").map_err(Failure::file(std::env::temp_dir()))?;
        let places = engine::Setup {
            store: directory.path().join("store"),
            socket: directory.path().join("keylane.sock"),
            key_file: directory.path().join("unlock.key"),
        };
        let mut engine = Child::start(Role::Engine, &[])?;
        engine.send(&places)?;
        let mut admin = connect(&places.store, &mut engine, interrupt)?;
        admin.create_slot(SLOT)?;
        admin.add_grant(SLOT, Who::Uid(rustix::process::geteuid().as_raw()), None)?;
        Ok(Self { engine, admin, places, directory })
    }

    /// Moves a private key (PEM) into the token: the reference that stands for it from now on (PEM).
    pub fn import(&mut self, label: &str, key: &str) -> Result<String, Failure> {
        let path = self.directory.path().join("imported.pem");
        let opened = create(&path, 0o600, key.as_bytes()).and_then(|()| fs::File::open(&path));
        // The engine gets the open file; its name is not needed a moment longer.
        let removed = fs::remove_file(&path);
        let file = opened.and_then(|file| removed.map(|()| file)).map_err(Failure::file(path))?;
        let view = self.admin.import_key(SLOT, label, None, file.as_fd())?;
        let reference = KeyReference::new(SLOT, label, view.key, &view.public);
        reference.and_then(|reference| reference.to_pem()).map_err(Failure::crypto("a key reference"))
    }

    /// The engine's state and counters.
    pub fn status(&mut self) -> Result<Status, Failure> {
        serde_json::from_str(&self.admin.status()?).map_err(Failure::Status)
    }

    /// The engine's process id.
    pub fn engine_pid(&self) -> u32 {
        self.engine.pid()
    }

    /// What a server's environment says so that it finds this engine.
    pub fn client_environment(&self) -> [(&'static str, &Path); 1] {
        [("KEYLANE_SOCKET", &self.places.socket)]
    }
}

/// Waits until the engine answers; what keeps it from starting is its answer too.
fn connect(store: &Path, engine: &mut Child, interrupt: &Interrupt) -> Result<Client, Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        match Client::connect(store) {
            Err(ClientError::NotRunning { .. }) if Instant::now() < end => {
                engine.poll::<()>(PACE, interrupt)?;
            }
            Err(ClientError::PathTooLong { path }) => {
                let error = io::Error::new(io::ErrorKind::InvalidFilename, "too long for a socket path");
                return Err(Failure::file(path)(error));
            }
            outcome => return Ok(outcome?),
        }
    }
}

fn create(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(content)
}
