//! Where a program finds its engine, and how it waits for it.
//!
//! One TOML file, every key optional: the file named by `KEYLANE_CONF`, else the user's
//! (`$XDG_CONFIG_HOME/keylane/keylane.toml`), else `/etc/keylane/keylane.toml`. `KEYLANE_SOCKET` has the last word on
//! the socket.
//!
//! ```toml
//! socket = "/run/keylane/keylane.sock"
//! deadline_ms = 5000   # for one operation, over a restart of the engine too
//! spin_us = 50         # longest spin before a thread sleeps
//! busy_poll = false    # never sleep
//! ```

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

/// For one operation, if nothing else is said: within what TLS clients wait for a handshake.
const DEADLINE: Duration = Duration::from_secs(5);
/// Longest spin before a thread sleeps.
pub(crate) const SPIN_MAX: Duration = Duration::from_micros(50);
/// Where every user's configuration is.
const SYSTEM_FILE: &str = "/etc/keylane/keylane.toml";

/// A client's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The engine's socket.
    pub socket: PathBuf,
    /// How long an operation may take, if its caller says nothing else.
    pub deadline: Duration,
    /// Longest spin before a thread sleeps, at most 50 µs. Threads spin less where cores are few or answers slow.
    pub spin: Duration,
    /// Threads never sleep while they wait.
    pub busy_poll: bool,
}

impl Config {
    /// The settings of this process, from its environment and the files described in the [module](self).
    ///
    /// # Errors
    /// A file that exists cannot be read or is malformed; or the one that `KEYLANE_CONF` names does not exist.
    pub fn load() -> Result<Self, ConfigError> {
        Self::from_variables(|name| env::var_os(name).filter(|value| !value.is_empty()))
    }

    /// The default settings, with this socket.
    pub fn for_socket(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), deadline: DEADLINE, spin: SPIN_MAX, busy_poll: false }
    }

    /// The settings in this file. What it does not say has its default.
    ///
    /// # Errors
    /// It cannot be read, or is malformed.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(file).map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        Self::parse(file, &text, default_socket(|name| env::var_os(name)))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let default = || default_socket(&variable);
        let mut config = match find_file(&variable)? {
            Some((file, text)) => Self::parse(&file, &text, default())?,
            None => Self::for_socket(default()),
        };
        if let Some(socket) = variable("KEYLANE_SOCKET") {
            config.socket = socket.into();
        }
        Ok(config)
    }

    fn parse(file: &Path, text: &str, socket: PathBuf) -> Result<Self, ConfigError> {
        let parsed: File = toml::from_str(text)
            .map_err(|source| ConfigError::Parse { file: file.to_owned(), source: Box::new(source) })?;
        let default = Self::for_socket(parsed.socket.unwrap_or(socket));
        Ok(Self {
            deadline: parsed.deadline_ms.map_or(default.deadline, Duration::from_millis),
            spin: parsed.spin_us.map_or(default.spin, Duration::from_micros).min(SPIN_MAX),
            busy_poll: parsed.busy_poll,
            ..default
        })
    }
}

/// The file as it is written.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct File {
    socket: Option<PathBuf>,
    deadline_ms: Option<u64>,
    spin_us: Option<u64>,
    busy_poll: bool,
}

/// The file that counts, if there is one, and its text.
fn find_file(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<(PathBuf, String)>, ConfigError> {
    if let Some(named) = variable("KEYLANE_CONF") {
        let file = PathBuf::from(named);
        return match fs::read_to_string(&file) {
            Ok(text) => Ok(Some((file, text))),
            Err(source) => Err(ConfigError::Read { file, source }),
        };
    }
    let directory = absolute(&variable, "XDG_CONFIG_HOME")
        .or_else(|| absolute(&variable, "HOME").map(|home| home.join(".config")));
    let users = directory.map(|directory| directory.join("keylane/keylane.toml"));
    for file in users.into_iter().chain([PathBuf::from(SYSTEM_FILE)]) {
        match fs::read_to_string(&file) {
            Ok(text) => return Ok(Some((file, text))),
            Err(error) if is_nobodys(&file, error.kind()) => {}
            Err(source) => return Err(ConfigError::Read { file, source }),
        }
    }
    Ok(None)
}

/// Whether a file that nobody named is simply not there for this process. A server that gave up root keeps root's
/// home directory in its environment, which it may not enter.
fn is_nobodys(file: &Path, error: io::ErrorKind) -> bool {
    match error {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => true,
        io::ErrorKind::PermissionDenied => file != Path::new(SYSTEM_FILE),
        _ => false,
    }
}

/// Where the engine of this user listens if nobody says otherwise.
fn default_socket(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return "/run/keylane/keylane.sock".into();
    }
    absolute(variable, "XDG_RUNTIME_DIR")
        .unwrap_or_else(|| format!("/run/user/{}", user.as_raw()).into())
        .join("keylane/keylane.sock")
}

/// The XDG base directory specification has relative values ignored.
fn absolute(variable: impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    variable(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read the configuration {file}: {source}", file = file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not such a configuration.
    #[error("{file}: {source}", file = file.display())]
    Parse {
        /// The file.
        file: PathBuf,
        /// Line, column and what was expected there.
        source: Box<toml::de::Error>,
    },
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use super::{Config, ConfigError};

    /// The settings of a process with these variables and no others.
    fn config(variables: &[(&str, &Path)]) -> Result<Config, ConfigError> {
        Config::from_variables(|name| {
            let (_, value) = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(OsString::from(value))
        })
    }

    fn write(file: &Path, text: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn the_nearest_source_wins() {
        let home = tempfile::tempdir().unwrap();
        let (named, xdg) = (home.path().join("named.toml"), home.path().join("xdg"));
        write(&named, "socket = \"/named\"\ndeadline_ms = 7");
        write(&xdg.join("keylane/keylane.toml"), "socket = \"/xdg\"");
        write(&home.path().join(".config/keylane/keylane.toml"), "socket = \"/home\"\nspin_us = 1000");
        let mut variables = vec![
            ("KEYLANE_SOCKET", Path::new("/variable")),
            ("KEYLANE_CONF", &*named),
            ("XDG_CONFIG_HOME", &*xdg),
            ("HOME", home.path()),
        ];
        let first = config(&variables).unwrap();
        assert_eq!(first.socket, Path::new("/variable"));
        assert_eq!(first.deadline, Duration::from_millis(7), "the variable names the socket only");
        for expected in ["/named", "/xdg", "/home"] {
            variables.remove(0);
            assert_eq!(config(&variables).unwrap().socket, Path::new(expected));
        }
        assert_eq!(config(&variables).unwrap().spin, super::SPIN_MAX, "bounded");
    }

    #[test]
    fn a_bad_file_is_named_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bad.toml");
        write(&file, "busy_poll = true\nsokcet = \"/typo\"\n");
        let message = config(&[("KEYLANE_CONF", &file)]).unwrap_err().to_string();
        for part in [file.to_str().unwrap(), "line 2", "sokcet"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_named_file_must_exist_and_the_others_need_not() {
        let nowhere = Path::new("/nonexistent/keylane.toml");
        let missing = config(&[("KEYLANE_CONF", nowhere)]).unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/keylane.toml"), "{missing}");
        let socket = config(&[("HOME", Path::new("/nonexistent"))]).unwrap().socket;
        assert!(socket.ends_with("keylane/keylane.sock"), "{}", socket.display());
    }
}
