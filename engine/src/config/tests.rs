use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::{Audit, Config, ConfigError, ControlBackend, KernelChoice, UnlockSource, WhenFull};
use crate::os::secret::Protection;

fn load(text: &str) -> Result<Config, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Config::load(Some(file.path()))
}

fn refusal(text: &str) -> String {
    load(text).and_then(|config| config.validate()).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_the_default_and_valid() {
    let config = load("").unwrap();
    assert_eq!(config, Config::default());
    config.validate().unwrap();
}

#[test]
fn every_key_is_read() {
    let config = load(
        r#"
        store = "/srv/token"
        socket = "/srv/token.sock"
        socket_mode = "0660"
        workers = 2
        cores = [0, 1]
        busy_poll = true
        kernels = "off"
        spin_us = 20
        secret_memory_mib = 64
        require_protection = "memfd_secret"
        control_backend = "epoll"
        audit = { keep = 3, when_full = "refuse" }
        unlock = { key_file = "/etc/keylane/kek" }
        "#,
    )
    .unwrap();
    let expected = Config {
        store: "/srv/token".into(),
        socket: "/srv/token.sock".into(),
        socket_mode: 0o660,
        workers: Some(2),
        cores: vec![0, 1],
        busy_poll: true,
        kernels: KernelChoice::Off,
        spin_us: Some(20),
        secret_memory_mib: Some(64),
        require_protection: Some(Protection::MemfdSecret),
        control_backend: ControlBackend::Epoll,
        audit: Audit { keep: 3, when_full: WhenFull::Refuse },
        unlock: Some(UnlockSource::KeyFile("/etc/keylane/kek".into())),
    };
    assert_eq!(config, expected);
    config.validate().unwrap();
}

#[test]
fn what_check_prints_is_read_back() {
    let config =
        Config { unlock: Some(UnlockSource::Credential("kek".into())), ..Config::default() }.resolved();
    let text = toml::to_string(&config).unwrap();
    assert_eq!(load(&text).unwrap(), config, "{text}");
}

#[test]
fn an_unknown_key_is_refused_with_file_and_line() {
    let message = refusal("workers = 1\n\n[audit]\nkep = 5\n");
    for part in ["line 4", "kep", "keep", "/"] {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let message = Config::load(Some("/nonexistent/engine.toml".as_ref())).unwrap_err().to_string();
    assert!(message.contains("/nonexistent/engine.toml"), "{message}");
}

#[test]
fn values_out_of_bounds_are_refused_by_name() {
    for (text, key) in [
        ("store = \"token\"", "store"),
        ("socket = \"token.sock\"", "socket"),
        ("workers = 0", "workers"),
        ("workers = 65", "workers"),
        ("workers = 2\ncores = [0]", "cores"),
        ("spin_us = 51", "spin_us"),
        ("secret_memory_mib = 0", "secret_memory_mib"),
        ("audit.keep = 0", "audit.keep"),
        ("socket_mode = \"0999\"", "socket_mode"),
        ("socket_mode = \"4755\"", "socket_mode"),
    ] {
        let message = refusal(text);
        assert!(message.contains(key), "{text:?}: {message}");
    }
}

#[test]
fn a_socket_path_is_as_long_as_linux_allows() {
    let path = |octets: usize| PathBuf::from(format!("/{}", "s".repeat(octets - 1)));
    let with_socket = |octets| Config { socket: path(octets), ..Config::default() };
    with_socket(107).validate().unwrap();
    let message = with_socket(108).validate().unwrap_err().to_string();
    assert!(message.contains("108 octets") && message.contains("shorter"), "{message}");
    // The store's directory is bounded by the admin socket in it.
    let store = Config { store: path(98), ..Config::default() };
    assert!(store.validate().unwrap_err().to_string().contains("admin.sock"));
}

#[test]
fn spinning_needs_a_core_for_the_client_too() {
    let spin = |workers| Config { workers: Some(workers), ..Config::default() }.spin();
    assert_eq!(spin(super::available_cores()), Duration::ZERO);
    let chosen = Config { workers: Some(super::available_cores()), spin_us: Some(7), ..Config::default() };
    assert_eq!(chosen.spin(), Duration::from_micros(7));
}

#[test]
fn cores_say_how_many_workers() {
    let config = Config { cores: vec![0, 2, 4], ..Config::default() };
    assert_eq!(config.worker_count(), 3);
}
