//! Stage 7: fills the reserved record, before the completion is published.

use std::sync::Arc;

use keylane_api::Status;

use super::request::{Admitted, Answer, Buffers};
use crate::audit::{AuditRing, Record, Reservation, now_ns};

/// The worker's end of the audit log.
pub struct Auditor {
    ring: Arc<AuditRing>,
    reserved: usize,
    now_ns: u64,
    pressing: bool,
}

impl Auditor {
    /// Writes to this ring.
    pub fn new(ring: Arc<AuditRing>) -> Self {
        Self { ring, reserved: 0, now_ns: now_ns(), pressing: false }
    }

    /// Keeps a place for one record; `None` when the log has no room.
    pub fn reserve(&mut self) -> Option<Reservation> {
        self.ring.reserve(&mut self.reserved)
    }

    /// Whether the control thread must be told that the ring fills: once each time that it does.
    pub fn presses(&mut self) -> bool {
        let before = std::mem::replace(&mut self.pressing, self.ring.is_pressing());
        self.pressing && !before
    }

    /// Reads the clock, once for a batch.
    pub fn tick(&mut self) {
        self.now_ns = now_ns();
    }

    /// Fills the record of an operation and gives its place back to the log.
    pub fn record(&mut self, admitted: Admitted, status: Status, buffers: &mut Buffers) {
        let Admitted { key, trail, scheme, digest, entry, .. } = admitted;
        buffers.give(entry);
        let record = Record {
            time_ns: self.now_ns,
            key: key.key.0,
            slot: key.slot.0,
            grant: trail.grant.0,
            mechanism: scheme as u16,
            verdict: status as u16,
            flags: if digest { Record::FLAG_DIGEST } else { 0 },
            message_sha256: trail.message_sha256,
        };
        self.ring.fill(&mut self.reserved, trail.place, record);
    }

    /// Records that an admitted operation gets no result, and makes the answer that says so.
    pub fn refused(&mut self, admitted: Admitted, status: Status, buffers: &mut Buffers) -> Answer {
        let origin = admitted.origin;
        self.record(admitted, status, buffers);
        Answer::without(origin, status)
    }
}
