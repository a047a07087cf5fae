//! The secrets that open a store: each wraps the root key in a row of its own.

use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::database::Database;
use super::error::StoreError;
use super::passphrase::{Cost, CostError};
use super::row::{self, RowChange, RowId};
use super::seal::{self, KEK_BYTES, OpenError};
use crate::os::secret::SecretBytes;

/// Unlock methods of one store.
const METHODS_MAX: u64 = 16;

/// What opens a store, in secret memory.
#[derive(Clone, Copy, Debug)]
pub enum UnlockWith<'a> {
    /// 32 random octets. Opens in milliseconds.
    KeyFile(&'a SecretBytes),
    /// What a person remembers. Takes about a second and 256 MiB.
    Passphrase(&'a SecretBytes),
}

impl UnlockWith<'_> {
    const fn name(self) -> &'static str {
        match self {
            Self::KeyFile(_) => "key file",
            Self::Passphrase(_) => "passphrase",
        }
    }

    const fn other_name(self) -> &'static str {
        match self {
            Self::KeyFile(_) => "passphrase",
            Self::Passphrase(_) => "key file",
        }
    }
}

/// How a secret becomes the key that wraps the root key. Read before there is a key to authenticate it with: it is
/// believed once the wrap opens, and bounded until then.
#[derive(Debug, Serialize, Deserialize)]
enum Method {
    KeyFile,
    Passphrase(Cost),
}

impl Method {
    /// A fresh method for this kind of secret.
    fn draw(unlock: UnlockWith<'_>) -> Result<Self, StoreError> {
        match unlock {
            UnlockWith::KeyFile(_) => Ok(Self::KeyFile),
            UnlockWith::Passphrase(_) => Ok(Self::Passphrase(Cost::draw()?)),
        }
    }

    /// The wrapping key; `None` when the method is for another kind of secret.
    fn key(&self, unlock: UnlockWith<'_>, path: &Path) -> Result<Option<SecretBytes>, StoreError> {
        match (self, unlock) {
            (Self::KeyFile, UnlockWith::KeyFile(key)) => Ok(Some(key.try_clone()?)),
            (Self::Passphrase(cost), UnlockWith::Passphrase(passphrase)) => {
                cost.derive(passphrase).map(Some).map_err(|cause| failed(&cause, cost, path))
            }
            _ => Ok(None),
        }
    }
}

fn failed(cause: &CostError, &Cost { memory_kib, passes, .. }: &Cost, path: &Path) -> StoreError {
    match cause {
        CostError::Bounds => StoreError::PassphraseCost { path: path.to_owned(), memory_kib, passes },
        CostError::OrdinaryMemory => StoreError::PassphraseMemory { memory_kib },
        CostError::Memory(cause) => (*cause).into(),
    }
}

/// Wraps `root` so that `unlock` opens the store `uuid` at `path`, as its method `number`.
pub(super) fn wrap(
    path: &Path,
    uuid: Uuid,
    number: u64,
    unlock: UnlockWith<'_>,
    root: &SecretBytes,
) -> Result<RowChange, StoreError> {
    let method = Method::draw(unlock)?;
    let wrong = || StoreError::WrongSecret { secret: unlock.name(), path: path.to_owned() };
    let key = method.key(unlock, path)?.filter(|key| key.len() == KEK_BYTES).ok_or_else(wrong)?;
    let id = RowId::unlock(number);
    let value = seal::seal(&key, uuid, id, &row::encode(&method), root)?;
    Ok(RowChange { id, value: Some(value) })
}

/// The root key, from the first method that `unlock` opens.
pub(super) fn root(
    database: &Database,
    uuid: Uuid,
    unlock: UnlockWith<'_>,
) -> Result<SecretBytes, StoreError> {
    let path = database.path();
    let mut tried = false;
    for id in (0..METHODS_MAX).map(RowId::unlock) {
        let Some(stored) = database.get(id)? else { continue };
        let damaged = || StoreError::Row { row: id, path: path.to_owned() };
        let method: Method = seal::claimed_body(&stored).and_then(row::decode).ok_or_else(damaged)?;
        let Some(key) = method.key(unlock, path)? else { continue };
        tried = true;
        match seal::open(&key, uuid, id, &stored) {
            Ok(opened) if opened.secret.len() == KEK_BYTES => return Ok(opened.secret),
            Err(OpenError::WrongKey) => {}
            Ok(_) => return Err(damaged()),
            Err(cause) => return Err(cause.or(damaged)),
        }
    }
    let path = path.to_owned();
    Err(if tried {
        StoreError::WrongSecret { secret: unlock.name(), path }
    } else {
        StoreError::NoSuchMethod { given: unlock.name(), wanted: unlock.other_name(), path }
    })
}
