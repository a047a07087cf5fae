//! One region as this process sees it: lines, then words. The only place that turns addresses into atomics.

use crate::sync::{SharedU32, SharedU64};

/// A word with a pair of cache lines for itself: neither a neighbour nor the adjacent-line prefetcher makes two
/// sides fight over it.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Line(SharedU32);

impl Line {
    pub(crate) fn word(&self) -> &SharedU32 {
        &self.0
    }
}

/// How many lines and words a region holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) lines: usize,
    pub(crate) words: usize,
}

#[cfg(not(loom))]
pub(crate) use mapped::Memory;
#[cfg(loom)]
pub(crate) use modelled::Memory;

impl Memory {
    /// The word of a line.
    pub(crate) fn line(&self, index: usize) -> &SharedU32 {
        self.lines()[index].word()
    }
}

#[cfg(not(loom))]
mod mapped {
    use core::slice;
    use std::io;

    use memmap2::{Advice, MmapRaw};
    use rustix::mm::{Advice as LinuxAdvice, MprotectFlags, madvise, mprotect};

    use super::{Layout, Line, SharedU64};

    impl Layout {
        /// Octets of the region.
        pub(crate) const fn bytes(self) -> usize {
            self.lines * size_of::<Line>() + self.words * size_of::<SharedU64>()
        }
    }

    /// A mapping that lives as long as this value. Whether it is writable is its maker's knowledge: rings store only
    /// to regions of their own side.
    #[derive(Debug)]
    pub(crate) struct Memory {
        map: MmapRaw,
        layout: Layout,
    }

    impl Memory {
        /// Views a mapping. It must stay backed for as long as it is mapped: its size is sealed against shrinking.
        ///
        /// # Panics
        /// When the mapping is shorter than the layout.
        pub(crate) fn new(map: MmapRaw, layout: Layout) -> Self {
            assert!(map.len() >= layout.bytes(), "the mapping covers its layout");
            Self { map, layout }
        }

        /// Tells Linux how the mapping is used.
        pub(crate) fn advise(&self, advice: Advice) -> io::Result<()> {
            self.map.advise(advice)
        }

        /// Gives the region's pages back to Linux, whoever else has it mapped or open. They read as zeros from now on;
        /// what a peer writes to them afterwards is the peer's memory. The first page stays: it holds the lines, which a
        /// peer may still be looking at.
        ///
        /// # Errors
        /// What Linux says: the region was not mapped from a writable descriptor, or writing is sealed off.
        pub(crate) fn release_pages(&self) -> io::Result<()> {
            let first = rustix::param::page_size();
            let Some(bytes) = self.map.len().checked_sub(first).filter(|&bytes| bytes > 0) else {
                return Ok(());
            };
            let start = self.map.as_mut_ptr().wrapping_add(first).cast();
            // SAFETY: a part of our own mapping, which stays mapped. Linux wants it writable; as before nobody writes
            // through it but by the atomics of its own side.
            unsafe { mprotect(start, bytes, MprotectFlags::READ | MprotectFlags::WRITE)? };
            // SAFETY: as above; zeros are valid words, and another process could have written them.
            unsafe { madvise(start, bytes, LinuxAdvice::LinuxRemove)? };
            Ok(())
        }

        /// The lines at its start.
        pub(crate) fn lines(&self) -> &[Line] {
            // SAFETY: `new` checked the length; a mapping is page-aligned; zeros and any other bytes are valid lines;
            // a `Line` is touched only through its atomic, so the peer's writes are no data race. Needed because
            // only a pointer leads to memory that another process shares.
            unsafe { slice::from_raw_parts(self.map.as_ptr().cast(), self.layout.lines) }
        }

        /// The words behind them.
        pub(crate) fn words(&self) -> &[SharedU64] {
            let start = self.lines().as_ptr_range().end;
            // SAFETY: as in `lines`; lines are a multiple of 128 octets, so words follow aligned.
            unsafe { slice::from_raw_parts(start.cast(), self.layout.words) }
        }
    }
}

#[cfg(loom)]
mod modelled {
    use super::{Layout, Line, SharedU32, SharedU64};

    /// A region of loom's atomics.
    #[derive(Debug)]
    pub(crate) struct Memory {
        lines: Box<[Line]>,
        words: Box<[SharedU64]>,
    }

    impl Memory {
        /// A region whose first lines hold `first`, and everything else zero.
        pub(crate) fn new(layout: Layout, first: &[u32]) -> Self {
            let line = |index: usize| Line(SharedU32::new(first.get(index).copied().unwrap_or(0)));
            Self {
                lines: (0..layout.lines).map(line).collect(),
                words: (0..layout.words).map(|_| SharedU64::new(0)).collect(),
            }
        }

        pub(crate) fn lines(&self) -> &[Line] {
            &self.lines
        }

        pub(crate) fn words(&self) -> &[SharedU64] {
            &self.words
        }
    }
}
