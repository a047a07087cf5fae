//! Writing the audit log: one write with its fsync at a time, through the reactor.

use std::io;
use std::time::Instant;

use super::Source;
use crate::admin::status;
use crate::audit::{AuditLog, Record, Segment};
use crate::mailbox::Mailbox;
use crate::messages::KeeperJob;
use crate::os::reactor::{FileWrite, Reactor};

/// The audit log, and what the control thread keeps to write it.
pub(super) struct Log {
    audit: AuditLog,
    /// The segment that the keeper has still to be asked for.
    wanted: Option<u64>,
    /// The memory of the last write, for the next.
    buffer: Vec<u8>,
}

impl Log {
    pub(super) fn new(audit: AuditLog) -> Self {
        Self { audit, wanted: None, buffer: Vec::new() }
    }

    /// Starts the write that is due, and asks for the segment that will be needed.
    pub(super) fn drive(&mut self, reactor: &mut Reactor<Source>, keeper: &Mailbox<KeeperJob>, now: Instant) {
        if let Some(write) = self.audit.next_write(now) {
            let mut bytes = std::mem::take(&mut self.buffer);
            bytes.clear();
            bytes.extend_from_slice(write.bytes);
            let write = FileWrite { file: write.file, offset: write.offset, bytes };
            if let Err((_, error)) = reactor.write(write) {
                self.audit.written(Err(error), now);
            }
        }
        self.wanted = self.wanted.take().or_else(|| self.audit.needs_segment(now));
        if let Some(first_sequence) = self.wanted
            && keeper.send(KeeperJob::NextSegment { first_sequence }).is_ok()
        {
            self.wanted = None;
        }
    }

    /// A write is on the disk, or could not be made.
    pub(super) fn written(&mut self, write: FileWrite, outcome: io::Result<()>, now: Instant) {
        self.audit.written(outcome.map(|()| write.bytes.len()), now);
        self.buffer = write.bytes;
    }

    /// The keeper's answer about a segment.
    pub(super) fn segment(&mut self, segment: io::Result<Segment>, segments: u64, now: Instant) {
        self.audit.segment(segment, segments, now);
    }

    /// Adds a record of the engine's own.
    pub(super) fn append(&mut self, record: Record) {
        self.audit.append(record);
    }

    /// Whether there is no room for further records.
    pub(super) fn is_full(&self) -> bool {
        self.audit.is_full()
    }

    /// Whether every record is on disk.
    pub(super) fn is_durable(&self) -> bool {
        self.audit.is_durable()
    }

    /// What status shows of it.
    pub(super) fn status(&self) -> status::Audit {
        self.audit.status()
    }
}
