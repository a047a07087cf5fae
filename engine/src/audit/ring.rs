//! One worker's records that wait for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::queue::ArrayQueue;

use super::Record;
use crate::limits::AUDIT_RING_RECORDS;

/// Records of one worker on their way to the control thread; bounded, so that a crash loses a bounded number.
pub struct AuditRing {
    queue: ArrayQueue<Record>,
    /// Set by the control thread while the log itself has no room.
    full: Arc<AtomicBool>,
}

/// A place in the ring, kept for one record. Dropping it without filling it would leak the place.
#[must_use = "a reserved record must be filled"]
pub struct Reservation(());

impl AuditRing {
    /// An empty ring under a log whose lack of room `full` tells.
    pub fn new(full: Arc<AtomicBool>) -> Self {
        Self { queue: ArrayQueue::new(AUDIT_RING_RECORDS), full }
    }

    /// Keeps a place for one record; `None` when the ring or the log is full. `reserved` counts the worker's
    /// reservations that are not filled yet.
    pub fn reserve(&self, reserved: &mut usize) -> Option<Reservation> {
        let room = !self.full.load(Ordering::Relaxed) && self.queue.len() + *reserved < self.queue.capacity();
        room.then(|| {
            *reserved += 1;
            Reservation(())
        })
    }

    /// Gives a reserved place back.
    #[expect(clippy::needless_pass_by_value, reason = "a place is given back once")]
    pub fn give_back(&self, reserved: &mut usize, place: Reservation) {
        let Reservation(()) = place;
        *reserved -= 1;
    }

    /// Fills a reserved place.
    #[expect(clippy::needless_pass_by_value, reason = "a place is filled once")]
    pub fn fill(&self, reserved: &mut usize, place: Reservation, record: Record) {
        let Reservation(()) = place;
        *reserved -= 1;
        let pushed = self.queue.push(record);
        debug_assert!(pushed.is_ok(), "only the owner pushes, and it reserved this place");
    }

    /// Whether so many records wait that they should be written before their time.
    pub fn is_pressing(&self) -> bool {
        self.queue.len() >= AUDIT_RING_RECORDS / 2
    }

    /// The oldest record, for the control thread.
    pub fn take(&self) -> Option<Record> {
        self.queue.pop()
    }

    /// Whether no record waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
