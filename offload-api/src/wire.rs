//! Entries of the rings: plain old data, little-endian, of fixed size.
//!
//! A submission entry is a [`SubmissionHeader`] and then its payload; a completion entry a [`CompletionHeader`] and
//! then its payload. Both are copied out of shared memory once, word by word, before anything looks at them.

use bytemuck::{Pod, Zeroable};

/// Versions of the entries' layout that this build speaks, oldest and newest.
pub const ABI: AbiRange = AbiRange { min: 1, max: 1 };

/// A range of ABI versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AbiRange {
    /// Oldest version spoken.
    pub min: u16,
    /// Newest version spoken.
    pub max: u16,
}

impl AbiRange {
    /// The newest version that both ranges hold.
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

/// What a submission asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum Operation {
    /// Echo the payload: measures the path, touches no key.
    Ping = 1,
    /// Sign the payload with the key.
    Sign = 2,
    /// Return the key's public half as a DER `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    ExportPublic = 3,
    /// Return random octets; the payload is their number as a `u32`.
    Random = 4,
}

impl Operation {
    /// The operation with this code, if the engine knows it.
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            1 => Some(Self::Ping),
            2 => Some(Self::Sign),
            3 => Some(Self::ExportPublic),
            4 => Some(Self::Random),
            _ => None,
        }
    }
}

/// Flag of a [`SubmissionHeader`]: the payload is a digest made by the caller, not a message.
pub const FLAG_DIGEST: u16 = 1;

/// A key as a session knows it. Means nothing in another session, and nothing after an engine restart.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable, serde::Serialize, serde::Deserialize,
)]
#[repr(C)]
pub struct KeyHandle {
    /// The session that resolved it.
    pub session: u32,
    /// Position in the session's table.
    pub index: u32,
    /// How often that position has been used before.
    pub generation: u32,
    /// Zero.
    pub reserved: u32,
}

/// Start of a submission entry; 40 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SubmissionHeader {
    /// Chosen by the client, echoed in the completion.
    pub tag: u64,
    /// The key, all zero where the operation needs none.
    pub key: KeyHandle,
    /// An [`Operation`].
    pub operation: u16,
    /// A [`crate::Scheme`], zero where the operation needs none.
    pub scheme: u16,
    /// [`FLAG_DIGEST`] or zero.
    pub flags: u16,
    /// Zero.
    pub reserved: u16,
    /// Octets of payload.
    pub length: u32,
    /// Microseconds that the client will still wait, zero for no limit.
    pub budget_us: u32,
}

/// Start of a completion entry; 24 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CompletionHeader {
    /// The submission's tag.
    pub tag: u64,
    /// A [`crate::Status`].
    pub status: u16,
    /// Zero.
    pub flags: u16,
    /// Octets of payload: the signature, public key, random octets or echo. Zero unless the status is `Ok`.
    pub length: u32,
    /// Zero.
    pub reserved: u64,
}

/// Octets of a [`SubmissionHeader`].
pub const SUBMISSION_HEADER_BYTES: usize = size_of::<SubmissionHeader>();
/// Octets of a [`CompletionHeader`].
pub const COMPLETION_HEADER_BYTES: usize = size_of::<CompletionHeader>();

/// Entry sizes that fit every TLS server signature: 201 octets of TLS 1.2 input with a P-521 point, and an RSA-4096
/// public key (550 octets) or signature (512).
pub const SUBMISSION_BYTES_DEFAULT: u32 = 256;
/// See [`SUBMISSION_BYTES_DEFAULT`].
pub const COMPLETION_BYTES_DEFAULT: u32 = 640;

const _: () = {
    assert!(SUBMISSION_HEADER_BYTES == 40 && COMPLETION_HEADER_BYTES == 24);
    assert!(SUBMISSION_BYTES_DEFAULT as usize - SUBMISSION_HEADER_BYTES >= 201);
    assert!(COMPLETION_BYTES_DEFAULT as usize - COMPLETION_HEADER_BYTES >= 550);
    // Entries are copied as words; the payload starts on one.
    assert!(SUBMISSION_HEADER_BYTES.is_multiple_of(8) && COMPLETION_HEADER_BYTES.is_multiple_of(8));
};
