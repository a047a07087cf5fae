//! Numbers modulo ℓ, the prime order of the group, in radix 2^52: five digits, eight numbers at once.
//!
//! Multiplication is Montgomery's with R = 2^260, digit by digit; results lie below 2ℓ as long as one factor lies below 2^260
//! and the other below ℓ.

use super::tables::{ORDER, ORDER_R, ORDER_R2};
use crate::lanes::{Block, DIGIT_BITS, DIGIT_MASK, Lanes, array, load_all};

/// Digits of a number.
pub(crate) const DIGITS: usize = 5;

/// Numbers in memory, digit-major.
pub(crate) type ScalarBlocks = [Block; DIGITS];

/// A number below 2^260, each digit below 2^52.
#[derive(Clone, Copy)]
pub(crate) struct Scalar<L>([L; DIGITS]);

/// −1/ℓ modulo 2^52, by Newton's iteration: each step doubles the bits that are right.
const NEGATED_INVERSE: u64 = {
    let mut inverse = ORDER[0];
    let mut bits = 3;
    while bits < 64 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(ORDER[0].wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse.wrapping_neg() & DIGIT_MASK
};

#[inline(always)]
fn constant<L: Lanes>(digits: [u64; DIGITS]) -> [L; DIGITS] {
    array(
        #[inline(always)]
        |i| L::splat(digits[i]),
    )
}

/// Carries signed digits through; gives the carry out of the last.
#[inline(always)]
fn ripple<L: Lanes>(digits: &mut [L; DIGITS]) -> L {
    let mask = L::splat(DIGIT_MASK);
    let mut out = L::splat(0);
    for digit in digits {
        let sum = digit.add(out);
        out = sum.sar::<DIGIT_BITS>();
        *digit = sum.and(mask);
    }
    out
}

impl<L: Lanes> Scalar<L> {
    #[inline(always)]
    pub(crate) fn load(from: &ScalarBlocks) -> Self {
        Self(load_all(from))
    }

    #[inline(always)]
    pub(crate) fn store(self, to: &mut ScalarBlocks) {
        for (digit, block) in self.0.into_iter().zip(to) {
            digit.store(block);
        }
    }

    /// A number of 64 bits.
    #[inline(always)]
    pub(crate) fn from_word(word: L) -> Self {
        let zero = L::splat(0);
        Self([word.and(L::splat(DIGIT_MASK)), word.shr::<DIGIT_BITS>(), zero, zero, zero])
    }

    /// The number of 256 bits in four little-endian words.
    #[inline(always)]
    pub(crate) fn from_words([a, b, c, d]: [L; 4]) -> Self {
        let mask = L::splat(DIGIT_MASK);
        Self([
            a.and(mask),
            a.shr::<52>().or(b.shl::<12>()).and(mask),
            b.shr::<40>().or(c.shl::<24>()).and(mask),
            c.shr::<28>().or(d.shl::<36>()).and(mask),
            d.shr::<16>(),
        ])
    }

    /// The number of at most 256 bits as four little-endian words.
    #[inline(always)]
    pub(crate) fn to_words(self) -> [L; 4] {
        let [a, b, c, d, e] = self.0;
        [
            a.or(b.shl::<52>()),
            b.shr::<12>().or(c.shl::<40>()),
            c.shr::<24>().or(d.shl::<28>()),
            d.shr::<36>().or(e.shl::<16>()),
        ]
    }

    /// A number of 512 bits, in eight little-endian words, modulo ℓ: below 4ℓ.
    #[inline(always)]
    pub(crate) fn from_wide([a, b, c, d, e, f, g, h]: [L; 8]) -> Self {
        let mask = L::splat(DIGIT_MASK);
        let mut low = Self::from_words([a, b, c, d]);
        low.0[4] = low.0[4].or(e.shl::<48>()).and(mask);
        let high = Self([
            e.shr::<4>().and(mask),
            e.shr::<56>().or(f.shl::<8>()).and(mask),
            f.shr::<44>().or(g.shl::<20>()).and(mask),
            g.shr::<32>().or(h.shl::<32>()).and(mask),
            h.shr::<20>(),
        ]);
        low.mul(Self(constant(ORDER_R))).add(high.mul(Self(constant(ORDER_R2))))
    }

    /// self·other/R, below 2ℓ.
    #[inline(always)]
    pub(crate) fn mul(self, other: Self) -> Self {
        let order: [L; DIGITS] = constant(ORDER);
        let zero = L::splat(0);
        let mut sum = [zero; DIGITS];
        for digit in other.0 {
            for (sum, own) in sum.iter_mut().zip(self.0) {
                *sum = sum.madd_lo(own, digit);
            }
            let quotient = zero.madd_lo(sum[0], L::splat(NEGATED_INVERSE));
            for (sum, own) in sum.iter_mut().zip(order) {
                *sum = sum.madd_lo(own, quotient);
            }
            let out = sum[0].shr::<DIGIT_BITS>();
            sum = [sum[1].add(out), sum[2], sum[3], sum[4], zero];
            for j in 0..DIGITS {
                sum[j] = sum[j].madd_hi(self.0[j], digit).madd_hi(order[j], quotient);
            }
        }
        ripple(&mut sum);
        Self(sum)
    }

    /// self/R, below 2ℓ.
    #[inline(always)]
    pub(crate) fn over_r(self) -> Self {
        self.mul(Self::from_word(L::splat(1)))
    }

    /// self·R, below 2ℓ.
    #[inline(always)]
    pub(crate) fn times_r(self) -> Self {
        self.mul(Self(constant(ORDER_R2)))
    }

    /// The sum of two numbers, which must stay below 2^260.
    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Self {
        let mut sum = array(
            #[inline(always)]
            |i| self.0[i].add(other.0[i]),
        );
        ripple(&mut sum);
        Self(sum)
    }

    /// The number below ℓ.
    ///
    /// With q = the bits from 2^252 upwards, self − q·ℓ lies between −q·2^125 and 2^252, so it needs ℓ once more at most.
    #[inline(always)]
    pub(crate) fn canonical(self) -> Self {
        let order: [L; DIGITS] = constant(ORDER);
        let quotient = self.0[4].shr::<44>();
        let zero = L::splat(0);
        let mut digits = self.0;
        for j in 0..DIGITS {
            digits[j] = digits[j].sub(zero.madd_lo(order[j], quotient));
            if j > 0 {
                digits[j] = digits[j].sub(zero.madd_hi(order[j - 1], quotient));
            }
        }
        let sign = ripple(&mut digits);
        for j in 0..DIGITS {
            digits[j] = digits[j].add(order[j].and(sign));
        }
        ripple(&mut digits);
        Self(digits)
    }

    /// This number if it is odd, else ℓ more: odd, and the same modulo ℓ. For a number below ℓ.
    #[inline(always)]
    pub(crate) fn make_odd(self) -> Self {
        let is_even = self.0[0].and(L::splat(1)).is_zero();
        let other = self.add(Self(constant(ORDER)));
        Self(array(
            #[inline(always)]
            |i| L::select(is_even, other.0[i], self.0[i]),
        ))
    }
}
