//! Exponentiation with fixed windows, where lanes have different bases, exponents and moduli.

use zeroize::Zeroize;

use super::block::ten;
use super::faults::{self, Site};
use super::montgomery::{self, Modulus, Scratch};
use super::number::{Digits, Number, word_at};
use crate::lanes::{Block, Lanes, Mask};

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
    fn window(&self, at: usize) -> Block {
        let words = self.0.as_flattened();
        let (place, shift) = (at * WINDOW / WORD_BITS, at * WINDOW % WORD_BITS);
        Block(words[place].0.map(|word| word >> shift & ((1 << WINDOW) - 1)))
    }
}

/// Bits of a window. Five bits would save a fifth of the multiplications by table entries, and double the entries to pick
/// from and to keep near.
const WINDOW: usize = 4;
const ENTRIES: usize = 1 << WINDOW;

/// The powers of a base, in one table for every ten digits of the other factor: see [`montgomery::multiply_split`].
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Table<const LIMBS: usize> {
    /// `powers[k][e]` is base^e·2^(−520·STEP·(TABLES − 1 − k)), below 2n; of these tables the first `TABLES` are used.
    powers: [[Number<LIMBS>; ENTRIES]; LIMBS],
    /// The entry of each lane's window, out of each table.
    picked: [Number<LIMBS>; LIMBS],
    other: Number<LIMBS>,
}

/// The bits of a window: the lanes in which each is set.
type Bits = [Mask; WINDOW];

impl<const LIMBS: usize> Table<LIMBS> {
    pub(super) const ZERO: Self =
        Self { powers: [[Number::ZERO; ENTRIES]; LIMBS], picked: [Number::ZERO; LIMBS], other: Number::ZERO };

    fn fill<L: Lanes>(
        &mut self,
        one: &Number<LIMBS>,
        base: &Number<LIMBS>,
        modulus: &Modulus<LIMBS>,
        scratch: &mut Scratch<LIMBS>,
    ) {
        let powers = &mut self.powers[Self::TABLES - 1];
        powers[0] = *one;
        powers[1] = *base;
        for i in 2..ENTRIES {
            if i % 2 == 0 {
                powers[i] = powers[i / 2];
                montgomery::square::<L, LIMBS>(&mut powers[i], modulus, scratch);
            } else {
                powers[i] = powers[i - 1];
                montgomery::multiply::<L, LIMBS>(&mut powers[i], base, modulus, scratch);
            }
            faults::strike(Site::Table, powers[i].blocks_mut());
        }
        for k in (0..Self::TABLES - 1).rev() {
            self.powers[k] = self.powers[k + 1];
            for power in &mut self.powers[k] {
                for _ in 0..Self::STEP {
                    montgomery::shift::<L, LIMBS>(power, modulus, scratch);
                }
                faults::strike(Site::Table, power.blocks_mut());
            }
        }
    }

    /// Picks every digit of every lane's entry.
    fn pick_all<L: Lanes>(&mut self, index: &Block) {
        let Self { powers, picked, .. } = self;
        L::run(
            #[inline(always)]
            || {
                let bits = bits::<L>(index);
                for (powers, picked) in powers.iter().zip(picked).take(Self::TABLES) {
                    for (limb, to) in picked.0.iter_mut().enumerate() {
                        ten!(i => { pick::<L, LIMBS>(powers, limb, i, bits).store(&mut to[i]); });
                    }
                }
            },
        );
    }

    /// Squares, and picks ten digits at each of the first [`Self::PICKS`] reductions meanwhile: loads and selections use
    /// what the multiplications leave idle. `turn` counts the squarings of a window.
    pub(super) fn square_and_pick<L: Lanes>(
        &mut self,
        turn: usize,
        index: &Block,
        x: &mut Number<LIMBS>,
        modulus: &Modulus<LIMBS>,
        scratch: &mut Scratch<LIMBS>,
    ) {
        let Self { powers, picked, .. } = self;
        L::run(
            #[inline(always)]
            || {
                let bits = bits::<L>(index);
                montgomery::square_inline::<L, LIMBS>(
                    x,
                    modulus,
                    scratch,
                    #[inline(always)]
                    |c, i| {
                        if c < Self::PICKS {
                            // The last turn may have nothing left to pick, and picks the last again.
                            let at = (turn * Self::PICKS + c).min(Self::TABLES * LIMBS - 1);
                            let (k, limb) = (at / LIMBS, at % LIMBS);
                            pick::<L, LIMBS>(&powers[k], limb, i, bits).store(&mut picked[k].0[limb][i]);
                        }
                    },
                );
            },
        );
    }

