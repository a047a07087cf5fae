//! Between digits and the four little-endian words of an encoded element.

use super::{DIGITS, Fe, RADIX_BITS, RADIX_MASK};
use crate::lanes::{Block, Lanes, Mask, load_all};

/// Words of an encoded element: word `w` of lane `i` is `words[w].0[i]`, the lowest first.
pub(crate) type Words = [Block; 4];

impl<L: Lanes> Fe<L> {
    /// The element of 255 bits; bit 255 does not count, and numbers of p and above are taken modulo p.
    #[inline(always)]
    pub(crate) fn from_words(words: &Words) -> Self {
        let mask = L::splat(RADIX_MASK);
        let [a, b, c, d] = load_all::<L, 4>(words);
        Self::new([
            a.and(mask),
            a.shr::<51>().or(b.shl::<13>()).and(mask),
            b.shr::<38>().or(c.shl::<26>()).and(mask),
            c.shr::<25>().or(d.shl::<39>()).and(mask),
            d.shr::<12>().and(mask),
        ])
    }

    /// Carries through all digits, one after the other; the carry out of the last is thrown away or folded by the caller.
    #[inline(always)]
    fn ripple(digits: &mut [L; DIGITS]) -> L {
        let mask = L::splat(RADIX_MASK);
        let mut out = L::splat(0);
        for digit in digits {
            let sum = digit.add(out);
            out = sum.shr::<RADIX_BITS>();
            *digit = sum.and(mask);
        }
        out
    }

    /// The digits of the number below p.
    #[inline(always)]
    pub(crate) fn canonical(self) -> [L; DIGITS] {
        let nineteen = L::splat(19);
        let mut digits = self.0;
        let out = Self::ripple(&mut digits);
        digits[0] = digits[0].madd_lo(out, nineteen);
        let out = Self::ripple(&mut digits);
        digits[0] = digits[0].madd_lo(out, nineteen);
        // Now below 2^255. It is p or more exactly if 19 more give a carry out of the last digit.
        let mut probe = digits;
        probe[0] = probe[0].add(nineteen);
        let is_more = Self::ripple(&mut probe);
        digits[0] = digits[0].madd_lo(is_more, nineteen);
        Self::ripple(&mut digits);
        digits
    }

    /// The number below p.
    #[inline(always)]
    pub(crate) fn to_words(self) -> [L; 4] {
        let [a, b, c, d, e] = self.canonical();
        [
            a.or(b.shl::<51>()),
            b.shr::<13>().or(c.shl::<38>()),
            c.shr::<26>().or(d.shl::<25>()),
            d.shr::<39>().or(e.shl::<12>()),
        ]
    }

    /// The lanes where the two are the same number modulo p.
    #[inline(always)]
    pub(crate) fn equals(self, other: Self) -> Mask {
        let [a, b, c, d, e] = self.sub(other).carry().canonical();
        a.or(b).or(c).or(d).or(e).is_zero()
    }
}
