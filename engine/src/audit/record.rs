//! One audit record: 64 octets, plain old data.

use std::time::{SystemTime, UNIX_EPOCH};

use bytemuck::{Pod, Zeroable};
use keylane_api::Status;

/// An audit record. Its sequence number is its segment's first plus its index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Record {
    /// Nanoseconds since the Unix epoch; zero only where nothing was written.
    pub time_ns: u64,
    /// The key; the store's epoch or a count in the engine's own records.
    pub key: u64,
    /// The slot.
    pub slot: u32,
    /// The grant under which the request came.
    pub grant: u32,
    /// TLS signature scheme, or one of the engine's own kinds (high octet 0xff).
    pub mechanism: u16,
    /// [`Status`] of the answer.
    pub verdict: u16,
    /// [`Record::FLAG_DIGEST`].
    pub flags: u32,
    /// SHA-256 of the message, or of the digest where the caller made one; the store's commitment in an epoch record.
    pub message_sha256: [u8; 32],
}

impl Record {
    /// Octets of a record.
    pub const BYTES: usize = size_of::<Self>();
    /// The caller made the digest.
    pub const FLAG_DIGEST: u32 = 1;

    const START: u16 = 0xff01;
    const STOP: u16 = 0xff02;
    const GAP: u16 = 0xff03;
    const EPOCH: u16 = 0xff04;
    const ROLLBACK_ACCEPTED: u16 = 0xff05;
    const REFUSALS: u16 = 0xff06;

    fn own(kind: u16, number: u64, commitment: [u8; 32]) -> Self {
        Self {
            time_ns: now_ns(),
            key: number,
            mechanism: kind,
            verdict: Status::Ok as u16,
            message_sha256: commitment,
            ..Self::default()
        }
    }

    /// The engine started; a crash of it loses at most `lost_max` records.
    pub fn start(lost_max: u64) -> Self {
        Self::own(Self::START, lost_max, [0; 32])
    }

    /// The engine stopped in good order: nothing was lost before this record.
    pub fn stop() -> Self {
        Self::own(Self::STOP, 0, [0; 32])
    }

    /// The engine had not stopped in good order: at most `lost_max` records before this one were lost.
    pub fn gap(lost_max: u64) -> Self {
        Self::own(Self::GAP, lost_max, [0; 32])
    }

    /// The store committed this epoch.
    pub fn epoch(epoch: u64, commitment: [u8; 32]) -> Self {
        Self::own(Self::EPOCH, epoch, commitment)
    }

    /// An administrator accepted a store of this epoch, older than the log had seen; it goes on above what was seen.
    pub fn rollback_accepted(epoch: u64) -> Self {
        Self::own(Self::ROLLBACK_ACCEPTED, epoch, [0; 32])
    }

    /// `count` more requests under this grant were refused than records of refusals are kept.
    pub fn refusals(grant: u32, count: u64) -> Self {
        Self { grant, ..Self::own(Self::REFUSALS, count, [0; 32]) }
    }

    /// Whether nothing was written here.
    pub fn is_empty(&self) -> bool {
        self.time_ns == 0
    }

    /// Whether the engine stopped in good order here.
    pub fn is_stop(&self) -> bool {
        self.mechanism == Self::STOP
    }

    /// What a crash of the engine that started here can lose, in records.
    pub fn lost_max(&self) -> Option<u64> {
        (self.mechanism == Self::START).then_some(self.key)
    }

    /// The store's epoch that this record witnesses.
    pub fn witnessed_epoch(&self) -> Option<u64> {
        (self.mechanism == Self::EPOCH).then_some(self.key)
    }
}

const _: () = assert!(Record::BYTES == 64);

/// Nanoseconds since the Unix epoch; at least 1, because zero means that nothing was written.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).max(1)
}
