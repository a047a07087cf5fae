use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keylane_api::control::socket::connect;

use super::{ListenError, Listener, PATH_BYTES_MAX, PathLock, SocketFile, check_path};

/// A directory and a path in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    (directory, path)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn it_has_its_mode_whatever_the_umask() {
    let (_directory, path) = place();
    for wanted in [0o600, 0o660, 0o666] {
        let listener = Listener::bind(&path, wanted).unwrap();
        assert_eq!(mode(listener.path()), wanted);
        connect(&path).unwrap();
        assert!(listener.accept().unwrap().is_some());
        assert!(listener.accept().unwrap().is_none());
    }
    assert!(!path.exists(), "its file goes with it");
}

#[test]
fn a_path_is_as_long_as_linux_allows() {
    let (directory, _) = place();
    let fill = PATH_BYTES_MAX - directory.path().as_os_str().len() - 1;
    let longest = directory.path().join("s".repeat(fill));
    Listener::bind(&longest, 0o600).unwrap();
    let too_long = directory.path().join("s".repeat(fill + 1));
    let error = Listener::bind(&too_long, 0o600).unwrap_err();
    assert!(matches!(error, ListenError::PathTooLong { bytes: 108, .. }), "{error}");
    let text = error.to_string();
    for part in [too_long.to_str().unwrap(), "108 octets", "107", "choose a shorter directory"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

#[test]
fn directories_are_made_only_where_that_was_asked_for() {
    let (directory, _) = place();
    let path = directory.path().join("a/b/s");
    assert!(matches!(Listener::bind(&path, 0o600), Err(ListenError::System { .. })));
    let listener = Listener::take_over_in_new_directory(&path, 0o600).unwrap();
    assert_eq!(listener.path(), path);
    // And none for a path that could not be used.
    let too_long = directory.path().join("c").join("s".repeat(200));
    assert!(Listener::take_over_in_new_directory(&too_long, 0o600).is_err());
    assert!(!directory.path().join("c").exists());
}

#[test]
fn a_socket_at_which_nobody_answers_is_replaced() {
    let (_directory, path) = place();
    // Closing a listener of the standard library leaves its file.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = Listener::bind(&path, 0o600).unwrap();
    connect(&path).unwrap();
    assert!(listener.accept().unwrap().is_some());
}

#[test]
fn a_socket_at_which_somebody_answers_is_left_alone() {
    let (_directory, path) = place();
    let first = Listener::bind(&path, 0o600).unwrap();
    assert!(matches!(Listener::bind(&path, 0o600), Err(ListenError::InUse { .. })));
    drop(first);
    // Of another type.
    let _stream = UnixListener::bind(&path).unwrap();
    assert!(matches!(Listener::bind(&path, 0o600), Err(ListenError::InUse { .. })));
}

/// io_uring keeps a killed engine's socket for a moment.
#[test]
fn a_socket_that_goes_soon_is_waited_for() {
    let (_directory, path) = place();
    let dying = Listener::bind(&path, 0o600).unwrap();
    let next = std::thread::spawn({
        let path = path.clone();
        move || Listener::take_over(&path, 0o600)
    });
    std::thread::sleep(Duration::from_millis(50));
    assert!(!next.is_finished(), "it does not push a living engine aside");
    drop(dying);
    let next = next.join().unwrap().unwrap();
    connect(&path).unwrap();
    assert!(next.accept().unwrap().is_some());
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let (directory, path) = place();
    fs::write(&path, "precious").unwrap();
    assert!(matches!(Listener::bind(&path, 0o600), Err(ListenError::NotASocket { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(Listener::bind(&link, 0o666), Err(ListenError::NotASocket { .. })));
    assert_ne!(mode(&path), 0o666, "a link is not followed");
}

#[test]
fn a_link_put_in_its_place_before_it_has_its_mode_is_not_followed() {
    let (directory, path) = place();
    let precious = directory.path().join("precious");
    fs::write(&precious, "").unwrap();
    let before = mode(&precious);
    symlink(&precious, &path).unwrap();
    assert!(matches!(SocketFile::adopt(&path, 0o666), Err(ListenError::NotASocket { .. })));
    assert!(mode(&precious) == before && precious.exists());
}

#[test]
fn a_file_that_took_its_place_is_not_removed() {
    let (_directory, path) = place();
    let first = Listener::bind(&path, 0o600).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = UnixListener::bind(&path).unwrap();
    drop(first);
    assert!(path.exists());
}

/// An engine that starts finds another's socket bound and not listening yet, which looks stale.
#[test]
fn a_socket_that_is_about_to_listen_is_left_alone() {
    let (_directory, path) = place();
    let starting = PathLock::take(&path).unwrap();
    drop(UnixListener::bind(&path).unwrap());
    assert!(matches!(Listener::bind(&path, 0o600), Err(ListenError::InUse { .. })));
    assert!(path.exists());
    drop(starting);
    Listener::bind(&path, 0o600).unwrap();
}

#[test]
fn of_many_that_start_at_once_one_listens() {
    let (_directory, path) = place();
    for _ in 0..50 {
        let listening: Vec<Listener> = std::thread::scope(|scope| {
            let starting: Vec<_> =
                (0..4).map(|_| scope.spawn(|| Listener::bind(&path, 0o600).ok())).collect();
            starting.into_iter().filter_map(|one| one.join().unwrap()).collect()
        });
        let [one] = listening.try_into().unwrap();
        connect(&path).unwrap();
        assert!(one.accept().unwrap().is_some());
    }
}

#[test]
fn paths_of_grants_are_absolute() {
    assert!(matches!(check_path(Path::new("s.sock")), Err(ListenError::NotAbsolute { .. })));
    assert!(check_path(Path::new("/run/s.sock")).is_ok());
}
