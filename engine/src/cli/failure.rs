//! Why a verb did not do what it was asked, and the exit code that says so.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use keylane_api::Status as Code;
use keylane_api::reference::ReferenceError;
use serde_json::json;

use super::answer;
use crate::admin::client::ClientError;
use crate::config::ConfigError;
use crate::engine::EngineError;
use crate::store::StoreError;
use crate::unlock::UnlockError;

/// Why a verb failed. Its text names the culprit and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Arguments that contradict each other or the world.
    #[error("{0}")]
    Usage(String),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is nothing to open the store with.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// No store could be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine did not start, or ended.
    #[error(transparent)]
    Serve(#[from] EngineError),
    /// The running engine said no, or there is none.
    #[error(transparent)]
    Engine(#[from] ClientError),
    /// A key that no reference can stand for.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The engine's status is not what this version expects.
    #[error("the engine's status is malformed: {0}; are `keylane` and the engine of the same version?")]
    Status(serde_json::Error),
    /// A file or the terminal failed.
    #[error("cannot {verb} {object}: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        object: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// Classes of failures; the discriminant is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    Failed = 1,
    Usage = 2,
    NoEngine = 3,
    Refused = 4,
}

impl Failure {
    pub(super) fn io(verb: &'static str, object: impl Into<String>, source: io::Error) -> Self {
        Self::Io { verb, object: object.into(), source }
    }

    pub(super) fn file<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::io(verb, path.display().to_string(), source)
    }

    pub(super) fn class(&self) -> Class {
        match self {
            Self::Usage(_) | Self::Config(_) | Self::Unlock(_) | Self::Serve(EngineError::Config(_)) => {
                Class::Usage
            }
            Self::Engine(ClientError::NotRunning { .. }) => Class::NoEngine,
            Self::Engine(ClientError::Refused { .. }) => Class::Refused,
            Self::Store(error) | Self::Serve(EngineError::Store(error)) => of_store(error),
            _ => Class::Failed,
        }
    }

    /// The status of the engine's refusal, for programs.
    fn status(&self) -> Option<Code> {
        match self {
            Self::Engine(ClientError::Refused { status, .. }) => Some(*status),
            _ => None,
        }
    }

    /// Says it on stderr and, for programs, on stdout.
    pub(super) fn print(&self, json: bool) -> ExitCode {
        // Nobody is left to hear of a failure to report one.
        let _ = writeln!(io::stderr(), "keylane: {self}");
        if json {
            let _ = answer::write(&format!("{:#}", self.json()));
        }
        ExitCode::from(self.class() as u8)
    }

    fn json(&self) -> serde_json::Value {
        let class = match self.class() {
            Class::Failed => "failed",
            Class::Usage => "usage",
            Class::NoEngine => "no_engine",
            Class::Refused => "refused",
        };
        let status = self.status().map(|status| format!("{status:?}"));
        json!({ "error": { "class": class, "status": status, "message": self.to_string() } })
    }
}

/// What the store protects is refused; the rest failed.
fn of_store(error: &StoreError) -> Class {
    match error {
        StoreError::Exists { .. }
        | StoreError::InUse { .. }
        | StoreError::WrongSecret { .. }
        | StoreError::NoSuchMethod { .. }
        | StoreError::RolledBack { .. } => Class::Refused,
        _ => Class::Failed,
    }
}
