//! redb at arm's length: one table of rows in one file.
//!
//! redb verifies its pages when it repairs, not when it reads, and asserts what it expects of them. So whatever is read
//! is mere octets until it authenticates, and a panic on a damaged file is caught and becomes an error.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use super::error::StoreError;
use super::row::{RowChange, RowId};

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
/// Pages that redb keeps in memory, in bytes: all inner ones of a large store.
const CACHE_BYTES: usize = 16 << 20;

/// The database of a store.
pub(super) struct Database {
    path: PathBuf,
    /// `None` after a failure that left it closed.
    open: Option<redb::Database>,
    /// The next transaction fails after it was committed.
    #[cfg(test)]
    pub(super) loses_answer: std::cell::Cell<bool>,
}

impl Database {
    /// Makes an empty database where no file is; mode 0600.
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|cause| failed(path, cause))?;
        let open = guard(path, || Ok(builder().create_file(file)?))?;
        let mut database = Self::closed(path);
        database.open = Some(open);
        Ok(database)
    }

    /// Opens a database, repairing what a crash left of it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut database = Self::closed(path);
        database.reopen()?;
        Ok(database)
    }

    fn closed(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            open: None,
            #[cfg(test)]
            loses_answer: std::cell::Cell::default(),
        }
    }

    /// Closes and opens the file: after an I/O error redb refuses everything else.
    pub(super) fn reopen(&mut self) -> Result<(), StoreError> {
        self.close();
        self.open = Some(guard(&self.path, || builder().open(&self.path).map_err(redb::Error::from))?);
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The row as it is stored, not authenticated.
    pub(super) fn get(&self, id: RowId) -> Result<Option<Vec<u8>>, StoreError> {
        self.guard(|database| {
            let table = database.begin_read()?.open_table(ROWS)?;
            let value = table.get(id.to_bytes().as_slice())?;
            Ok(value.map(|value| value.value().to_vec()))
        })
    }

    /// Shows every row, in the order of their identities: none twice. What is no identity ends the scan.
    pub(super) fn scan(
        &self,
        mut visit: impl FnMut(RowId, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut last = None;
        self.guard(|database| {
            let table = database.begin_read()?.open_table(ROWS)?;
            for entry in table.iter()? {
                let (key, value) = entry?;
                let Some(id) = RowId::from_bytes(key.value()).filter(|&id| last.is_none_or(|last| id > last))
                else {
                    return Err(redb::Error::Corrupted(
                        "a row without an identity, or out of order".to_owned(),
                    ));
                };
                last = Some(id);
                if let Err(cause) = visit(id, value.value()) {
                    return Ok(Err(cause));
                }
            }
            Ok(Ok(()))
        })?
    }

    /// Makes all changes in one transaction, which is durable when this returns.
    pub(super) fn apply(&self, changes: &[RowChange]) -> Result<(), StoreError> {
        self.guard(|database| {
            let mut transaction = database.begin_write()?;
            // redb's checksum is not cryptographic: with one phase only, whoever chooses some rows might make a torn
            // commit look whole.
            transaction.set_two_phase_commit(true);
            {
                let mut table = transaction.open_table(ROWS)?;
                for change in changes {
                    let key = change.id.to_bytes();
                    match &change.value {
                        Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                        None => table.remove(key.as_slice())?,
                    };
                }
            }
            transaction.commit()?;
            #[cfg(test)]
            if self.loses_answer.take() {
                return Err(redb::Error::Io(io::Error::other("the answer is lost")));
            }
            Ok(())
        })
    }

    fn guard<T>(
        &self,
        work: impl FnOnce(&redb::Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let database = self.open.as_ref().ok_or_else(|| StoreError::Closed { path: self.path.clone() })?;
        guard(&self.path, || work(database))
    }

    fn close(&mut self) {
        let open = self.open.take();
        // Closing writes; what fails then is found when the file is opened again.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(open)));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.close();
    }
}

fn builder() -> redb::Builder {
    let mut builder = redb::Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn guard<T>(path: &Path, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
    // Whatever a database that panicked answers later authenticates, or is an error.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(answer) => answer.map_err(|cause| typed(path, cause)),
        Err(_) => Err(corrupted(path, "its pages contradict each other")),
    }
}

fn typed(path: &Path, cause: redb::Error) -> StoreError {
    match cause {
        redb::Error::Io(source) => failed(path, source),
        redb::Error::TableDoesNotExist(_) => StoreError::Foreign { path: path.to_owned() },
        redb::Error::DatabaseAlreadyOpen => {
            let dir = path.parent().unwrap_or(path).to_owned();
            StoreError::InUse { dir, pid: "unknown".to_owned() }
        }
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => StoreError::Closed { path: path.to_owned() },
        other => corrupted(path, other),
    }
}

fn corrupted(path: &Path, detail: impl Display) -> StoreError {
    StoreError::Corrupted { path: path.to_owned(), detail: detail.to_string() }
}

/// An error of the operating system at a file of the store.
pub(super) fn failed(path: &Path, source: io::Error) -> StoreError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::Full { path }
        }
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            StoreError::Corrupted { path, detail: source.to_string() }
        }
        _ => StoreError::Io { path, source },
    }
}
