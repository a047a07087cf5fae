//! Numbers of 20 to 80 digits: one per lane side by side ([`Number`]), or one alone ([`Digits`]).

use zeroize::Zeroize;

use super::block::LIMB;
use crate::lanes::{Block, DIGIT_BITS, DIGIT_MASK};

/// Ten digits of eight numbers.
pub(super) type Limb = [Block; LIMB];

/// Eight numbers of ten times `LIMBS` digits, lowest first.
///
/// *Loose*: only bits 0..52 of a word count, which is all that a multiplication reads. *Settled*: the other bits are
/// zero. What a multiplication gives is loose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Number<const LIMBS: usize>(pub(super) [Limb; LIMBS]);

/// One number of ten times `LIMBS` digits, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Zeroize)]
pub(super) struct Digits<const LIMBS: usize>(pub(super) [[u64; LIMB]; LIMBS]);

impl<const LIMBS: usize> Number<LIMBS> {
    pub(super) const ZERO: Self = Self([[Block([0; 8]); LIMB]; LIMBS]);

    /// Every digit.
    pub(super) fn blocks(&self) -> &[Block] {
        self.0.as_flattened()
    }

    /// Every digit.
    pub(super) fn blocks_mut(&mut self) -> &mut [Block] {
        self.0.as_flattened_mut()
    }

    /// Puts a number into a lane.
    pub(super) fn set_lane(&mut self, lane: usize, digits: &Digits<LIMBS>) {
        for (block, &digit) in self.blocks_mut().iter_mut().zip(digits.0.as_flattened()) {
            block.0[lane] = digit;
        }
    }

    /// The number in a lane.
    pub(super) fn lane(&self, lane: usize) -> Digits<LIMBS> {
        let mut digits = Digits::ZERO;
        for (digit, block) in digits.0.as_flattened_mut().iter_mut().zip(self.blocks()) {
            *digit = block.0[lane] & DIGIT_MASK;
        }
        digits
    }
}

impl<const LIMBS: usize> Digits<LIMBS> {
    pub(super) const ZERO: Self = Self([[0; LIMB]; LIMBS]);

    /// A number of one digit.
    pub(super) fn small(digit: u64) -> Self {
        let mut digits = Self::ZERO;
        digits.0[0][0] = digit;
        digits
    }

    /// Reads big-endian octets, which must fit.
    pub(super) fn from_octets(octets: &[u8]) -> Self {
        let mut digits = Self::ZERO;
        for (place, digit) in digits.0.as_flattened_mut().iter_mut().enumerate() {
            let bit = place * DIGIT_BITS as usize;
            *digit = word_at(octets, bit / 8) >> (bit % 8) & DIGIT_MASK;
        }
        digits
    }

    /// Writes big-endian octets; what does not fit is lost.
    pub(super) fn write_octets(&self, octets: &mut [u8]) {
        let digits = self.0.as_flattened();
        let digit = |place: usize| digits.get(place).copied().unwrap_or(0);
        for (place, octet) in octets.iter_mut().rev().enumerate() {
            let (at, shift) = (8 * place / DIGIT_BITS as usize, 8 * place % DIGIT_BITS as usize);
            let word = digit(at) >> shift | digit(at + 1) << (DIGIT_BITS as usize - shift);
            *octet = word.to_le_bytes()[0];
        }
    }

    /// Length in bits. The branches tell only the length.
    pub(super) fn bits(&self) -> usize {
        let digits = self.0.as_flattened();
        let top = digits.iter().rposition(|&digit| digit != 0);
        top.map_or(0, |top| (top + 1) * DIGIT_BITS as usize + 64 - digits[top].leading_zeros() as usize - 52)
    }

    /// Whether the lowest bit is set.
    pub(super) fn is_odd(&self) -> bool {
        self.0[0][0] & 1 == 1
    }
}

/// Eight octets, little-endian, from the `from`th lowest of a big-endian number.
pub(super) fn word_at(octets: &[u8], from: usize) -> u64 {
    let end = octets.len().saturating_sub(from);
    let mut word = [0; 8];
    let have = &octets[end.saturating_sub(8)..end];
    word[8 - have.len()..].copy_from_slice(have);
    u64::from_be_bytes(word)
}
