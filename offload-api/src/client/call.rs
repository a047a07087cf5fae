//! What a program can ask of an engine, and how it stands in a submission entry.

use bytemuck::{bytes_of, cast_slice_mut};

use super::Key;
use crate::Scheme;
use crate::wire::{FLAG_DIGEST, Operation, SUBMISSION_HEADER_BYTES, SubmissionHeader};

/// What a signature is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// The message; the engine hashes it.
    Message(&'a [u8]),
    /// The scheme's digest of a message; for keys whose policy grants raw digests.
    Digest(&'a [u8]),
}

/// One operation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Call<'a> {
    /// Echoes octets: measures the path, touches no key.
    Ping(&'a [u8]),
    /// Signs.
    Sign {
        /// With this key.
        key: &'a Key,
        /// In this scheme.
        scheme: Scheme,
        /// This.
        input: Input<'a>,
    },
    /// Gives the key's public half, DER `SubjectPublicKeyInfo`, as the engine has it.
    ExportPublic(&'a Key),
    /// Gives so many random octets.
    Random(u32),
}

/// Octets that a call's completion carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    /// As many.
    Exactly(usize),
    /// As many as fit.
    Any,
}

impl<'a> Call<'a> {
    /// The key that it needs.
    pub(super) fn key(&self) -> Option<&'a Key> {
        match *self {
            Self::Sign { key, .. } | Self::ExportPublic(key) => Some(key),
            Self::Ping(_) | Self::Random(_) => None,
        }
    }

    /// What its completion carries.
    pub(super) fn gives(&self) -> Gives {
        match *self {
            Self::Ping(payload) => Gives::Exactly(payload.len()),
            Self::Sign { key, .. } => Gives::Exactly(key.algorithm().signature_bytes()),
            Self::ExportPublic(_) => Gives::Any,
            Self::Random(bytes) => Gives::Exactly(bytes as usize),
        }
    }

    /// Octets of its payload.
    pub(super) fn payload_bytes(&self) -> usize {
        match *self {
            Self::Ping(payload) => payload.len(),
            Self::Sign { input: Input::Message(octets) | Input::Digest(octets), .. } => octets.len(),
            Self::ExportPublic(_) => 0,
            Self::Random(_) => size_of::<u32>(),
        }
    }

    /// Writes its entry. The key's handle and the budget are filled in when it is sent.
    pub(super) fn write(&self, tag: u64, entry: &mut Vec<u64>) {
        let number;
        let (operation, scheme, flags, payload): (_, _, _, &[u8]) = match *self {
            Self::Ping(payload) => (Operation::Ping, 0, 0, payload),
            Self::Sign { scheme, input: Input::Message(message), .. } => {
                (Operation::Sign, scheme as u16, 0, message)
            }
            Self::Sign { scheme, input: Input::Digest(digest), .. } => {
                (Operation::Sign, scheme as u16, FLAG_DIGEST, digest)
            }
            Self::ExportPublic(_) => (Operation::ExportPublic, 0, 0, &[]),
            Self::Random(bytes) => {
                number = bytes.to_le_bytes();
                (Operation::Random, 0, 0, &number)
            }
        };
        let header = SubmissionHeader {
            tag,
            operation: operation as u16,
            scheme,
            flags,
            length: length(payload),
            ..SubmissionHeader::default()
        };
        let bytes = SUBMISSION_HEADER_BYTES + payload.len();
        entry.clear();
        entry.resize(bytes.div_ceil(size_of::<u64>()), 0);
        let octets: &mut [u8] = cast_slice_mut(entry);
        octets[..SUBMISSION_HEADER_BYTES].copy_from_slice(bytes_of(&header));
        octets[SUBMISSION_HEADER_BYTES..bytes].copy_from_slice(payload);
    }
}

/// The payload fits an entry, as the caller made sure.
fn length(payload: &[u8]) -> u32 {
    u32::try_from(payload.len()).unwrap_or(u32::MAX)
}
