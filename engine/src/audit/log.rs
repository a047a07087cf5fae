//! The control thread's side: collects records, hands out one write at a time, changes segments.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::segment::{SEGMENT_RECORDS, record_offset};
use super::{AuditRing, Record, Segment};
use crate::admin::status;
use crate::limits::AUDIT_FLUSH_INTERVAL;

/// Records of one write: on their way to the disk while the rings fill again.
pub(super) const WRITE_RECORDS: usize = 65_536;
/// The next segment is asked for when this part of the current one is left.
const NEXT_WHEN_LEFT: u64 = SEGMENT_RECORDS / 2;
/// How long after a failure the log tries again.
const RETRY: Duration = Duration::from_millis(500);

/// Collects the workers' records and says what to write where. Does no I/O itself.
pub struct AuditLog {
    current: Segment,
    next: Option<Segment>,
    next_asked: bool,
    retry_at: Option<Instant>,
    rings: Vec<Arc<AuditRing>>,
    own: VecDeque<Record>,
    buffer: Vec<Record>,
    in_flight: bool,
    flush_at: Option<Instant>,
    full: Arc<AtomicBool>,
    durable_records: u64,
    segments: u64,
    /// The newest epoch record: what the next segment begins with.
    epoch: Option<Record>,
}

/// One write that must reach the disk, followed by an fsync.
pub struct AuditWrite<'a> {
    /// The segment.
    pub file: Arc<File>,
    /// Where in it.
    pub offset: u64,
    /// What; stays in place until [`AuditLog::written`].
    pub bytes: &'a [u8],
}

impl AuditLog {
    /// A log that goes on in `current`, then in `next`; `segments` are on disk now. `full` is shared with the rings.
    pub fn new(
        current: Segment,
        next: Option<Segment>,
        segments: usize,
        rings: Vec<Arc<AuditRing>>,
        full: Arc<AtomicBool>,
    ) -> Self {
        Self {
            current,
            next,
            next_asked: false,
            retry_at: None,
            rings,
            own: VecDeque::new(),
            buffer: Vec::with_capacity(WRITE_RECORDS),
            in_flight: false,
            flush_at: None,
            full,
            durable_records: 0,
            segments: segments as u64,
            epoch: None,
        }
    }

    /// Adds a record of the engine's own; it is written with the next batch.
    pub fn append(&mut self, record: Record) {
        if record.witnessed_epoch().is_some() {
            self.epoch = Some(record);
        }
        self.own.push_back(record);
        self.flush_at = None;
    }

    /// The write to start now, if one is due and none is in flight.
    pub fn next_write(&mut self, now: Instant) -> Option<AuditWrite<'_>> {
        let is_early = self.flush_at.is_some_and(|at| now < at) && !self.is_pressing();
        if self.in_flight || is_early {
            return None;
        }
        self.change_segment();
        self.collect();
        if self.buffer.is_empty() {
            return None;
        }
        self.in_flight = true;
        self.flush_at = Some(now + AUDIT_FLUSH_INTERVAL);
        Some(AuditWrite {
            file: Arc::clone(&self.current.file),
            offset: record_offset(self.current.records),
            bytes: bytemuck::cast_slice(&self.buffer),
        })
    }

    /// What became of the write: octets written and fsynced, or why not. A failed one is tried again; nothing is lost.
    pub fn written(&mut self, outcome: io::Result<usize>, now: Instant) {
        self.in_flight = false;
        match outcome {
            Ok(bytes) if bytes == self.buffer.len() * Record::BYTES => {
                self.current.records += self.buffer.len() as u64;
                self.durable_records += self.buffer.len() as u64;
                self.buffer.clear();
                self.set_full(false);
            }
            // A short write is repeated whole: the same octets to the same place.
            Ok(_) => self.flush_at = Some(now),
            Err(cause) => {
                tracing::error!(%cause, "audit log: cannot write; private-key operations are refused until it can");
                self.set_full(true);
                self.flush_at = Some(now + RETRY);
            }
        }
    }

    /// First sequence number of the segment that the keeper must create now, if it must; asked once.
    pub fn needs_segment(&mut self, now: Instant) -> Option<u64> {
        let left = SEGMENT_RECORDS - self.current.records;
        let wanted = self.next.is_none() && !self.next_asked && left <= NEXT_WHEN_LEFT;
        if !wanted || self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        self.next_asked = true;
        Some(self.current.first_sequence + SEGMENT_RECORDS)
    }

    /// The keeper's answer to [`needs_segment`](Self::needs_segment), with the number of segments on disk.
    pub fn segment(&mut self, outcome: io::Result<Segment>, segments: u64, now: Instant) {
        self.next_asked = false;
        self.segments = segments;
        match outcome {
            Ok(segment) => self.next = Some(segment),
            Err(cause) => {
                tracing::error!(%cause, "audit log: no further segment");
                self.retry_at = Some(now + RETRY);
            }
        }
    }

    /// Whether there is no room for further records, as far as is known.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Whether every record so far is on disk.
    pub fn is_durable(&self) -> bool {
        !self.in_flight
            && self.buffer.is_empty()
            && self.own.is_empty()
            && self.rings.iter().all(|ring| ring.is_empty())
    }

    /// What `keylane status` shows of it.
    pub fn status(&self) -> status::Audit {
        status::Audit {
            next_sequence: self.current.first_sequence + self.current.records,
            durable_records: self.durable_records,
            segments: self.segments,
            refused_full: 0,
        }
    }

    /// Not while the log is full: then writing waits for its next try.
    fn is_pressing(&self) -> bool {
        !self.full.load(Ordering::Relaxed) && self.rings.iter().any(|ring| ring.is_pressing())
    }

    fn change_segment(&mut self) {
        if self.current.records < SEGMENT_RECORDS {
            return;
        }
        match self.next.take() {
            Some(next) => {
                self.current = next;
                // The segment was made some time ago: whoever starts from it must know the epoch of now.
                if let Some(epoch) = self.epoch {
                    self.own.push_front(epoch);
                }
                self.set_full(false);
            }
            None => self.set_full(true),
        }
    }

    fn collect(&mut self) {
        let room = SEGMENT_RECORDS - self.current.records;
        let limit = WRITE_RECORDS.min(usize::try_from(room).unwrap_or(usize::MAX));
        let (own, rings) = (&mut self.own, &self.rings);
        let waiting = std::iter::from_fn(|| own.pop_front()).chain(rings.iter().flat_map(|ring| {
            // Bounded: a worker that records as fast as this reads must not keep the others waiting.
            std::iter::from_fn(|| ring.take()).take(WRITE_RECORDS / rings.len().max(1))
        }));
        // What is in the buffer already is a write that failed; it goes first, and again.
        let wanted = limit.saturating_sub(self.buffer.len());
        self.buffer.extend(waiting.take(wanted));
    }

    fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }
}
