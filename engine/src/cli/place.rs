//! Where the engine's things are: arguments shared by the verbs.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use crate::admin::client::Client;
use crate::config::Config;

/// Which store.
#[derive(Args, Debug, Default)]
pub(super) struct StorePlace {
    /// Directory of the token [default: /var/lib/keylane; not root: $XDG_DATA_HOME/keylane].
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Configuration file [default: /etc/keylane/engine.toml; not root: $XDG_CONFIG_HOME/keylane/engine.toml].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl StorePlace {
    /// The configuration, with the command line's store.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(store) = &self.store {
            config.store = std::path::absolute(store).map_err(Failure::file("find", store))?;
        }
        Ok(config)
    }

    /// Connects to the engine that runs on the store.
    pub(super) fn connect(&self) -> Result<Client, Failure> {
        Ok(Client::connect(&self.load()?.store)?)
    }
}

/// Which store, and which client socket.
#[derive(Args, Debug, Default)]
pub(super) struct EnginePlace {
    #[command(flatten)]
    store: StorePlace,
    /// Client socket [default: /run/keylane/keylane.sock; not root: $XDG_RUNTIME_DIR/keylane/keylane.sock].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl EnginePlace {
    /// The configuration, with the command line's store and socket.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        let mut config = self.store.load()?;
        if let Some(socket) = &self.socket {
            config.socket = std::path::absolute(socket).map_err(Failure::file("find", socket))?;
        }
        Ok(config)
    }
}
