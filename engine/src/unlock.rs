//! What opens a store, read from where the operator keeps it straight into secret memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::io::retry_on_intr;
use rustix::rand::GetRandomFlags;

use crate::config::UnlockSource;
use crate::os::secret::{SecretBytes, SecretMemoryError};
use crate::store::UnlockWith;

/// Octets of a key file.
pub const KEY_BYTES: usize = 32;
/// Octets of a passphrase, at most.
pub const PASSPHRASE_BYTES_MAX: usize = 1_024;

/// What opens a store.
#[derive(Debug)]
pub enum Unlock {
    /// 32 random octets.
    KeyFile(SecretBytes),
    /// What a person remembers.
    Passphrase(SecretBytes),
}

/// Why there is nothing to open the store with.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// The file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read the file.
    #[error("{path}: mode {mode:04o} lets others read it; run `chmod 0400 {path}`", path = path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A pipe, a device or a directory.
    #[error("{path}: not a regular file", path = path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A key file of another size.
    #[error("{path}: a key file has {KEY_BYTES} octets; `keylane init --key-file` makes one, or give a passphrase with --passphrase-file", path = path.display())]
    KeyLength {
        /// The file.
        path: PathBuf,
    },
    /// Nothing, or more than a passphrase.
    #[error("{origin}: a passphrase has 1 to {PASSPHRASE_BYTES_MAX} octets")]
    PassphraseLength {
        /// Where it came from.
        origin: String,
    },
    /// No systemd credentials were passed to this process.
    #[error(
        "credential {name}: systemd passed none; add `LoadCredentialEncrypted={name}` to the unit, see systemd.exec(5)"
    )]
    NoCredentials {
        /// The credential.
        name: String,
    },
    /// No room for the secret.
    #[error(transparent)]
    Memory(#[from] SecretMemoryError),
}

impl Unlock {
    /// As the store takes it.
    pub fn as_with(&self) -> UnlockWith<'_> {
        match self {
            Self::KeyFile(secret) => UnlockWith::KeyFile(secret),
            Self::Passphrase(secret) => UnlockWith::Passphrase(secret),
        }
    }

    /// Reads what `source` names.
    pub fn read(source: &UnlockSource) -> Result<Self, UnlockError> {
        match source {
            UnlockSource::KeyFile(path) => Ok(Self::KeyFile(read_key(&private(path)?, path)?)),
            UnlockSource::PassphraseFile(path) => read_passphrase(&private(path)?, path),
            UnlockSource::Credential(name) => {
                let path = credential(name)?;
                // systemd grants access to a credential by ACL, which its mode does not show.
                let file = File::open(&path).map_err(failed(&path))?;
                Ok(Self::KeyFile(read_key(&file, &path)?))
            }
        }
    }

    /// What was typed or read, without the line's end.
    pub fn passphrase(mut typed: SecretBytes, origin: &str) -> Result<Self, UnlockError> {
        typed.truncate(without_line_end(&typed).len());
        if (1..=PASSPHRASE_BYTES_MAX).contains(&typed.len()) {
            Ok(Self::Passphrase(typed))
        } else {
            Err(UnlockError::PassphraseLength { origin: origin.to_owned() })
        }
    }

    /// Makes a key file that only its owner may read, durably, and answers what is in it.
    ///
    /// # Errors
    /// When it exists already.
    pub fn generate_key_file(path: &Path) -> Result<Self, UnlockError> {
        let mut key = SecretBytes::zeroed(KEY_BYTES)?;
        retry_on_intr(|| rustix::rand::getrandom(&mut *key, GetRandomFlags::empty()))
            .map_err(|error| failed(path)(error.into()))?;
        write_private(path, &key).map_err(failed(path))?;
        Ok(Self::KeyFile(key))
    }
}

/// Opens a file that nobody but its owner may read.
fn private(path: &Path) -> Result<File, UnlockError> {
    // Non-blocking: the open of a FIFO would wait for a writer.
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path).map_err(failed(path))?;
    let metadata = file.metadata().map_err(failed(path))?;
    if !metadata.is_file() {
        return Err(UnlockError::NotAFile { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(UnlockError::Exposed { path: path.to_owned(), mode });
    }
    Ok(file)
}

/// Writes a new file that only its owner may read, durably; leaves nothing behind if it cannot.
fn write_private(path: &Path, octets: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    let written = write_durably(&file, octets).and_then(|()| directory_of(path)?.sync_all());
    written.inspect_err(|_| drop(std::fs::remove_file(path)))
}

/// Writes straight from secret memory: there is no buffer in between.
fn write_durably(mut file: &File, octets: &[u8]) -> io::Result<()> {
    file.write_all(octets)?;
    file.sync_all()
}

fn directory_of(path: &Path) -> io::Result<File> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))
}

