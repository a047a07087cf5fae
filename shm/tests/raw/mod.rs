//! A region as a hostile client has it: a descriptor, a mapping, and no manners.

#![allow(clippy::unwrap_used, dead_code, reason = "shared by tests, each of which uses a part")]
#![allow(clippy::disallowed_types, reason = "a flag between a test's own threads")]

use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use memmap2::{MmapOptions, MmapRaw};

/// Tells a test's other thread to stop, however the test ends.
pub struct Stop<'a>(pub &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Line of the tail of the ring in this region.
pub const TAIL: usize = 0;
/// Line of the head of the ring in the other region.
pub const HEAD: usize = 1;
/// Line of the client's sleep word, in the submission region.
pub const SLEEP: usize = 2;
/// Octets of a line, and how many there are.
const LINE_BYTES: usize = 128;
const LINES: usize = 3;

/// A mapping of a whole region.
pub struct Raw {
    map: MmapRaw,
}

impl Raw {
    /// Maps it writable.
    pub fn writing(fd: &impl AsFd) -> Self {
        Self { map: MmapOptions::new().map_raw(fd.as_fd().as_raw_fd()).unwrap() }
    }

    /// Maps it read-only.
    pub fn reading(fd: &impl AsFd) -> Self {
        Self { map: MmapOptions::new().map_raw_read_only(fd.as_fd().as_raw_fd()).unwrap() }
    }

    /// The word of a line.
    pub fn line(&self, line: usize) -> u32 {
        let word = self.at::<u32>(line * LINE_BYTES);
        // SAFETY: `at` checked the bounds; the mapping is aligned. Volatile, because it is shared.
        unsafe { word.read_volatile() }
    }

    /// Overwrites the word of a line.
    pub fn set_line(&self, line: usize, value: u32) {
        let word = self.at::<u32>(line * LINE_BYTES).cast_mut();
        // SAFETY: as in `line`.
        unsafe { word.write_volatile(value) }
    }

    /// Overwrites a word of the ring.
    pub fn set_word(&self, index: usize, value: u64) {
        let word = self.at::<u64>(LINES * LINE_BYTES + index * 8).cast_mut();
        // SAFETY: as in `line`.
        unsafe { word.write_volatile(value) }
    }

    /// All words of the ring.
    pub fn words(&self) -> Vec<u64> {
        let count = (self.map.len() - LINES * LINE_BYTES) / 8;
        (0..count).map(|index| self.word(index)).collect()
    }

    fn word(&self, index: usize) -> u64 {
        let word = self.at::<u64>(LINES * LINE_BYTES + index * 8);
        // SAFETY: as in `line`.
        unsafe { word.read_volatile() }
    }

    fn at<T>(&self, offset: usize) -> *const T {
        assert!(offset + size_of::<T>() <= self.map.len() && offset.is_multiple_of(align_of::<T>()));
        self.map.as_ptr().wrapping_add(offset).cast()
    }
}
