//! Where things lie unless somebody says otherwise: the system's directories for root, the XDG ones for others.

use std::env;
use std::path::PathBuf;

/// Directory of the token.
pub(super) fn store() -> PathBuf {
    if is_root() {
        return "/var/lib/keylane".into();
    }
    xdg("XDG_DATA_HOME", ".local/share").unwrap_or_else(|| "/var/lib".into()).join("keylane")
}

/// The client socket.
pub(super) fn socket() -> PathBuf {
    if is_root() {
        return "/run/keylane/keylane.sock".into();
    }
    let user = || format!("/run/user/{}", rustix::process::geteuid().as_raw()).into();
    absolute("XDG_RUNTIME_DIR").unwrap_or_else(user).join("keylane/keylane.sock")
}

/// The engine's configuration file.
pub(super) fn config() -> Option<PathBuf> {
    let directory = if is_root() { Some("/etc".into()) } else { xdg("XDG_CONFIG_HOME", ".config") };
    directory.map(|directory: PathBuf| directory.join("keylane/engine.toml"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn xdg(variable: &str, below_home: &str) -> Option<PathBuf> {
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))
}

/// The XDG base directory specification has relative values ignored.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
