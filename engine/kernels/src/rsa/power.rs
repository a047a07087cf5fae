//! Exponentiation with fixed windows, where lanes have different bases, exponents and moduli.

use zeroize::Zeroize;

use super::block::{LIMB, ten};
use super::faults::{self, Site};
use super::montgomery::{self, Modulus, Scratch};
use super::number::{Digits, Number, word_at};
use crate::lanes::{Block, Lanes};

/// Words of an exponent per ten digits of the modulus.
const WORDS: usize = 9;
/// Bits of such a word: a multiple of every window that is worth trying.
const WORD_BITS: usize = 60;
/// Bits of an exponent per ten digits of the modulus.
const BITS: usize = 512;

/// An exponent of a lane, lowest word first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Zeroize)]
pub(super) struct Exponent<const LIMBS: usize>(pub(super) [[u64; WORDS]; LIMBS]);

/// An exponent per lane.
#[derive(Clone, Copy)]
pub(super) struct Exponents<const LIMBS: usize>(pub(super) [[Block; WORDS]; LIMBS]);

impl<const LIMBS: usize> Exponent<LIMBS> {
    /// From a number of at most 512 bits per ten digits.
    pub(super) fn new(digits: &Digits<LIMBS>) -> Self {
        let mut octets = [[0; BITS / 8]; LIMBS];
        digits.write_octets(octets.as_flattened_mut());
        let mut words = [[0; WORDS]; LIMBS];
        for (place, word) in words.as_flattened_mut().iter_mut().enumerate() {
            let bit = place * WORD_BITS;
            *word = word_at(octets.as_flattened(), bit / 8) >> (bit % 8) & ((1 << WORD_BITS) - 1);
        }
        octets.zeroize();
        Self(words)
    }
}

impl<const LIMBS: usize> Exponents<LIMBS> {
    pub(super) const ZERO: Self = Self([[Block([0; 8]); WORDS]; LIMBS]);

    /// Puts an exponent into a lane.
    pub(super) fn set_lane(&mut self, lane: usize, exponent: &Exponent<LIMBS>) {
        for (block, &word) in self.0.as_flattened_mut().iter_mut().zip(exponent.0.as_flattened()) {
            block.0[lane] = word;
        }
    }

    /// The `at`th window of `BITS` bits, lowest first.
    fn window<const WINDOW: usize>(&self, at: usize) -> Block {
        let words = self.0.as_flattened();
        let (place, shift) = (at * WINDOW / WORD_BITS, at * WINDOW % WORD_BITS);
        Block(words[place].0.map(|word| word >> shift & ((1 << WINDOW) - 1)))
    }
}

/// What an exponentiation needs besides; `ENTRIES` is 2 to the bits of a window.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Table<const LIMBS: usize, const ENTRIES: usize> {
    entries: [Number<LIMBS>; ENTRIES],
    picked: Number<LIMBS>,
}

impl<const LIMBS: usize, const ENTRIES: usize> Table<LIMBS, ENTRIES> {
    pub(super) const ZERO: Self = Self { entries: [Number::ZERO; ENTRIES], picked: Number::ZERO };

    /// Fills the table: entry i becomes `base^i`.
    fn fill<L: Lanes>(
        &mut self,
        one: &Number<LIMBS>,
        base: &Number<LIMBS>,
        modulus: &Modulus<LIMBS>,
        scratch: &mut Scratch<LIMBS>,
    ) {
        self.entries[0] = *one;
        self.entries[1] = *base;
        for i in 2..ENTRIES {
            if i % 2 == 0 {
                self.entries[i] = self.entries[i / 2];
                montgomery::square::<L, LIMBS>(&mut self.entries[i], modulus, scratch);
            } else {
                self.entries[i] = self.entries[i - 1];
                montgomery::multiply::<L, LIMBS>(&mut self.entries[i], base, modulus, scratch);
            }
            faults::strike(Site::Table, self.entries[i].blocks_mut());
        }
    }

    /// Picks an entry per lane. Every entry is read in the same order, whatever the index.
    fn pick<L: Lanes>(&mut self, index: &Block) {
        let Self { entries, picked } = self;
        L::run(
            #[inline(always)]
            || {
                let index = L::load(index);
                for limb in 0..LIMBS {
                    let mut found = [L::splat(0); LIMB];
                    for (number, entry) in (0..).zip(entries.iter()) {
                        let here = index.equals(L::splat(number));
                        ten!(i => {
                            found[i] = L::select(here, L::load(&entry.0[limb][i]), found[i]);
                        });
                    }
                    ten!(i => { found[i].store(&mut picked.0[limb][i]); });
                }
            },
        );
    }

    /// `base ← base^exponent`, everything in Montgomery form, `one` being the form of one.
    pub(super) fn power<L: Lanes, const WINDOW: usize>(
        &mut self,
        base: &mut Number<LIMBS>,
        exponents: &Exponents<LIMBS>,
        one: &Number<LIMBS>,
        modulus: &Modulus<LIMBS>,
        scratch: &mut Scratch<LIMBS>,
    ) {
        const { assert!(ENTRIES == 1 << WINDOW && WORD_BITS.is_multiple_of(WINDOW)) };
        self.fill::<L>(one, base, modulus, scratch);
        let windows = (BITS * LIMBS).div_ceil(WINDOW);
        for at in (0..windows).rev() {
            let mut index = exponents.window::<WINDOW>(at);
            faults::strike(Site::Window, core::slice::from_mut(&mut index));
            self.pick::<L>(&index);
            if at == windows - 1 {
                *base = self.picked;
                continue;
            }
            for _ in 0..WINDOW {
                montgomery::square::<L, LIMBS>(base, modulus, scratch);
                faults::strike(Site::Step, base.blocks_mut());
            }
            montgomery::multiply::<L, LIMBS>(base, &self.picked, modulus, scratch);
            faults::strike(Site::Step, base.blocks_mut());
        }
    }
}

#[cfg(test)]
impl<const LIMBS: usize, const ENTRIES: usize> Table<LIMBS, ENTRIES> {
    /// Whether nothing but zeros is in it.
    pub(super) fn is_zero(&self) -> bool {
        self.entries.iter().all(|entry| *entry == Number::ZERO) && self.picked == Number::ZERO
    }
}
