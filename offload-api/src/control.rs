//! Messages of the control socket: one postcard-encoded message per `SOCK_SEQPACKET` packet, descriptors beside it.
//!
//! The client asks, the engine answers each request once, in order.

use serde::{Deserialize, Serialize};

use crate::wire::{AbiRange, KeyHandle};
use crate::{Algorithm, Scheme, Status};

pub mod socket;

/// Largest packet, in octets.
pub const PACKET_BYTES_MAX: usize = 16 * 1024;

/// A slot of the token (PKCS#11 meaning): one tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SlotId(pub u32);

/// A key for as long as the token lives; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyId(pub u64);

/// Names a key to the engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeySelector {
    /// By slot name (or any slot that the session sees) and label; exact matches only.
    Label {
        /// The slot's name.
        slot: Option<String>,
        /// The key's label.
        label: String,
    },
    /// By its identity in the token, which applications keep across restarts.
    Object {
        /// The slot.
        slot: SlotId,
        /// The key.
        key: KeyId,
    },
    /// By its public half, a DER `SubjectPublicKeyInfo`.
    Public(Vec<u8>),
}

/// Sizes of a channel, chosen by the client, bounded by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelShape {
    /// Entries of each ring, a power of two.
    pub entries: u32,
    /// Octets of a submission entry, a multiple of 64.
    pub submission_bytes: u32,
    /// Octets of a completion entry, a multiple of 64.
    pub completion_bytes: u32,
}

/// What a client asks on the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// First message of a connection.
    Hello {
        /// ABI versions that the client speaks.
        abi: AbiRange,
        /// Shown in status and logs; at most 64 octets.
        program: String,
    },
    /// Opens a channel for one client thread.
    OpenChannel {
        /// Sizes of its rings.
        shape: ChannelShape,
        /// Whether to ring by a byte on a socketpair, for event loops, instead of a futex.
        wake_descriptor: bool,
    },
    /// Closes a channel; entries in flight are dropped.
    CloseChannel {
        /// The channel.
        channel: u32,
    },
    /// Resolves a key to a handle of this session.
    ResolveKey {
        /// The key.
        selector: KeySelector,
    },
    /// Gives a handle back.
    ReleaseKey {
        /// The handle.
        handle: KeyHandle,
    },
}

/// What the engine answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To `Hello`. Descriptor: the engine's flag page.
    Welcome {
        /// ABI version of this session's entries.
        abi: u16,
        /// The session.
        session: u32,
        /// The engine process, for liveness checks in the same PID namespace.
        engine_pid: u32,
        /// Workers spin instead of sleeping; a client need not expect to ring.
        busy_poll: bool,
        /// Largest number of channels that this session may open.
        channels_max: u32,
    },
    /// To `OpenChannel`. Descriptors: submission region, completion region, worker's doorbell and, if asked for,
    /// the socket that becomes readable on completions.
    ChannelOpened {
        /// The channel.
        channel: u32,
        /// The worker that owns it: index of its word in the flag page.
        worker: u32,
        /// Sizes as granted.
        shape: ChannelShape,
    },
    /// To `CloseChannel` and `ReleaseKey`.
    Done,
    /// To `ResolveKey`.
    KeyResolved(KeyInfo),
    /// The request was not carried out.
    Refused {
        /// Why.
        status: Status,
        /// More for people; names the culprit.
        detail: String,
    },
}

/// A key as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// For submissions of this session.
    pub handle: KeyHandle,
    /// Its slot.
    pub slot: SlotId,
    /// Its identity in the token.
    pub key: KeyId,
    /// Its label.
    pub label: String,
    /// What it is.
    pub algorithm: Algorithm,
    /// Public half, DER `SubjectPublicKeyInfo`.
    pub public: Vec<u8>,
    /// Schemes that its policy allows.
    pub schemes: Vec<Scheme>,
}

/// Encodes a message.
///
/// # Errors
/// When it does not fit [`PACKET_BYTES_MAX`].
pub fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, CodecError> {
    let bytes = postcard::to_allocvec(message)?;
    if bytes.len() > PACKET_BYTES_MAX { Err(CodecError::TooLong(bytes.len())) } else { Ok(bytes) }
}

/// Decodes a message; octets behind it are an error.
pub fn decode<'a, M: Deserialize<'a>>(bytes: &'a [u8]) -> Result<M, CodecError> {
    let (message, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(message) } else { Err(CodecError::Trailing(rest.len())) }
}

/// A packet that is no message.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Not the encoding of such a message.
    #[error("malformed control message: {0}")]
    Malformed(#[from] postcard::Error),
    /// Octets behind the message.
    #[error("{0} octets behind the control message")]
    Trailing(usize),
    /// Larger than a packet.
    #[error("control message of {0} octets is longer than a packet of {PACKET_BYTES_MAX}")]
    TooLong(usize),
}
