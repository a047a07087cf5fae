//! Size classes: multiples of 16 up to 128 bytes, then four to a doubling up to 8 KiB.

use super::{BLOCK_ALIGN, SLAB_BYTES};

#[expect(clippy::cast_possible_truncation, reason = "16 KiB")]
const SLAB_U32: u32 = SLAB_BYTES as u32;
/// Largest size that shares a slab with others, in bytes.
const BLOCK_MAX: usize = SLAB_BYTES / 2;
/// Classes of the first, evenly spaced part.
const SMALL: usize = 8;
const SMALL_MAX: usize = SMALL * BLOCK_ALIGN;
const DOUBLINGS: usize = (BLOCK_MAX / SMALL_MAX).ilog2() as usize;

/// How many classes there are.
pub(super) const CLASSES: usize = SMALL + 4 * DOUBLINGS;

const BYTES: [u32; CLASSES] = table();

#[expect(clippy::cast_possible_truncation, reason = "at most BLOCK_MAX")]
const fn table() -> [u32; CLASSES] {
    let mut bytes = [0; CLASSES];
    let mut index = 0;
    while index < CLASSES {
        bytes[index] = if index < SMALL {
            ((index + 1) * BLOCK_ALIGN) as u32
        } else {
            let (doubling, quarter) = ((index - SMALL) / 4, (index - SMALL) % 4);
            ((SMALL_MAX << doubling) / 4 * (5 + quarter)) as u32
        };
        index += 1;
    }
    bytes
}

/// One size class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class(u16);

impl Class {
    /// The smallest class whose blocks hold `bytes`; `None` if that takes slabs of its own.
    #[expect(clippy::cast_possible_truncation, reason = "an index below CLASSES")]
    pub(super) const fn of(bytes: usize) -> Option<Self> {
        let last = bytes.saturating_sub(1);
        if last < SMALL_MAX {
            Some(Self((last / BLOCK_ALIGN) as u16))
        } else if last < BLOCK_MAX {
            let doubling = (last / SMALL_MAX).ilog2() as usize;
            let quarter = last / ((SMALL_MAX / 4) << doubling) - 4;
            Some(Self((SMALL + 4 * doubling + quarter) as u16))
        } else {
            None
        }
    }

    /// The class with this code; `None` for what is no class.
    pub(super) const fn from_code(code: u16) -> Option<Self> {
        if (code as usize) < CLASSES { Some(Self(code)) } else { None }
    }

    pub(super) const fn code(self) -> u16 {
        self.0
    }

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }

    /// Bytes of a block.
    pub(super) const fn bytes(self) -> usize {
        BYTES[self.0 as usize] as usize
    }

    /// Blocks of a slab.
    pub(super) const fn blocks(self) -> u32 {
        SLAB_U32 / BYTES[self.0 as usize]
    }

    /// The block that holds the byte at `offset` of its slab.
    #[expect(clippy::cast_possible_truncation, reason = "an offset below SLAB_BYTES")]
    pub(super) const fn block_at(self, offset: usize) -> u32 {
        offset as u32 / BYTES[self.0 as usize]
    }
}
