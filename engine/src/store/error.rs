//! What can go wrong with a store: who is to blame, which file and row, and what to do.

use std::io;
use std::path::PathBuf;

use keylane_api::Status;

use super::name::NameError;
use super::row::RowId;
use crate::admin::GrantId;
use crate::os::bignum::NoRoom;
use crate::os::secret::SecretMemoryError;

/// Why the store did not do what it was asked. It is then as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing there.
    #[error("{dir} holds no token store; make one with `keylane init --store {dir}`", dir = .dir.display())]
    NotAStore {
        /// The directory.
        dir: PathBuf,
    },
    /// A database of something else.
    #[error("{path} is not a token store of Keylane; check --store", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// `init` would overwrite a store.
    #[error("{dir} holds a token store already; choose another directory, or move this one away", dir = .dir.display())]
    Exists {
        /// The directory.
        dir: PathBuf,
    },
    /// Others may enter the directory.
    #[error("{dir} has mode {mode:04o}, so others can reach the store; run `chmod 0700 {dir}`", dir = .dir.display())]
    Exposed {
        /// The directory.
        dir: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Somebody else's directory.
    #[error(
        "{dir} belongs to uid {owner}, but this is uid {uid}; run as that user, or `chown -R {uid} {dir}`",
        dir = .dir.display()
    )]
    Owner {
        /// The directory.
        dir: PathBuf,
        /// Its owner.
        owner: u32,
        /// Our effective user.
        uid: u32,
    },
    /// A second engine.
    #[error(
        "another engine (process {pid}) uses the store in {dir}; stop it first, or give this one another --store",
        dir = .dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// What the other engine wrote into the lock file.
        pid: String,
    },
    /// Written by a later Keylane.
    #[error(
        "{path} has schema {found}, this engine knows schemas up to {known}; start a newer Keylane",
        path = .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest that this engine reads.
        known: u32,
    },

    /// The secret does not open the store.
    #[error(
        "wrong {secret}: it does not open {path}; give the one that the store was made with (if it is, the file is \
         damaged: restore it from a backup)",
        path = .path.display()
    )]
    WrongSecret {
        /// Key file or passphrase.
        secret: &'static str,
        /// The store.
        path: PathBuf,
    },
    /// Another kind of secret opens the store.
    #[error("{path} is not opened by a {given}; give the {wanted}", path = .path.display())]
    NoSuchMethod {
        /// What was given.
        given: &'static str,
        /// What the store knows.
        wanted: &'static str,
        /// The store.
        path: PathBuf,
    },
    /// Stored parameters of Argon2id below the least that is safe, or beyond what makes sense.
    #[error(
        "{path} asks for Argon2id with {memory_kib} KiB and {passes} passes, outside the accepted bounds: it was \
         edited; restore it from a backup",
        path = .path.display()
    )]
    PassphraseCost {
        /// The store.
        path: PathBuf,
        /// Memory.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
    },
    /// No ordinary memory for Argon2id.
    #[error("Argon2id needs {memory_kib} KiB of memory, which there is not; free some, or use a key file")]
    PassphraseMemory {
        /// Memory.
        memory_kib: u32,
    },

    /// A row that is not what was stored there.
    #[error("{row} in {path} is damaged or was edited or swapped; restore the file from a backup", path = .path.display())]
    Row {
        /// The row.
        row: RowId,
        /// The file.
        path: PathBuf,
    },
    /// A row that should not, or no longer, be there.
    #[error("{row} in {path} is of another time; restore the whole file from one backup", path = .path.display())]
    Replayed {
        /// The row.
        row: RowId,
        /// The file.
        path: PathBuf,
    },
    /// The rows are not those of the last transaction.
    #[error(
        "rows of {path} were removed or put back: it has {found} rows, and its last transaction committed to {expected} \
         others or other versions; restore the whole file from one backup",
        path = .path.display()
    )]
    Rows {
        /// The file.
        path: PathBuf,
        /// Rows found.
        found: u64,
        /// Rows committed to.
        expected: u64,
    },
    /// The file's own structure is broken.
    #[error("{path} is damaged ({detail}); restore it from a backup", path = .path.display())]
    Corrupted {
        /// The file.
        path: PathBuf,
        /// What the database says.
        detail: String,
    },
    /// An older file beside a newer audit log.
    #[error(
        "{path} is older (epoch {epoch}) than the audit log beside it (epoch {seen}): keys deleted and grants revoked \
         since then would come back; put the newest file back, or start once with --accept-rollback, which is audited",
        path = .path.display()
    )]
    RolledBack {
        /// The file.
        path: PathBuf,
        /// Its epoch.
        epoch: u64,
        /// The newest epoch in the audit log.
        seen: u64,
    },

    /// No space.
    #[error("no space left for {path}; free some on that file system (or raise the quota) and try again", path = .path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The operating system failed.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// After a failure, the file could not be opened again.
    #[error("{path} failed before and could not be opened again; restart the engine", path = .path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },

    /// Not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A listener path that cannot be stored.
    #[error("listener path {path:?} is not UTF-8; choose another")]
    Listener {
        /// The path.
        path: PathBuf,
    },
    /// The slot's name is taken.
    #[error("a slot named {name:?} exists already; choose another name")]
    SlotExists {
        /// The name.
        name: String,
    },
    /// The key's label is taken in this slot.
    #[error("the slot has a key labelled {label:?} already; choose another label, or delete that key first")]
    KeyExists {
        /// The label.
        label: String,
    },
    /// No such slot.
    #[error("there is no slot {slot}; see `keylane slot list`")]
    NoSlot {
        /// Its number.
        slot: u32,
    },
    /// No such grant.
    #[error("there is no grant {}; see `keylane grant list`", .grant.0)]
    NoGrant {
        /// Its number.
        grant: GrantId,
    },
    /// No such key.
    #[error("there is no key {label:?} in this slot; see `keylane key list`")]
    NoKey {
        /// Its label, or its number.
        label: String,
    },
    /// Numbers are never used again, and these have run out.
    #[error("the store has no more numbers to give; make a new store")]
    Exhausted,

    /// No secret memory left.
    #[error(transparent)]
    Memory(#[from] SecretMemoryError),
    /// No secret memory left for aws-lc.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl StoreError {
    /// Whether secret memory is short, and nothing else is wrong.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Memory(_) | Self::NoRoom(_))
    }

    /// As a client or administrator is told.
    pub fn status(&self) -> Status {
        match self {
            Self::SlotExists { .. } | Self::KeyExists { .. } => Status::AlreadyExists,
            Self::NoSlot { .. } | Self::NoGrant { .. } | Self::NoKey { .. } => Status::NotFound,
            Self::Name(_) | Self::Listener { .. } => Status::Malformed,
            Self::Memory(_) | Self::NoRoom(_) => Status::ContextsFull,
            _ => Status::Store,
        }
    }
}
