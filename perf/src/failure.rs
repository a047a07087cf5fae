//! Why a measurement did not happen. Every message names the culprit and, where there is one, the remedy.

use std::io;
use std::path::PathBuf;

use keylane_engine::admin::client::ClientError;

/// Why a verb ended without a report.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Somebody pressed Ctrl-C, or asked the process to end.
    #[error("interrupted by signal {0}")]
    Interrupted(i32),
    /// Linux refused something.
    #[error("cannot {what}: {source}")]
    System {
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A file or directory cannot be made, written or read.
    #[error("{path}: {source}; TMPDIR names the directory for temporary files", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A process of the measurement reported an error.
    #[error("the {role} process: {message}")]
    Reported {
        /// Its part.
        role: &'static str,
        /// What it said.
        message: String,
    },
    /// A process of the measurement ended without a word; what it printed to stderr says more.
    #[error(
        "the {role} process ended early ({status}); something may have killed it, such as a memory limit"
    )]
    Died {
        /// Its part.
        role: &'static str,
        /// How it ended.
        status: String,
    },
    /// A process of the measurement took too long.
    #[error("the {role} process did not answer within {seconds} s; is this machine overloaded?")]
    Silent {
        /// Its part.
        role: &'static str,
        /// How long it was given.
        seconds: u64,
    },
    /// A handshake failed.
    #[error("a handshake with the server ({mode}, {algorithm}) failed: {client}; the server says: {server}")]
    Handshake {
        /// Where the server's key is.
        mode: &'static str,
        /// What the key is.
        algorithm: &'static str,
        /// The client's error.
        client: String,
        /// The server's error.
        server: String,
    },
    /// The engine refused an administrative request.
    #[error("the engine: {0}")]
    Engine(#[from] ClientError),
    /// The engine's status is not what this version understands.
    #[error("the engine's status is unreadable ({0}); are engine and keylane-perf of the same build?")]
    Status(serde_json::Error),
    /// A tier of the kernels failed its self-test.
    #[error(transparent)]
    Refused(#[from] keylane_kernels::Refused),
    /// An output of a measurement is not what its reference says.
    #[error(
        "{algorithm}: {implementation} gave a wrong result (job {job} of {fill}); no figure of it counts"
    )]
    WrongResult {
        /// What was computed.
        algorithm: &'static str,
        /// By whom.
        implementation: &'static str,
        /// At which place of the batch.
        job: usize,
        /// Jobs of the batch.
        fill: usize,
    },
    /// Keys or certificates cannot be made.
    #[error("cannot make {what}: {message}")]
    Crypto {
        /// What.
        what: &'static str,
        /// Why.
        message: String,
    },
}

impl Failure {
    /// For `map_err`: what was attempted when Linux refused.
    pub fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }

    /// For `map_err`: which file Linux refused.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::File { path: path.into(), source }
    }

    /// For `map_err`: what could not be made from keys and certificates.
    pub fn crypto<E: ToString>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::Crypto { what, message: error.to_string() }
    }

    /// Exit status of the process: as the shell reports signals, else 1.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(1),
            _ => 1,
        }
    }
}
