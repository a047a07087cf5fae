//! A position in a ring: counts entries modulo 2^32, so that full and empty differ.

use crate::fault::CursorFault;

/// A wrapping count of entries. Those that this side holds are private; the peer's is only ever a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor(u32);

impl Cursor {
    /// Where both cursors of a new ring stand: just below the wrap, so that every run crosses it.
    pub(crate) const START: Self = Self(u32::MAX - 3);

    /// As it lies in shared memory.
    pub(crate) const fn raw(self) -> u32 {
        self.0
    }

    /// One entry further.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// One entry back.
    pub(crate) const fn previous(self) -> Self {
        Self(self.0.wrapping_sub(1))
    }

    /// Entries from here to what the peer claims; anything up to 2^32 if it lies behind.
    pub(crate) const fn until(self, claim: u32) -> u32 {
        claim.wrapping_sub(self.0)
    }

    /// Entries from `earlier` to here.
    pub(crate) const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Position in a ring of a power of two entries.
    pub(crate) const fn index(self, entries: u32) -> usize {
        (self.0 & (entries - 1)) as usize
    }

    /// Follows the peer to `claim`, which is at most `reach` entries ahead if the peer is honest.
    pub(crate) const fn follow(self, claim: u32, reach: u32) -> Result<Self, CursorFault> {
        let advance = self.until(claim);
        if advance <= reach {
            Ok(Self(claim))
        } else if advance > u32::MAX / 2 {
            Err(CursorFault::Regressed { from: self.0, to: claim })
        } else {
            Err(CursorFault::Jumped { from: self.0, to: claim, reach })
        }
    }
}
