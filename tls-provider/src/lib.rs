//! rustls keys that live in a Keylane engine.
//!
//! A server adds one line and changes one file:
//!
//! ```no_run
//! keylane_rustls::install()?; // before it builds its first `ServerConfig`
//! # Ok::<(), keylane_rustls::AlreadyInstalled>(())
//! ```
//!
//! From then on, a PEM file that holds a *key reference* ([`keylane_api::reference`]; `keylane key reference` writes
//! it) where the private key used to be makes rustls sign through the engine. All other keys, and all other
//! cryptography, stay with aws-lc-rs. `docs/ADOPTION.md` goes through the usual servers.
//!
//! # What holds, and why
//!
//! - **No private key is in this process.** A reference has none, and the engine gives none away.
//! - **A server starts while its engine is away**, and a certificate that belongs to another key is refused there and
//!   then: the public half is in the reference, and rustls compares it with the certificate. The engine's key is
//!   compared with it again when it is resolved, so a key that was replaced under the same name signs nothing.
//! - **A handshake waits no longer than its deadline**, over restarts of the engine too, and its failure keeps its
//!   cause: [`rustls::Error::Other`] around a [`keylane_api::Error`] (signing), a
//!   [`keylane_api::reference::ReferenceError`] or a [`keylane_api::config::ConfigError`] (loading).
//! - **Waiting starves nobody where that can be helped**: see the table in `waiting`.
//! - **A signature is right or absent.** The engine checks each before it answers; here only ECDSA's encoding changes.
//!
//! # Reading order
//!
//! `signing` (everything that is rustls'), `engine` (the client behind it), `waiting` (how `sign()` waits).
#![forbid(unsafe_code)]

mod engine;
mod signing;
mod waiting;

use std::path::PathBuf;
use std::time::Duration;

use engine::Engine;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// The engine of the process's configuration.
static CONFIGURED: Engine = Engine::configured();

/// aws-lc-rs' provider, but for keys: references are keys of the engine that the process's configuration names
/// ([`keylane_api::Config::load`]). The configuration is read when the first reference is loaded.
pub fn provider() -> CryptoProvider {
    provider_with(&CONFIGURED)
}

/// Makes [`provider`] the process's default, which rustls takes where nobody names one.
///
/// # Errors
/// The process has a default already; nothing has changed.
pub fn install() -> Result<(), AlreadyInstalled> {
    install_default(provider())
}

/// A provider with settings of its own.
///
/// ```no_run
/// # use std::time::Duration;
/// let provider = keylane_rustls::builder().socket("/run/keylane/keylane.sock").deadline(Duration::from_secs(2)).provider();
/// ```
pub fn builder() -> Builder {
    Builder::default()
}

/// Settings of a provider. What is not set is as the process's configuration has it.
#[derive(Debug, Default)]
#[must_use]
pub struct Builder(Engine);

impl Builder {
    /// The engine's socket.
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.socket = Some(path.into());
        self
    }

    /// How long a signature may take, over a restart of the engine too.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.0.deadline = Some(deadline);
        self
    }

    /// The provider. Its settings live as long as the process, since rustls keeps them by a static reference: make
    /// one, not one for each connection.
    pub fn provider(self) -> CryptoProvider {
        provider_with(Box::leak(Box::new(self.0)))
    }

    /// Makes it the process's default.
    ///
    /// # Errors
    /// As [`install`].
    pub fn install(self) -> Result<(), AlreadyInstalled> {
        install_default(self.provider())
    }
}

/// The process has a default provider already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process has a default crypto provider already; install Keylane's first")]
pub struct AlreadyInstalled;

fn provider_with(engine: &'static Engine) -> CryptoProvider {
    CryptoProvider { key_provider: engine, ..aws_lc_rs::default_provider() }
}

fn install_default(provider: CryptoProvider) -> Result<(), AlreadyInstalled> {
    provider.install_default().map_err(|_already| AlreadyInstalled)
}