fn read_key(file: &File, path: &Path) -> Result<SecretBytes, UnlockError> {
    let key = read(file, KEY_BYTES + 1, path)?;
    if key.len() == KEY_BYTES { Ok(key) } else { Err(UnlockError::KeyLength { path: path.to_owned() }) }
}

fn read_passphrase(file: &File, path: &Path) -> Result<Unlock, UnlockError> {
    // Room for a line end of two octets, and one more to notice what is too long.
    let typed = read(file, PASSPHRASE_BYTES_MAX + 3, path)?;
    Unlock::passphrase(typed, &path.display().to_string())
}

/// Reads at most `bytes` octets without a buffer in ordinary memory.
fn read(file: &File, bytes: usize, path: &Path) -> Result<SecretBytes, UnlockError> {
    let mut secret = SecretBytes::zeroed(bytes)?;
    let mut filled = 0;
    while filled < bytes {
        let read = retry_on_intr(|| rustix::io::read(file, &mut secret[filled..]));
        match read.map_err(|error| failed(path)(error.into()))? {
            0 => break,
            octets => filled += octets,
        }
    }
    secret.truncate(filled);
    Ok(secret)
}

fn credential(name: &str) -> Result<PathBuf, UnlockError> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")
        .ok_or_else(|| UnlockError::NoCredentials { name: name.to_owned() })?;
    Ok(Path::new(&directory).join(name))
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> UnlockError + '_ {
    |source| UnlockError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::{PASSPHRASE_BYTES_MAX, Unlock, UnlockError};
    use crate::config::UnlockSource;

    fn file(octets: &[u8], mode: u32) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, octets).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    fn key_file(octets: &[u8], mode: u32) -> Result<Unlock, UnlockError> {
        let (_directory, path) = file(octets, mode);
        Unlock::read(&UnlockSource::KeyFile(path))
    }

    fn passphrase_file(octets: &[u8]) -> Result<Unlock, UnlockError> {
        let (_directory, path) = file(octets, 0o400);
        Unlock::read(&UnlockSource::PassphraseFile(path))
    }

    #[test]
    fn a_generated_key_file_is_private_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kek");
        let Unlock::KeyFile(made) = Unlock::generate_key_file(&path).unwrap() else { panic!("no key") };
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
        assert_eq!(fs::read(&path).unwrap(), *made);
        let Unlock::KeyFile(read) = Unlock::read(&UnlockSource::KeyFile(path.clone())).unwrap() else {
            panic!("no key")
        };
        assert_eq!(*read, *made);
        assert!(matches!(Unlock::generate_key_file(&path), Err(UnlockError::File { .. })), "it exists");
        assert_eq!(fs::read(&path).unwrap(), *made, "and was left alone");
    }

    #[test]
    fn a_key_file_has_32_octets() {
        assert!(matches!(key_file(&[1; 32], 0o400), Ok(Unlock::KeyFile(_))));
        for octets in [0, 31, 33, 4_096] {
            let refused = key_file(&vec![1; octets], 0o400);
            assert!(matches!(refused, Err(UnlockError::KeyLength { .. })), "{octets}: {refused:?}");
        }
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused_with_the_remedy() {
        for mode in [0o440, 0o404, 0o660, 0o644, 0o410] {
            let refused = key_file(&[1; 32], mode).unwrap_err().to_string();
            assert!(refused.contains("chmod 0400"), "{mode:o}: {refused}");
        }
        assert!(key_file(&[1; 32], 0o600).is_ok());
    }

    #[test]
    fn a_passphrase_ends_before_its_line_does() {
        for (octets, expected) in [
            (&b"secret"[..], &b"secret"[..]),
            (b"secret\n", b"secret"),
            (b"a b\r\n", b"a b"),
            (b"a\n\n", b"a\n"),
        ] {
            let Unlock::Passphrase(read) = passphrase_file(octets).unwrap() else { panic!("no passphrase") };
            assert_eq!(*read, *expected);
        }
        let longest = vec![b'x'; PASSPHRASE_BYTES_MAX];
        passphrase_file(&[&longest[..], b"\r\n"].concat()).unwrap();
        for refused in [&b""[..], b"\n", &[&longest[..], b"x"].concat()] {
            assert!(matches!(passphrase_file(refused), Err(UnlockError::PassphraseLength { .. })));
        }
    }

    #[test]
    fn what_is_no_file_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        for path in [fifo, directory.path().to_owned()] {
            let refused = Unlock::read(&UnlockSource::KeyFile(path));
            assert!(matches!(refused, Err(UnlockError::NotAFile { .. })), "{refused:?}");
        }
    }
}
