//! Asks for a passphrase on the terminal: not echoed, and read straight into secret memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use rustix::io::retry_on_intr;
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use subtle::ConstantTimeEq;

use super::failure::Failure;
use crate::os::secret::SecretBytes;
use crate::unlock::{PASSPHRASE_BYTES_MAX, Unlock};

/// What Ctrl-C sends.
const INTERRUPT: u8 = 3;

/// Asks for the passphrase of an existing store.
pub(super) fn passphrase() -> Result<Unlock, Failure> {
    Ok(Unlock::passphrase(ask("Passphrase: ")?, "the terminal")?)
}

/// Asks for the passphrase of a new store, twice.
pub(super) fn new_passphrase() -> Result<Unlock, Failure> {
    let first = ask("New passphrase: ")?;
    let second = ask("The same again: ")?;
    if bool::from(first.ct_eq(&second)) {
        Ok(Unlock::passphrase(first, "the terminal")?)
    } else {
        Err(Failure::Usage("the two passphrases differ".to_owned()))
    }
}

fn ask(question: &str) -> Result<SecretBytes, Failure> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| {
        Failure::Usage(
            "no terminal to ask for the passphrase on; give --key-file, --passphrase-file or --credential"
                .to_owned(),
        )
    })?;
    let mut line = SecretBytes::zeroed(PASSPHRASE_BYTES_MAX + 3).map_err(crate::unlock::UnlockError::from)?;
    let quiet = Quiet::begin(&terminal).map_err(broken)?;
    write!(terminal, "{question}").map_err(broken)?;
    // A terminal in line mode hands out one line a read.
    let octets =
        retry_on_intr(|| rustix::io::read(&terminal, &mut *line)).map_err(|error| broken(error.into()))?;
    drop(quiet);
    writeln!(terminal).map_err(broken)?;
    line.truncate(octets);
    if line.last() == Some(&INTERRUPT) {
        return Err(Failure::Usage("interrupted".to_owned()));
    }
    Ok(line)
}

/// A terminal that echoes nothing, until this is dropped.
///
/// Ctrl-C ends the line instead of the process, which would leave the terminal silent.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn begin(terminal: &File) -> io::Result<Self> {
        let before = termios::tcgetattr(terminal)?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        modes.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        termios::tcsetattr(terminal, OptionalActions::Flush, &modes)?;
        Ok(Self { terminal: terminal.try_clone()?, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = termios::tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

fn broken(error: io::Error) -> Failure {
    Failure::io("use", "the terminal", error)
}
