//! The directory of a store: its permissions, its lock, and how a new database appears in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::database::failed;
use super::error::StoreError;

const DATABASE: &str = "token.redb";
/// A database that is being made.
const DRAFT: &str = "token.redb.new";
const LOCK: &str = "engine.lock";

/// A store's directory, locked against other engines as long as this lives.
pub struct Place {
    dir: PathBuf,
    lock: File,
}

impl Place {
    /// Makes the directory, or takes an existing one that holds no store.
    pub(super) fn create(dir: &Path) -> Result<Self, StoreError> {
        let made = match dir.parent() {
            Some(parent) => fs::create_dir_all(parent),
            None => Ok(()),
        };
        let made = made.and_then(|()| DirBuilder::new().mode(0o700).create(dir));
        match made {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(failed(dir, cause)),
            _ => {}
        }
        let place = Self::lock(dir)?;
        if place.database().exists() {
            return Err(StoreError::Exists { dir: dir.to_owned() });
        }
        Ok(place)
    }

    /// Takes the directory of an existing store. Nothing is made in one that holds none.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        match dir.join(DATABASE).try_exists() {
            Ok(true) => Self::lock(dir),
            Ok(false) => Err(StoreError::NotAStore { dir: dir.to_owned() }),
            Err(cause) => Err(failed(dir, cause)),
        }
    }

    fn lock(dir: &Path) -> Result<Self, StoreError> {
        check_access(dir)?;
        let path = dir.join(LOCK);
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let mut lock = options.open(&path).map_err(|cause| failed(&path, cause))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { dir: dir.to_owned(), pid: holder(&mut lock) });
            }
            Err(TryLockError::Error(cause)) => return Err(failed(&path, cause)),
        }
        // Only for the message above: a full disk must not keep an engine from starting.
        let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        Ok(Self { dir: dir.to_owned(), lock })
    }

    /// Path of the database.
    pub(super) fn database(&self) -> PathBuf {
        self.dir.join(DATABASE)
    }

    /// Path for a database that is not complete yet; nothing is there.
    pub(super) fn draft(&self) -> Result<PathBuf, StoreError> {
        let draft = self.dir.join(DRAFT);
        match fs::remove_file(&draft) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed(&draft, cause)),
            _ => Ok(draft),
        }
    }

    /// Makes the complete draft the database, durably.
    pub(super) fn publish(&self, draft: &Path) -> Result<(), StoreError> {
        let publish = || {
            File::open(draft)?.sync_all()?;
            fs::rename(draft, self.database())?;
            File::open(&self.dir)?.sync_all()
        };
        publish().map_err(|cause| failed(&self.database(), cause))
    }

    /// Removes what a failure left; what cannot be removed now is removed by the next attempt.
    pub(super) fn discard(&self) {
        let _ = fs::remove_file(self.dir.join(DRAFT));
    }
}

impl Drop for Place {
    /// Unlocks by name: closing alone leaves the lock to a child that was forked and has not called exec yet.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

/// Nobody but us may enter: rows are sealed, but their removal, and the administration's socket, are not for others.
fn check_access(dir: &Path) -> Result<(), StoreError> {
    let metadata = fs::metadata(dir).map_err(|cause| failed(dir, cause))?;
    let (owner, uid) = (metadata.uid(), rustix::process::geteuid().as_raw());
    let mode = metadata.mode() & 0o7777;
    if owner != uid {
        return Err(StoreError::Owner { dir: dir.to_owned(), owner, uid });
    }
    if mode & 0o077 != 0 {
        return Err(StoreError::Exposed { dir: dir.to_owned(), mode });
    }
    Ok(())
}

/// Process that holds the lock, as it says itself.
fn holder(lock: &mut File) -> String {
    let mut pid = String::new();
    match lock.take(20).read_to_string(&mut pid) {
        Ok(1..) => pid,
        _ => "unknown".to_owned(),
    }
}
