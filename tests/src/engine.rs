//! A temporary token and a real engine process on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use keylane_api::{Client, Config};
use rustix::process::Signal;

use crate::process::{Guarded, built, eventually, run};

/// How long a test waits for an engine; far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// The slot that every test token has.
pub const SLOT: &str = "web";

/// A token in a temporary directory, opened by a key file or a passphrase.
pub struct Token {
    directory: tempfile::TempDir,
    unlock: &'static str,
}

impl Token {
    /// Makes a token with `keylane init`, opened by a key file.
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// The same, below this directory.
    pub fn within(parent: &Path) -> Self {
        Self::unmade(parent, "--key-file").make()
    }

    /// Makes a token that a passphrase opens.
    pub fn with_passphrase(passphrase: &str) -> Self {
        let token = Self::unmade(&std::env::temp_dir(), "--passphrase-file");
        crate::keys::write_secret(&token.passphrase_file(), passphrase);
        token.make()
    }

    fn unmade(parent: &Path, unlock: &'static str) -> Self {
        let directory = tempfile::Builder::new().prefix("kl").tempdir_in(parent);
        let directory = directory.expect("a temporary directory");
        Self { directory, unlock }
    }

    fn make(self) -> Self {
        run(&mut self.keylane(&["init", self.unlock, path(&self.key_file())]));
        self
    }

    /// Where everything of this token lies.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.directory().join("store")
    }

    /// What opens the store, a key file or a passphrase file.
    pub fn key_file(&self) -> PathBuf {
        self.directory().join("kek")
    }

    /// The same, where it is a passphrase.
    pub fn passphrase_file(&self) -> PathBuf {
        self.key_file()
    }

    /// The client socket of its engine.
    pub fn socket(&self) -> PathBuf {
        self.directory().join("s")
    }

    /// A `keylane` command on this token.
    pub fn keylane(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(built("keylane"));
        command.args(arguments).arg("--store").arg(self.store());
        if matches!(arguments.first(), Some(&"serve")) {
            command.arg("--socket").arg(self.socket());
        }
        command
    }

    /// Starts an engine and waits until it is ready.
    pub fn serve(&self, options: &Options) -> Engine<'_> {
        let mut command = self.keylane(&["serve", self.unlock, path(&self.key_file())]);
        command.args(&options.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        for (name, value) in &options.environment {
            command.env(name, value);
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).expect("a log file");
        command.stderr(log);
        let mut process = Guarded::spawn(&mut command);
        eventually("the engine answers", PATIENCE, || {
            if let Some(status) = process.0.try_wait().expect("a child") {
                panic!("the engine ended with {status}: {}", self.log_text());
            }
            self.keylane(&["status", "--json"]).output().ok().filter(|output| output.status.success())
        });
        Engine { token: self, process }
    }

    /// A token whose slot [`SLOT`] is granted to this user, and its engine.
    pub fn serve_granted(&self, options: &Options) -> Engine<'_> {
        let engine = self.serve(options);
        engine.keylane(&["slot", "create", SLOT]);
        let uid = rustix::process::getuid().as_raw().to_string();
        engine.keylane(&["grant", "add", "--slot", SLOT, "--uid", &uid]);
        engine
    }

    /// The engine's standard error.
    pub fn log(&self) -> PathBuf {
        self.directory().join("engine.log")
    }

    /// What the engine has said so far.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Default for Token {
    fn default() -> Self {
        Self::new()
    }
}

/// How an engine is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Arguments of `keylane serve` beside the store's and socket's.
    pub arguments: Vec<String>,
    /// Environment on top of the test's own.
    pub environment: Vec<(String, String)>,
}

impl Default for Options {
    /// One worker that never spins: the tests share two cores.
    fn default() -> Self {
        Self::with(&["--workers", "1", "--spin-us", "0"])
    }
}

impl Options {
    /// Just these arguments.
    pub fn with(arguments: &[&str]) -> Self {
        Self {
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            environment: Vec::new(),
        }
    }
}

/// A running engine; killed when dropped.
pub struct Engine<'t> {
    token: &'t Token,
    /// Its process.
    pub process: Guarded,
}

impl Engine<'_> {
    /// Runs a `keylane` verb that must succeed.
    pub fn keylane(&self, arguments: &[&str]) -> Output {
        run(&mut self.token.keylane(arguments))
    }

    /// Runs a `keylane` verb that may fail.
    ///
    /// # Panics
    /// When it does not run at all.
    pub fn try_keylane(&self, arguments: &[&str]) -> Output {
        self.token.keylane(arguments).stdin(Stdio::null()).output().expect("keylane runs")
    }

    /// Runs a `keylane` verb that must fail, and returns what it says.
    ///
    /// # Panics
    /// When it succeeds.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.try_keylane(arguments);
        assert!(!output.status.success(), "keylane {arguments:?} must fail");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// What `keylane status --json` says.
    ///
    /// # Panics
    /// When it is no JSON.
    pub fn status(&self) -> serde_json::Value {
        serde_json::from_slice(&self.keylane(&["status", "--json"]).stdout).expect("JSON")
    }

    /// A client of this engine.
    pub fn client(&self) -> Client {
        Client::new(Config::for_socket(self.token.socket()))
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait(PATIENCE);
    }

    /// Ends it as a service manager does, and requires success.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn terminate(mut self) {
        self.process.signal(Signal::TERM);
        let status = self.process.wait(PATIENCE);
        assert!(status.success(), "SIGTERM: {status}: {}", self.token.log_text());
    }
}

/// A path as an argument.
///
/// # Panics
/// When it is not UTF-8; temporary paths are.
pub fn path(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}
