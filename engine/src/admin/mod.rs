//! Administration: what the command line asks of a running engine through `admin.sock` in the store directory.
//!
//! Framing as on the client socket: one postcard message per `SOCK_SEQPACKET` packet. Key files travel as
//! descriptors: the engine reads them itself, so that no private key passes through the command line's memory.

use std::path::PathBuf;

use keylane_api::control::{KeyId, SlotId};
use keylane_api::{Algorithm, Scheme, Status as Code};
use serde::{Deserialize, Serialize};

pub mod client;
pub mod status;

/// Name of the socket in the store directory, mode 0600.
pub const SOCKET_NAME: &str = "admin.sock";

/// Largest packet, in octets: the status of an engine with many workers. Fits the send buffer that sockets have by default.
pub const PACKET_BYTES_MAX: usize = 192 * 1024;

/// Entries of one page of a listing.
pub const PAGE_MAX: usize = 32;

/// What an administrator asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// State and counters of the engine.
    Status,
    /// Creates a slot that nobody is granted.
    SlotCreate {
        /// Its name, unique in the token.
        name: String,
    },
    /// Lists slots behind `after`.
    SlotList {
        /// Last slot of the page before.
        after: Option<SlotId>,
    },
    /// Grants a slot to whoever connects through a listener.
    GrantAdd {
        /// The slot's name.
        slot: String,
        /// Which peers.
        who: Who,
        /// Socket path, the engine's default one if none.
        listener: Option<PathBuf>,
    },
    /// Lists grants behind `after`.
    GrantList {
        /// Last grant of the page before.
        after: Option<GrantId>,
    },
    /// Revokes a grant and drops its slot from the sessions that have it.
    GrantRevoke {
        /// The grant.
        grant: GrantId,
    },
    /// Generates a key.
    KeyGenerate {
        /// The slot's name.
        slot: String,
        /// The key's label, unique in the slot.
        label: String,
        /// What to generate.
        algorithm: Algorithm,
        /// Uses, as `--allow` spells them; the default policy if none.
        allow: Option<String>,
    },
    /// Imports a key; the packet carries the open file.
    KeyImport {
        /// The slot's name.
        slot: String,
        /// The key's label, unique in the slot.
        label: String,
        /// Uses, as `--allow` spells them; the default policy if none.
        allow: Option<String>,
    },
    /// Lists keys behind `after`.
    KeyList {
        /// Only this slot's.
        slot: Option<String>,
        /// Last key of the page before.
        after: Option<KeyId>,
    },
    /// Shows one key.
    KeyShow {
        /// The slot's name.
        slot: String,
        /// The key's label.
        label: String,
    },
    /// Deletes a key for ever.
    KeyDelete {
        /// The slot's name.
        slot: String,
        /// The key's label.
        label: String,
    },
}

/// What the engine answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// To `Status`: JSON, because it grows faster than a wire format should.
    Status(String),
    /// To `SlotCreate`.
    Slot(SlotView),
    /// To `SlotList`.
    Slots(Page<SlotView>),
    /// To `GrantAdd`.
    Grant(GrantView),
    /// To `GrantList`.
    Grants(Page<GrantView>),
    /// To `KeyGenerate`, `KeyImport` and `KeyShow`.
    Key(KeyView),
    /// To `KeyList`.
    Keys(Page<KeyView>),
    /// To `GrantRevoke` and `KeyDelete`.
    Done,
    /// Nothing was done.
    Refused {
        /// Why.
        status: Code,
        /// Names the culprit and the remedy.
        detail: String,
    },
}

/// Part of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// At most [`PAGE_MAX`] entries, in order of their numbers.
    pub entries: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}

/// A grant's number; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GrantId(pub u32);

/// Which peers a grant covers. The most specific grant on a slot wins: uid over gid over listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Who {
    /// Processes of this user.
    Uid(u32),
    /// Processes of this primary group.
    Gid(u32),
    /// Whoever can open the listener's socket, except uid 0 and 65534, which must be named.
    Listener,
}

/// A slot as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotView {
    /// Its number.
    pub slot: SlotId,
    /// Its name.
    pub name: String,
    /// Keys in it.
    pub keys: u64,
    /// Grants on it.
    pub grants: u64,
}

/// A grant as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantView {
    /// Its number.
    pub grant: GrantId,
    /// The slot's name.
    pub slot: String,
    /// Which peers.
    pub who: Who,
    /// Socket path, the engine's default one if none.
    pub listener: Option<PathBuf>,
}

/// A key as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Its identity.
    pub key: KeyId,
    /// Its slot.
    pub slot: SlotId,
    /// The slot's name.
    pub slot_name: String,
    /// Its label.
    pub label: String,
    /// What it is.
    pub algorithm: Algorithm,
    /// Uses, as `--allow` spells them.
    pub allow: String,
    /// Schemes that its policy allows.
    pub schemes: Vec<Scheme>,
    /// Public half, DER `SubjectPublicKeyInfo`.
    pub public: Vec<u8>,
}
