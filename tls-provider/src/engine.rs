//! Which engine a provider's references are looked up in.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use keylane_api::config::ConfigError;
use keylane_api::{Client, Config};

/// An engine, and the client that talks to it from the first reference on. Whatever is not said here is as the
/// process's configuration has it ([`Config::load`]), which is not even read while only ordinary keys are loaded.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    pub socket: Option<PathBuf>,
    pub deadline: Option<Duration>,
    client: OnceLock<Client>,
}

impl Engine {
    /// As the process's configuration says.
    pub const fn configured() -> Self {
        Self { socket: None, deadline: None, client: OnceLock::new() }
    }

    /// The client: one for all keys, so that they share a session. It connects by itself when it must.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn client(&self) -> Result<&Client, ConfigError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::new(self.config()?);
        // Where another thread was faster, its client counts; this one never connected.
        Ok(self.client.get_or_init(|| client))
    }

    fn config(&self) -> Result<Config, ConfigError> {
        let mut config = Config::load()?;
        if let Some(socket) = &self.socket {
            config.socket.clone_from(socket);
        }
        config.deadline = self.deadline.unwrap_or(config.deadline);
        Ok(config)
    }
}
