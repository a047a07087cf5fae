//! Checks of the places on disk: the client socket, the store, room for the audit log.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Access, access, statvfs};

use super::Finding;
use crate::admin::client::{Client, ClientError};
use crate::config::Config;

/// Octets of an audit segment.
const SEGMENT_BYTES: u64 = 64 << 20;

/// Whether the engine can make its socket, or has made it.
pub(super) fn socket(config: &Config) -> Finding {
    let (check, path) = ("socket", config.socket.display());
    match fs::symlink_metadata(&config.socket) {
        Ok(found) if !found.file_type().is_socket() => {
            Finding::bad(check, format!("{path} is no socket"), "remove it, or choose another with --socket")
        }
        Ok(found) => Finding::good(check, format!("{path}, mode {:04o}", found.mode() & 0o777)),
        Err(_) => directory_for_socket(config.socket.parent().unwrap_or(Path::new("/"))),
    }
}

fn directory_for_socket(directory: &Path) -> Finding {
    let (check, shown) = ("socket", directory.display());
    let remedy = format!(
        "create it for the engine's user (RuntimeDirectory=keylane in systemd, or `mkdir -p {shown}`)"
    );
    match access(directory, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::good(check, format!("{shown} is there and writable")),
        Err(rustix::io::Errno::NOENT) if makeable(directory) => {
            Finding::good(check, format!("{shown} will be created"))
        }
        Err(error) => Finding::bad(check, format!("{shown}: {error}"), remedy),
    }
}

/// The engine makes the directories of the path itself.
fn makeable(directory: &Path) -> bool {
    let nearest = directory.ancestors().find(|ancestor| ancestor.exists());
    nearest.is_some_and(|nearest| access(nearest, Access::WRITE_OK | Access::EXEC_OK).is_ok())
}

/// Whether the store is there, private, and whose.
pub(super) fn store(config: &Config) -> Finding {
    let (check, path) = ("store", config.store.display());
    match fs::metadata(&config.store) {
        Ok(found) => {
            private_store(config, &found).unwrap_or_else(|| Finding::good(check, running(&config.store)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::bad(
            check,
            format!("there is none at {path}"),
            format!("run `keylane init --store {path}`"),
        ),
        Err(error) => {
            Finding::bad(check, format!("{path}: {error}"), "run this as the engine's user or as root")
        }
    }
}

fn private_store(config: &Config, found: &Metadata) -> Option<Finding> {
    let (check, path) = ("store", config.store.display());
    let us = rustix::process::geteuid();
    if !found.is_dir() {
        return Some(Finding::bad(check, format!("{path} is no directory"), "choose another with --store"));
    }
    if found.uid() != us.as_raw() && !us.is_root() {
        let (owner, us) = (found.uid(), us.as_raw());
        let said = format!("{path} belongs to uid {owner}, this is uid {us}");
        return Some(Finding::bad(
            check,
            said,
            format!("run this as uid {owner}, or `chown -R {us} {path}`"),
        ));
    }
    (found.mode() & 0o077 != 0).then(|| {
        let said = format!("{path} has mode {:04o}: others can look into it", found.mode() & 0o777);
        Finding::bad(check, said, format!("run `chmod 0700 {path}`"))
    })
}

fn running(store: &Path) -> String {
    let path = store.display();
    match Client::connect(store) {
        Ok(_) => format!("{path}, an engine runs on it"),
        Err(ClientError::NotRunning { .. }) => format!("{path}, no engine runs on it"),
        Err(error) => format!("{path}: {error}"),
    }
}

/// Whether the audit log can grow to what it is allowed.
pub(super) fn disk(config: &Config) -> Finding {
    let check = "disk";
    let wanted = u64::from(config.audit.keep) * SEGMENT_BYTES;
    let Some(existing) = config.store.ancestors().find(|path| path.exists()) else {
        return Finding::poor(check, "the store's file system cannot be told", "choose another with --store");
    };
    match statvfs(existing) {
        Ok(system) if system.f_bavail * system.f_frsize < wanted => Finding::poor(
            check,
            format!(
                "{} MiB free, the audit log may take {}",
                (system.f_bavail * system.f_frsize) >> 20,
                wanted >> 20
            ),
            "lower audit.keep, or make room: a full disk makes the engine refuse requests",
        ),
        Ok(system) => Finding::good(check, format!("{} MiB free", (system.f_bavail * system.f_frsize) >> 20)),
        Err(error) => Finding::poor(check, error.to_string(), "check the file system of the store"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::super::{Finding, Verdict};
    use super::{disk, socket, store};
    use crate::config::{Audit, Config};

    fn config(directory: &Path) -> Config {
        Config { store: directory.join("store"), socket: directory.join("keylane.sock"), ..Config::default() }
    }

    fn with_mode(directory: &Path, mode: u32) -> Finding {
        let config = config(directory);
        fs::create_dir_all(&config.store).unwrap();
        fs::set_permissions(&config.store, fs::Permissions::from_mode(mode)).unwrap();
        store(&config)
    }

    #[test]
    fn a_store_is_a_private_directory() {
        let directory = tempfile::tempdir().unwrap();
        let absent = store(&config(directory.path()));
        assert!(absent.remedy.unwrap().contains("keylane init"), "{}", absent.found);
        assert_eq!(with_mode(directory.path(), 0o700).verdict, Verdict::Good);
        let open = with_mode(directory.path(), 0o750);
        assert_eq!(open.verdict, Verdict::Bad);
        assert!(open.remedy.unwrap().contains("chmod 0700"));
    }

    #[test]
    fn a_socket_is_there_or_can_be_made() {
        let directory = tempfile::tempdir().unwrap();
        let config = config(directory.path());
        assert_eq!(socket(&config).verdict, Verdict::Good, "the directory is writable");
        let below = Config { socket: directory.path().join("new/er/k.sock"), ..config.clone() };
        assert_eq!(socket(&below).verdict, Verdict::Good, "the engine makes its directories");
        fs::write(directory.path().join("file"), "no directory").unwrap();
        let below_file = Config { socket: directory.path().join("file/k.sock"), ..config.clone() };
        assert_eq!(socket(&below_file).verdict, Verdict::Bad);
        let listener = UnixListener::bind(&config.socket).unwrap();
        assert_eq!(socket(&config).verdict, Verdict::Good);
        drop(listener);
        fs::remove_file(&config.socket).unwrap();
        fs::write(&config.socket, "a file").unwrap();
        assert_eq!(socket(&config).verdict, Verdict::Bad);
    }

    #[test]
    fn a_log_that_outgrows_the_disk_is_foreseen() {
        let directory = tempfile::tempdir().unwrap();
        let keep = |keep| Config { audit: Audit { keep, ..Audit::default() }, ..config(directory.path()) };
        assert_eq!(disk(&keep(0)).verdict, Verdict::Good);
        assert_eq!(disk(&keep(u32::MAX)).verdict, Verdict::Poor);
    }
}
