//! The audit log: one record for every private-key operation, and for every act of the engine itself.
//!
//! A worker *reserves* a record before an operation runs and *fills* it before the answer is published
//! ([`AuditRing`]). The control thread collects the rings into segments and fsyncs them every
//! [`crate::limits::AUDIT_FLUSH_INTERVAL`] ([`AuditLog`]); the keeper creates and prunes segments ([`Segment`]). A
//! crash loses at most what stood in the rings and in one write ([`lost_max`]); the next start says so with a
//! [`Record::gap`].

mod log;
mod record;
mod ring;
mod segment;

pub use log::{AuditLog, AuditWrite};
pub use record::Record;
pub(crate) use record::now_ns;
pub use ring::{AuditRing, Reservation};
pub use segment::{Archive, Newest, Segment, Witness};

/// Records that a crash can lose with so many workers: their rings, and one write that was not yet on the disk. (Of the
/// engine's own records a handful more.)
pub fn lost_max(workers: usize) -> u64 {
    (workers * crate::limits::AUDIT_RING_RECORDS + log::WRITE_RECORDS) as u64
}

#[cfg(test)]
mod tests;
