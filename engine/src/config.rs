//! What an engine is told before it starts: one TOML file, overridden by the command line.
//!
//! Every field has a default, so that an empty file is a working configuration. An unknown key is an error that names
//! file and line: a misspelt limit must not silently become the default.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keylane_api::control::socket::PATH_BYTES_MAX;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::os::secret::{self, Protection, SecretOptions};

mod octal;
mod places;

/// Audit segments kept at most; at 64 MiB each this is 64 GiB.
pub const AUDIT_KEEP_MAX: u32 = 1_024;

/// The engine's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory of the token.
    pub store: PathBuf,
    /// Where clients connect.
    pub socket: PathBuf,
    /// Permissions of the client socket, in octal digits. Who may open it is not yet who may use a key: grants say that.
    #[serde(with = "octal")]
    pub socket_mode: u32,
    /// Threads that run the data plane; if absent, half of the process's cores, because servers need the others, but no more
    /// than leave half of secret memory to keys.
    pub workers: Option<usize>,
    /// Cores to pin the workers to, one each; empty leaves them unpinned.
    pub cores: Vec<usize>,
    /// Workers never sleep.
    pub busy_poll: bool,
    /// What computes signatures.
    pub kernels: KernelChoice,
    /// Longest spin of a worker before it sleeps, in microseconds; adapted to the machine if absent.
    pub spin_us: Option<u64>,
    /// Secret memory in MiB; sized against `RLIMIT_MEMLOCK` if absent.
    pub secret_memory_mib: Option<usize>,
    /// Start only if keys are protected in memory at least so well.
    pub require_protection: Option<Protection>,
    /// How the control thread talks to Linux.
    pub control_backend: ControlBackend,
    /// The audit log.
    pub audit: Audit,
    /// What opens the store; a prompt if absent.
    pub unlock: Option<UnlockSource>,
}

/// What computes signatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum KernelChoice {
    /// The multi-buffer kernels where the processor has AVX-512-IFMA, else the scalar path.
    #[default]
    Auto,
    /// The scalar path alone: aws-lc, one operation at a time.
    Off,
}

/// How the control thread waits for sockets, timers and disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum ControlBackend {
    /// io_uring where it is allowed, else epoll.
    #[default]
    Auto,
    /// io_uring, or no start.
    IoUring,
    /// epoll.
    Epoll,
}

/// The audit log: 64 MiB segments in the store directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Segments kept.
    pub keep: u32,
    /// What happens when they are full.
    pub when_full: WhenFull,
}

impl Default for Audit {
    fn default() -> Self {
        Self { keep: 64, when_full: WhenFull::Prune }
    }
}

/// What happens when `audit.keep` segments are full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The oldest segment is deleted.
    #[default]
    Prune,
    /// Requests are refused (`AuditFull`) until somebody makes room.
    Refuse,
}

/// Where the secret that opens the store comes from. Never an argument, never the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnlockSource {
    /// A file of 32 random octets that nobody else may read (0400).
    KeyFile(PathBuf),
    /// A file that holds a passphrase and that nobody else may read (0400).
    PassphraseFile(PathBuf),
    /// A systemd credential of 32 random octets (`LoadCredentialEncrypted=`), by name.
    Credential(String),
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not such a configuration; the source names the line.
    #[error("{path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected there.
        source: Box<toml::de::Error>,
    },
    /// A value is out of its bounds, or two contradict each other.
    #[error("{key}: {problem}; {remedy}")]
    Invalid {
        /// The key, as the file spells it.
        key: &'static str,
        /// What is wrong.
        problem: String,
        /// What to do about it.
        remedy: &'static str,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: places::store(),
            socket: places::socket(),
            socket_mode: 0o666,
            workers: None,
            cores: Vec::new(),
            busy_poll: false,
            kernels: KernelChoice::Auto,
            spin_us: None,
            secret_memory_mib: None,
            require_protection: None,
            control_backend: ControlBackend::Auto,
            audit: Audit::default(),
            unlock: None,
        }
    }
}

