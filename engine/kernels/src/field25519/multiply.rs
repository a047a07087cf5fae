//! Multiplication and squaring.
//!
//! Digit products split at bit 52, digits at bit 51: the upper halves count twice one digit higher. They are summed first,
//! doubled as sums, and the lower halves are summed on top. Digits 5 … 9 of the product come back times 19.

use super::{DIGITS, Fe, Product};
use crate::lanes::{Lanes, array};

/// Digits of a product before it is folded.
const PRODUCT_DIGITS: usize = 2 * DIGITS;

/// 19·z modulo 2^64.
#[inline(always)]
fn times_19<L: Lanes>(z: L) -> L {
    z.shl::<4>().add(z.add(z)).add(z)
}

/// z mod 2^255 − 19. A digit k < 5 holds at most k + 1 lower halves (< 2^52) and k doubled upper ones (≤ 2^51 + 2^20),
/// a digit k ≥ 5 at most 9 − k and 10 − k of them: the sum is largest in digit 0, below (1 + 19·(4 + 2.5))·2^52 + 2^30,
/// which is below 125·2^52.
#[inline(always)]
fn fold<L: Lanes>(z: [L; PRODUCT_DIGITS]) -> Product<L> {
    Product::new(array(
        #[inline(always)]
        |k| z[k].add(times_19(z[k + DIGITS])),
    ))
}

/// low + 2·high.
#[inline(always)]
fn join<L: Lanes>(low: [L; PRODUCT_DIGITS], high: [L; PRODUCT_DIGITS]) -> [L; PRODUCT_DIGITS] {
    array(
        #[inline(always)]
        |k| low[k].add(high[k].add(high[k])),
    )
}

impl<L: Lanes> Fe<L> {
    /// The product: 50 IFMA, 43 other instructions.
    #[inline(always)]
    pub(crate) fn mul(self, other: Self) -> Product<L> {
        let zero = L::splat(0);
        let (mut low, mut high) = ([zero; PRODUCT_DIGITS], [zero; PRODUCT_DIGITS]);
        for i in 0..DIGITS {
            for j in 0..DIGITS {
                high[i + j + 1] = high[i + j + 1].madd_hi(self.0[i], other.0[j]);
                low[i + j] = low[i + j].madd_lo(self.0[i], other.0[j]);
            }
        }
        fold(join(low, high))
    }

    /// The square: 30 IFMA, 41 other instructions. What a product has twice is summed once and doubled.
    #[inline(always)]
    pub(crate) fn square(self) -> Product<L> {
        let zero = L::splat(0);
        let (mut low, mut high) = ([zero; PRODUCT_DIGITS], [zero; PRODUCT_DIGITS]);
        for i in 0..DIGITS {
            for j in i + 1..DIGITS {
                high[i + j + 1] = high[i + j + 1].madd_hi(self.0[i], self.0[j]);
                low[i + j] = low[i + j].madd_lo(self.0[i], self.0[j]);
            }
        }
        for k in 0..PRODUCT_DIGITS {
            high[k] = high[k].add(high[k]);
            low[k] = low[k].add(low[k]);
        }
        for i in 0..DIGITS {
            high[2 * i + 1] = high[2 * i + 1].madd_hi(self.0[i], self.0[i]);
            low[2 * i] = low[2 * i].madd_lo(self.0[i], self.0[i]);
        }
        fold(join(low, high))
    }

    /// self + factor·other, for a factor below 2^18.
    #[inline(always)]
    pub(crate) fn add_times_small(self, factor: u32, other: Self) -> super::Sum<L> {
        debug_assert!(factor < 1 << 18);
        let factor = L::splat(u64::from(factor));
        let upper: [L; DIGITS] = array(
            #[inline(always)]
            |i| L::splat(0).madd_hi(other.0[i], factor),
        );
        let mut sum = self.0;
        sum[0] = sum[0].madd_lo(upper[4], L::splat(38));
        for k in 0..DIGITS {
            sum[k] = sum[k].madd_lo(other.0[k], factor);
            if k > 0 {
                sum[k] = sum[k].add(upper[k - 1]).add(upper[k - 1]);
            }
        }
        super::Sum(sum)
    }
}
