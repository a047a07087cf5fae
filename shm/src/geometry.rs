//! Sizes of a channel's rings, and where things lie in its regions.

use crate::cursor::Cursor;
use crate::memory::Layout;

/// Entries of a ring, smallest and largest.
const ENTRIES: core::ops::RangeInclusive<u32> = 8..=4_096;
/// Octets of an entry, largest.
const ENTRY_BYTES_MAX: u32 = 4_096;
/// Octets that an entry is a multiple of: a cache line, so that no two entries share one.
const ENTRY_BYTES_UNIT: u32 = 64;
/// Octets of a word.
const WORD_BYTES: u32 = 8;

/// Sizes of a channel's two rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    entries: u32,
    submission_bytes: u32,
    completion_bytes: u32,
}

impl Geometry {
    /// Rings of `entries` entries each (a power of two, 8 to 4,096), with entries of that many octets (multiples of
    /// 64, up to 4,096).
    pub fn new(entries: u32, submission_bytes: u32, completion_bytes: u32) -> Result<Self, GeometryError> {
        if !entries.is_power_of_two() || !ENTRIES.contains(&entries) {
            return Err(GeometryError::Entries(entries));
        }
        for bytes in [submission_bytes, completion_bytes] {
            if bytes == 0 || bytes > ENTRY_BYTES_MAX || !bytes.is_multiple_of(ENTRY_BYTES_UNIT) {
                return Err(GeometryError::EntryBytes(bytes));
            }
        }
        Ok(Self { entries, submission_bytes, completion_bytes })
    }

    /// Entries of each ring.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Octets of a submission entry.
    pub fn submission_bytes(&self) -> u32 {
        self.submission_bytes
    }

    /// Octets of a completion entry.
    pub fn completion_bytes(&self) -> u32 {
        self.completion_bytes
    }

    /// The smallest rings that can be full, half full and empty.
    #[cfg(loom)]
    pub(crate) fn of_model() -> Self {
        Self { entries: 2, submission_bytes: 2 * WORD_BYTES, completion_bytes: 2 * WORD_BYTES }
    }

    pub(crate) fn submission(&self) -> RingShape {
        RingShape { entries: self.entries, entry_words: self.submission_bytes / WORD_BYTES }
    }

    pub(crate) fn completion(&self) -> RingShape {
        RingShape { entries: self.entries, entry_words: self.completion_bytes / WORD_BYTES }
    }
}

/// Sizes of one ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingShape {
    pub(crate) entries: u32,
    pub(crate) entry_words: u32,
}

impl RingShape {
    /// What its region holds.
    pub(crate) fn layout(self) -> Layout {
        Layout { lines: CHANNEL_LINES, words: self.entries as usize * self.entry_words as usize }
    }
}

/// Lines at the start of either region of a channel. Both are laid out alike; each is written by one side only.
pub(crate) const CHANNEL_LINES: usize = 3;
/// Line of the tail of the ring in this region.
pub(crate) const TAIL: usize = 0;
/// Line of the head of the ring in the other region.
pub(crate) const HEAD: usize = 1;
/// In the submission region: line of the completion tail beyond which the client waits.
pub(crate) const SLEEP: usize = 2;
/// In the completion region: line of the worker that owns the channel.
pub(crate) const OWNER: usize = 2;
/// What the lines of a new region hold: empty rings, an awake client, and an owner that
/// no flag page knows, so that it is always rung.
pub(crate) const CHANNEL_LINES_FIRST: [u32; CHANNEL_LINES] =
    [Cursor::START.raw(), Cursor::START.raw(), Cursor::START.previous().raw()];

/// A geometry that no channel can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// Not a power of two, too few or too many.
    #[error("{0} entries: must be a power of two from 8 to 4096")]
    Entries(u32),
    /// Not a multiple of 64, none or too many.
    #[error("{0} octets an entry: must be a multiple of 64 up to 4096")]
    EntryBytes(u32),
}