    /// Tables, as measured: each further one makes [`montgomery::multiply_split`] shorter, until they no longer stay near.
    const TABLES: usize = match LIMBS {
        2 | 3 => LIMBS,
        _ => 1,
    };
    /// Tens of digits of the other factor that a table is for.
    const STEP: usize = LIMBS / Self::TABLES;
    /// Tens of digits to pick in each squaring of a window, so that all are picked in the end.
    const PICKS: usize = (Self::TABLES * LIMBS).div_ceil(WINDOW);

    /// `base ← base^exponent`, everything in Montgomery form, `one` being the form of one.
    pub(super) fn power<L: Lanes>(
        &mut self,
        base: &mut Number<LIMBS>,
        exponents: &Exponents<LIMBS>,
        one: &Number<LIMBS>,
        modulus: &Modulus<LIMBS>,
        scratch: &mut Scratch<LIMBS>,
    ) {
        const { assert!(WORD_BITS.is_multiple_of(WINDOW)) };
        self.fill::<L>(one, base, modulus, scratch);
        let windows = (BITS * LIMBS).div_ceil(WINDOW);
        let mut index = exponents.window(windows - 1);
        faults::strike(Site::Window, core::slice::from_mut(&mut index));
        self.pick_all::<L>(&index);
        *base = self.picked[Self::TABLES - 1];
        // The result goes to and fro between two places: copying what was just stored would wait for the store.
        let mut other = self.other;
        let (mut x, mut y) = (&mut *base, &mut other);
        for at in (0..windows - 1).rev() {
            let mut index = exponents.window(at);
            faults::strike(Site::Window, core::slice::from_mut(&mut index));
            for turn in 0..WINDOW {
                self.square_and_pick::<L>(turn, &index, x, modulus, scratch);
                faults::strike(Site::Step, x.blocks_mut());
            }
            montgomery::multiply_split::<L, LIMBS>(y, x, &self.picked[..Self::TABLES], modulus, scratch);
            core::mem::swap(&mut x, &mut y);
            faults::strike(Site::Step, x.blocks_mut());
        }
        // As many multiplications as windows but one: an odd number.
        const { assert!((BITS * LIMBS).div_ceil(WINDOW).is_multiple_of(2)) };
        *y = *x;
        crate::lanes::erase(other.blocks_mut());
    }
}

#[inline(always)]
fn bits<L: Lanes>(index: &Block) -> Bits {
    let index = L::load(index);
    core::array::from_fn(
        #[inline(always)]
        |bit| !index.and(L::splat(1 << bit)).is_zero(),
    )
}

/// A digit of each lane's entry. Every entry is read, in the same order, whatever the window: a tree of selections, walked
/// depth first so that it needs five registers.
#[inline(always)]
fn pick<L: Lanes, const LIMBS: usize>(
    powers: &[Number<LIMBS>; ENTRIES],
    limb: usize,
    digit: usize,
    bits: Bits,
) -> L {
    L::leaf(
        #[inline(always)]
        || {
            let of = Entries { powers, limb, digit, bits };
            L::select(bits[3], of.eight::<L>(8), of.eight::<L>(0))
        },
    )
}

/// A digit of every entry.
#[derive(Clone, Copy)]
struct Entries<'a, const LIMBS: usize> {
    powers: &'a [Number<LIMBS>; ENTRIES],
    limb: usize,
    digit: usize,
    bits: Bits,
}

impl<const LIMBS: usize> Entries<'_, LIMBS> {
    #[inline(always)]
    fn one<L: Lanes>(self, at: usize) -> L {
        L::load(&self.powers[at].0[self.limb][self.digit])
    }

    #[inline(always)]
    fn two<L: Lanes>(self, at: usize) -> L {
        let low = self.one::<L>(at);
        L::select(self.bits[0], self.one::<L>(at + 1), low)
    }

    #[inline(always)]
    fn four<L: Lanes>(self, at: usize) -> L {
        let low = self.two::<L>(at);
        L::select(self.bits[1], self.two::<L>(at + 2), low)
    }

    #[inline(always)]
    fn eight<L: Lanes>(self, at: usize) -> L {
        let low = self.four::<L>(at);
        L::select(self.bits[2], self.four::<L>(at + 4), low)
    }
}

#[cfg(test)]
impl<const LIMBS: usize> Table<LIMBS> {
    /// Whether nothing but zeros is in it.
    pub(super) fn is_zero(&self) -> bool {
        let numbers = self.powers.as_flattened().iter().chain(&self.picked).chain([&self.other]);
        numbers.copied().all(|number| number == Number::ZERO)
    }
}