impl Config {
    /// Reads `file`; without one, the place where this user's configuration is expected, if something is there.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        match file {
            Some(path) => Self::read(path),
            None => match places::config() {
                Some(path) if path.exists() => Self::read(&path),
                _ => Ok(Self::default()),
            },
        }
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })
    }

    /// Says what is out of bounds or contradictory.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_workers()?;
        place("store", &self.store, &self.admin_socket())?;
        place("socket", &self.socket, &self.socket)?;
        check("socket_mode", self.socket_mode & !0o777 == 0, || {
            (format!("{:o} is no file mode", self.socket_mode), "write three octal digits, such as \"0660\"")
        })?;
        check("spin_us", self.spin_us.is_none_or(|spin| spin <= spin_us_max()), || {
            (format!("at most {}", spin_us_max()), "set busy_poll = true for workers that never sleep")
        })?;
        check("secret_memory_mib", self.secret_memory_mib != Some(0), || {
            ("no key fits into nothing".to_owned(), "leave it out, or give at least 1")
        })?;
        check("audit.keep", (1..=AUDIT_KEEP_MAX).contains(&self.audit.keep), || {
            (format!("{} is not within 1..={AUDIT_KEEP_MAX}", self.audit.keep), "a segment holds 64 MiB")
        })
    }

    fn validate_workers(&self) -> Result<(), ConfigError> {
        let workers = self.worker_count();
        check("workers", (1..=limits::WORKERS_MAX).contains(&workers), || {
            (
                format!("{workers} is not within 1..={}", limits::WORKERS_MAX),
                "leave it out for half of the cores",
            )
        })?;
        check("cores", self.cores.is_empty() || self.cores.len() == workers, || {
            let (cores, workers) = (self.cores.len(), workers);
            (
                format!("{cores} cores for {workers} workers"),
                "name one core for each worker, or leave `workers` out",
            )
        })
    }

    /// Where administrators connect.
    pub fn admin_socket(&self) -> PathBuf {
        self.store.join(crate::admin::SOCKET_NAME)
    }

    /// Workers that the engine starts.
    pub fn worker_count(&self) -> usize {
        match (self.workers, self.cores.len()) {
            (Some(workers), _) => workers,
            (None, 0) => (available_cores() / 2).min(self.workers_that_fit()).clamp(1, limits::WORKERS_MAX),
            (None, cores) => cores,
        }
    }

    /// Workers whose stacks and kernel workspaces take no more than half of secret memory.
    fn workers_that_fit(&self) -> usize {
        let bytes = self.secret_options().bytes.unwrap_or_else(secret::default_bytes);
        bytes / 2 / limits::WORKER_SECRET_BYTES
    }

    /// Longest spin of a worker before it sleeps.
    ///
    /// Zero when the workers and one client would not all have a core: a spinning thread would then hold up the one
    /// that it waits for.
    pub fn spin(&self) -> Duration {
        let crowded = self.worker_count() + 1 > available_cores();
        let adapted = if crowded { Duration::ZERO } else { limits::SPIN_MAX };
        self.spin_us.map_or(adapted, Duration::from_micros)
    }

    /// How much secret memory to take, and how well it must be protected.
    pub fn secret_options(&self) -> SecretOptions {
        let bytes = self.secret_memory_mib.map(|mib| mib.saturating_mul(1 << 20));
        SecretOptions { bytes, require: self.require_protection }
    }

    /// The same configuration with the values that were left to the machine filled in.
    #[must_use]
    pub fn resolved(&self) -> Self {
        let spin_us = u64::try_from(self.spin().as_micros()).unwrap_or(u64::MAX);
        Self { workers: Some(self.worker_count()), spin_us: Some(spin_us), ..self.clone() }
    }
}

/// Cores that this process may use: affinity mask and control-group quota.
pub fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn spin_us_max() -> u64 {
    u64::try_from(limits::SPIN_MAX.as_micros()).unwrap_or(u64::MAX)
}

/// A place must mean the same to every process, and the socket in it must fit an address.
fn place(key: &'static str, path: &Path, socket: &Path) -> Result<(), ConfigError> {
    check(key, path.is_absolute(), || {
        (format!("{} is not absolute", path.display()), "give the path from the root")
    })?;
    let bytes = socket.as_os_str().len();
    check(key, bytes <= PATH_BYTES_MAX, || {
        let problem =
            format!("the socket path {} has {bytes} octets, Linux allows {PATH_BYTES_MAX}", socket.display());
        (problem, "choose a shorter directory")
    })
}

fn check(
    key: &'static str,
    holds: bool,
    otherwise: impl FnOnce() -> (String, &'static str),
) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    let (problem, remedy) = otherwise();
    Err(ConfigError::Invalid { key, problem, remedy })
}

#[cfg(test)]
mod tests;
