//! Between octets, words of 64 bits and digits of 52 bits. Positions are public, so shifts by variable counts are fine.

use crate::ecdsa::field::{Digits, digits};
use crate::lanes::{Block, DIGIT_BITS, DIGIT_MASK, Lanes};

/// Words of the widest number: 512 bits.
pub(crate) const WORDS: usize = 8;

/// Numbers of up to 512 bits, one per lane, the lowest word first.
pub(crate) type Words = [Block; WORDS];

/// Puts a big-endian number into a lane.
pub(crate) fn put(octets: &[u8], words: &mut Words, lane: usize) {
    let mut chunks = octets.rchunks_exact(8);
    for word in words {
        word.0[lane] = chunks.next().map_or(0, |chunk| {
            let mut eight = [0; 8];
            eight.copy_from_slice(chunk);
            u64::from_be_bytes(eight)
        });
    }
}

/// Gets a big-endian number out of a lane.
pub(crate) fn get(words: &Words, lane: usize, octets: &mut [u8]) {
    for (chunk, word) in octets.rchunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.0[lane].to_be_bytes());
    }
}

/// N digits of a number, from digit `first` on.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "below 64")]
pub(crate) fn to_digits<L: Lanes, const N: usize>(words: &Words, first: usize) -> Digits<L, N> {
    digits!(j => {
        let bit = (first + j) * DIGIT_BITS as usize;
        let (at, shift) = (bit / 64, (bit % 64) as u32);
        let mut digit = L::splat(0);
        if at < WORDS {
            digit = L::load(&words[at]).shr_by(shift);
        }
        if at + 1 < WORDS && shift > 64 - DIGIT_BITS {
            digit = digit.or(L::load(&words[at + 1]).shl_by(64 - shift));
        }
        digit.and(L::splat(DIGIT_MASK))
    })
}

/// The words of clean digits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "below 64")]
pub(crate) fn to_words<L: Lanes, const N: usize>(digits: &Digits<L, N>, words: &mut Words) {
    for (number, word) in words.iter_mut().enumerate() {
        let bit = number * 64;
        let (at, shift) = (bit / DIGIT_BITS as usize, (bit % DIGIT_BITS as usize) as u32);
        let mut found = L::splat(0);
        if at < N {
            found = digits[at].shr_by(shift);
        }
        if at + 1 < N {
            found = found.or(digits[at + 1].shl_by(DIGIT_BITS - shift));
        }
        if at + 2 < N && 2 * DIGIT_BITS - shift < 64 {
            found = found.or(digits[at + 2].shl_by(2 * DIGIT_BITS - shift));
        }
        found.store(word);
    }
}
