//! What the database holds: rows, each under an identity that says what it is and which slot's key seals it.
//!
//! The numbers of [`Kind`] and the forms here are the schema; a change of any of them is a new [`SCHEMA`] and a
//! migration.

use std::fmt;
use std::path::PathBuf;

use keylane_api::Algorithm;
use keylane_api::control::{KeyId, SlotId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::admin::{GrantId, Who};
use crate::policy::Policy;

/// Version of everything in the database.
pub(super) const SCHEMA: u32 = 1;
/// First octets of the identity row.
const MAGIC: [u8; 8] = *b"keylane\0";

/// What a row is, in the order in which a store is read: keys come after the slots whose keys seal them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// [`Identity`], readable by everybody.
    Identity = 0,
    /// A wrap of the root key.
    Unlock = 1,
    /// [`State`].
    State = 2,
    /// [`SlotRow`], with the slot's key.
    Slot = 3,
    /// [`GrantRow`].
    Grant = 4,
    /// Tombstone of a grant.
    RevokedGrant = 5,
    /// [`KeyRow`], with the private key.
    Key = 6,
    /// Tombstone of a key.
    DeletedKey = 7,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Identity,
        Self::Unlock,
        Self::State,
        Self::Slot,
        Self::Grant,
        Self::RevokedGrant,
        Self::Key,
        Self::DeletedKey,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "the store's identity",
            Self::Unlock => "unlock method",
            Self::State => "the store's state",
            Self::Slot => "slot",
            Self::Grant => "grant",
            Self::RevokedGrant => "revoked grant",
            Self::Key => "key",
            Self::DeletedKey => "deleted key",
        }
    }
}

/// Octets of a [`RowId`] in the database.
pub(super) const ROW_ID_BYTES: usize = 13;

/// Identity of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId {
    pub(super) kind: Kind,
    /// Whose key seals it; 0, which no slot has, for the root key.
    pub(super) slot: SlotId,
    pub(super) number: u64,
}

impl RowId {
    pub(super) const IDENTITY: Self = Self { kind: Kind::Identity, slot: SlotId(0), number: 0 };
    pub(super) const STATE: Self = Self { kind: Kind::State, slot: SlotId(0), number: 0 };

    pub(super) fn unlock(number: u64) -> Self {
        Self { kind: Kind::Unlock, slot: SlotId(0), number }
    }

    pub(super) fn slot(slot: SlotId) -> Self {
        Self { kind: Kind::Slot, slot: SlotId(0), number: slot.0.into() }
    }

    pub(super) fn grant(slot: SlotId, grant: GrantId) -> Self {
        Self { kind: Kind::Grant, slot, number: grant.0.into() }
    }

    pub(super) fn key(slot: SlotId, key: KeyId) -> Self {
        Self { kind: Kind::Key, slot, number: key.0 }
    }

    /// The tombstone of a grant or key.
    pub(super) fn tombstone(self) -> Self {
        let kind = match self.kind {
            Kind::Grant => Kind::RevokedGrant,
            Kind::Key => Kind::DeletedKey,
            other => other,
        };
        Self { kind, ..self }
    }

    /// As it stands in the database: sorted as [`Ord`] sorts.
    pub(super) fn to_bytes(self) -> [u8; ROW_ID_BYTES] {
        let mut bytes = [self.kind as u8; ROW_ID_BYTES];
        bytes[1..5].copy_from_slice(&self.slot.0.to_be_bytes());
        bytes[5..].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let (slot, number) = rest.split_first_chunk()?;
        Some(Self {
            kind: Kind::ALL.into_iter().find(|&found| found as u8 == kind)?,
            slot: SlotId(u32::from_be_bytes(*slot)),
            number: u64::from_be_bytes(number.try_into().ok()?),
        })
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.kind.name();
        match self.kind {
            Kind::Identity | Kind::State => f.write_str(name),
            Kind::Unlock | Kind::Slot => write!(f, "{name} {}", self.number),
            _ => write!(f, "{name} {} of slot {}", self.number, self.slot.0),
        }
    }
}

/// A row to write, or to remove.
pub(super) struct RowChange {
    pub id: RowId,
    pub value: Option<Vec<u8>>,
}

/// Says that this is a store, and which. Not sealed, because it is read before there is a key; every seal covers it.
/// Its form never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    magic: [u8; 8],
    pub schema: u32,
    pub uuid: Uuid,
}

impl Identity {
    pub(super) fn new(uuid: Uuid) -> Self {
        Self { magic: MAGIC, schema: SCHEMA, uuid }
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        decode::<Self>(value).filter(|identity| identity.magic == MAGIC)
    }
}

/// Where the store stands. Sealed with it: the key of the fingerprints of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Transactions so far.
    pub epoch: u64,
    /// Over all rows but this one, and the epoch.
    pub commitment: [u8; 32],
    /// Rows that the commitment covers.
    pub rows: u64,
    pub next_slot: u32,
    pub next_grant: u32,
    pub next_key: u64,
}

/// Public part of a sealed row: what it says, and since which epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dated<T> {
    pub epoch: u64,
    pub row: T,
}

/// A slot of the token: one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRow {
    /// Its number; never used again.
    pub slot: SlotId,
    /// Its name, unique in the token.
    pub name: String,
}

/// Who may open a slot through which listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRow {
    /// Its number; never used again.
    pub grant: GrantId,
    /// The slot.
    pub slot: SlotId,
    /// Which peers.
    pub who: Who,
    /// Socket path, the engine's default one if none.
    pub listener: Option<PathBuf>,
    /// The store's epoch when it was granted.
    pub epoch: u64,
}

/// A key, without its private half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// Its number; never used again.
    pub key: KeyId,
    /// Its slot.
    pub slot: SlotId,
    /// Its label, unique in the slot.
    pub label: String,
    /// What it is.
    pub algorithm: Algorithm,
    /// Public half, DER `SubjectPublicKeyInfo`.
    pub public: Vec<u8>,
    /// What it may be used for.
    pub policy: Policy,
}

/// What remains of a deleted key or a revoked grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tombstone {
    /// The key's label; empty for a grant.
    pub label: String,
}

/// The postcard encoding of a row's part.
pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "a Vec takes all octets, and the one path in a row is checked to be UTF-8"
    )]
    postcard::to_allocvec(value).expect("rows encode")
}

/// Reads a whole postcard encoding; `None` when it is not one.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use keylane_api::control::{KeyId, SlotId};
    use proptest::prelude::*;

    use super::{Kind, RowId};

    #[test]
    fn a_row_is_named_for_people() {
        assert_eq!(RowId::key(SlotId(3), KeyId(17)).to_string(), "key 17 of slot 3");
        assert_eq!(RowId::key(SlotId(3), KeyId(17)).tombstone().to_string(), "deleted key 17 of slot 3");
        assert_eq!(RowId::slot(SlotId(3)).to_string(), "slot 3");
        assert_eq!(RowId::STATE.to_string(), "the store's state");
    }

    proptest! {
        #[test]
        fn identities_round_trip_and_keep_their_order(
            a in (0..8usize, any::<u32>(), any::<u64>()), b in (0..8usize, any::<u32>(), any::<u64>()),
        ) {
            let id = |(kind, slot, number): (usize, _, _)| RowId { kind: Kind::ALL[kind], slot: SlotId(slot), number };
            let (a, b) = (id(a), id(b));
            prop_assert_eq!(RowId::from_bytes(&a.to_bytes()), Some(a));
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        }
    }
}
