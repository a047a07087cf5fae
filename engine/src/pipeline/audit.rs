//! Stage 7: fills the reserved record, before the completion is published.

use std::sync::Arc;
use std::time::Instant;

use keylane_api::Status;

use super::refusals::{self, Refusals};
use super::request::{Admitted, Answer, Buffers};
use crate::admin::GrantId;
use crate::audit::{AuditRing, Record, Reservation, now_ns};

/// The worker's end of the audit log.
pub struct Auditor {
    ring: Arc<AuditRing>,
    reserved: usize,
    now: Instant,
    now_ns: u64,
    pressing: bool,
    refusals: Refusals,
}

impl Auditor {
    /// Writes to this ring.
    pub fn new(ring: Arc<AuditRing>) -> Self {
        Self {
            ring,
            reserved: 0,
            now: Instant::now(),
            now_ns: now_ns(),
            pressing: false,
            refusals: Refusals::default(),
        }
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

    /// Reads the clock, once for what is taken in or run together.
    pub fn tick(&mut self) {
        self.now = Instant::now();
        self.now_ns = now_ns();
    }

    /// The time of the last [`tick`](Self::tick).
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Whether a refusal under this grant is recorded by itself; beyond a rate refusals are counted.
    pub fn records_refusal(&mut self, grant: GrantId) -> bool {
        self.refusals.records(grant, self.now)
    }

    /// Records how many refusals were only counted, once their second is over or when the worker is about to stop.
    pub fn settle_refusals(&mut self, stopping: bool) {
        if self.refusals.is_empty() {
            return;
        }
        self.tick();
        let Self { ring, reserved, now, refusals, .. } = self;
        let until = if stopping { *now + refusals::WINDOW } else { *now };
        refusals.settle(until, |grant, count| {
            let place = ring.reserve(reserved);
            place.map(|place| ring.fill(reserved, place, Record::refusals(grant.0, count))).is_some()
        });
    }

    /// Fills the record of an operation and gives its place back to the log.
    pub fn record(&mut self, admitted: Admitted, status: Status, buffers: &mut Buffers) {
        let Admitted { key, trail, scheme, digest, entry, .. } = admitted;
        buffers.give(entry);
        let record = Record {
            time_ns: self.now_ns,
            key: key.key.0,
            slot: key.slot.0,
            grant: trail.grant.id().0,
            mechanism: scheme as u16,
            verdict: status as u16,
            flags: if digest { Record::FLAG_DIGEST } else { 0 },
            message_sha256: trail.message_sha256,
        };
        self.ring.fill(&mut self.reserved, trail.place, record);
    }

    /// Records that an admitted operation gets no result, or counts it, and makes the answer that says so.
    pub fn refused(&mut self, admitted: Admitted, status: Status, buffers: &mut Buffers) -> Answer {
        let origin = admitted.origin;
        if self.records_refusal(admitted.trail.grant.id()) {
            self.record(admitted, status, buffers);
        } else {
            buffers.give(admitted.entry);
            self.ring.give_back(&mut self.reserved, admitted.trail.place);
        }
        Answer::without(origin, status)
    }
}
