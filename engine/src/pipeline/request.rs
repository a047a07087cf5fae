//! What travels between the stages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keylane_api::wire::KeyHandle;
use keylane_api::{Scheme, Status};

use crate::audit::Reservation;
use crate::crypto::KeyContext;
use crate::directory::{KeyRecord, LiveGrant};
use crate::limits::{ENTRY_BYTES_MAX, WORKER_REQUESTS_MAX};
use crate::policy::Input;

/// Words of the largest entry.
pub const ENTRY_WORDS_MAX: usize = ENTRY_BYTES_MAX as usize / 8;

/// Private memory for one entry; owned by exactly one request or answer at a time.
pub type Buffer = Box<[u64; ENTRY_WORDS_MAX]>;

/// Buffers that are not in use. Never grows after start.
pub struct Buffers {
    free: Vec<Buffer>,
}

impl Default for Buffers {
    /// Two for each request that a worker may hold: the entry, and the answer that grows beside it.
    fn default() -> Self {
        Self { free: (0..2 * WORKER_REQUESTS_MAX).map(|_| Box::new([0; ENTRY_WORDS_MAX])).collect() }
    }
}

impl Buffers {
    /// A buffer with whatever its last user left in it; `None` when all are in use.
    pub fn take(&mut self) -> Option<Buffer> {
        self.free.pop()
    }

    /// Gives a buffer back.
    pub fn give(&mut self, buffer: Buffer) {
        self.free.push(buffer);
    }
}

/// Where a request came from and where its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Position of the channel among the worker's seats.
    pub seat: u32,
    /// Tells a later channel in the same position from this one.
    pub generation: u32,
    /// The client's tag.
    pub tag: u64,
}

/// What a request asks, validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Echo the payload.
    Ping,
    /// That many random octets.
    Random(usize),
    /// The public half.
    ExportPublic(KeyHandle),
    /// A signature of the payload.
    Sign {
        /// With which key.
        handle: KeyHandle,
        /// How.
        scheme: Scheme,
        /// The payload is a digest of the caller's, of the scheme's length.
        digest: bool,
    },
}

/// A submission, copied once and validated.
pub struct Request {
    /// Where it came from.
    pub origin: Origin,
    /// What it asks.
    pub call: Call,
    /// The entry.
    pub entry: Buffer,
    /// Octets of payload.
    pub length: usize,
    /// Octets of payload that the answer may have.
    pub room: usize,
    /// How long the client will still wait; zero is for ever.
    pub budget: Duration,
}

/// A signature that policy consents to, with its audit record reserved.
pub struct Admitted {
    /// Where the answer goes.
    pub origin: Origin,
    /// With which key.
    pub key: Arc<KeyRecord>,
    /// What the audit record will say.
    pub trail: Trail,
    /// How.
    pub scheme: Scheme,
    /// The payload is a digest.
    pub digest: bool,
    /// Its key's context, if it waited for it.
    pub prepared: Option<Arc<KeyContext>>,
    /// When the client gives up, if ever.
    pub expires: Option<Instant>,
    /// The entry.
    pub entry: Buffer,
    /// Octets of payload.
    pub length: usize,
}

impl Admitted {
    /// What is to be signed.
    pub fn input(&self) -> Input<'_> {
        input(&self.entry, self.length, self.digest)
    }

    /// Why it must not begin any more, if so: it has waited since it was admitted.
    pub fn lapsed(&self, now: Instant) -> Option<Status> {
        if self.expires.is_some_and(|at| now >= at) {
            // Nobody waits for it any more.
            return Some(Status::DeadlineUnmeetable);
        }
        // Another grant may show the key still: whoever resolves it again learns that.
        let gone = self.trail.grant.is_revoked() || self.key.is_deleted();
        gone.then_some(Status::StaleHandle)
    }
}

/// The payload of a submission entry as what is to be signed.
pub fn input(entry: &Buffer, length: usize, digest: bool) -> Input<'_> {
    let payload = payload(entry, length);
    if digest { Input::Digest(payload) } else { Input::Message(payload) }
}

/// A reserved audit record and what is known of it at admission.
pub struct Trail {
    /// The place.
    pub place: Reservation,
    /// The grant under which the request came.
    pub grant: Arc<LiveGrant>,
    /// SHA-256 of the payload.
    pub message_sha256: [u8; 32],
}

/// What goes back to the client.
pub struct Answer {
    /// To whom.
    pub origin: Origin,
    /// What became of the request.
    pub status: Status,
    /// Completion entry whose payload is in place, and the payload's octets.
    pub result: Option<(Buffer, usize)>,
}

impl Answer {
    /// An answer without a result.
    pub fn without(origin: Origin, status: Status) -> Self {
        Self { origin, status, result: None }
    }
}

/// Payload of a submission entry.
pub fn payload(entry: &Buffer, length: usize) -> &[u8] {
    let bytes: &[u8] = bytemuck::cast_slice(entry.as_slice());
    let start = keylane_api::wire::SUBMISSION_HEADER_BYTES;
    bytes.get(start..start + length).unwrap_or_default()
}

/// Place of the payload in a completion entry.
pub fn result_room(entry: &mut Buffer) -> &mut [u8] {
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(entry.as_mut_slice());
    bytes.split_at_mut(keylane_api::wire::COMPLETION_HEADER_BYTES).1
}
