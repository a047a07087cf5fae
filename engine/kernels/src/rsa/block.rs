//! Ten digits times ten digits, with the twenty columns of the product in registers.
//!
//! Everything longer is made of this: a product of 20, 30, 40, 60 or 80 digits goes through its columns in blocks of
//! ten, so that sums stay in twenty registers, an operand's digit is in one more, and the other operand's digits come
//! from memory as the multiplication needs them.

#![allow(
    clippy::absurd_extreme_comparisons,
    reason = "in an unrolled loop, the first or the last turn's are"
)]

use super::number::Limb;
use crate::lanes::{DIGIT_BITS, DIGIT_MASK, Lanes};

/// Digits of a block.
pub(super) const LIMB: usize = 10;

/// The columns of a product of two blocks: sums of less than 2^12 digits, so they do not overflow.
pub(super) type Columns<L> = [L; 2 * LIMB];

/// Repeats a body for `$i` from 0 to 9 as constants, so that an array that it indexes can be registers.
macro_rules! ten {
    ($i:ident => $body:block) => {
        ten!(@ $i $body 0 1 2 3 4 5 6 7 8 9)
    };
    (@ $i:ident $body:block $($n:literal)*) => {
        $({
            #[allow(non_upper_case_globals, reason = "it reads as the loop's variable")]
            const $i: usize = $n;
            $body
        })*
    };
}
pub(super) use ten;

/// `columns += a * b`: 200 multiplications.
#[inline(always)]
pub(super) fn multiply<L: Lanes>(columns: &mut Columns<L>, a: &Limb, b: &Limb) {
    ten!(i => {
        let x = L::load(&a[i]);
        ten!(j => {
            let y = L::load(&b[j]);
            columns[i + j] = columns[i + j].madd_lo(x, y);
            columns[i + j + 1] = columns[i + j + 1].madd_hi(x, y);
        });
    });
}

/// `columns += Σ a[i]·a[j]` over `i < j`, at their places: 90 multiplications.
#[inline(always)]
pub(super) fn cross<L: Lanes>(columns: &mut Columns<L>, a: &Limb) {
    ten!(i => {
        let x = L::load(&a[i]);
        ten!(j => {
            if i < j {
                let y = L::load(&a[j]);
                columns[i + j] = columns[i + j].madd_lo(x, y);
                columns[i + j + 1] = columns[i + j + 1].madd_hi(x, y);
            }
        });
    });
}

/// `columns += Σ a[i]²`, at their places: 20 multiplications.
#[inline(always)]
pub(super) fn diagonal<L: Lanes>(columns: &mut Columns<L>, a: &Limb) {
    ten!(i => {
        let x = L::load(&a[i]);
        columns[2 * i] = columns[2 * i].madd_lo(x, x);
        columns[2 * i + 1] = columns[2 * i + 1].madd_hi(x, x);
    });
}

/// Twice every column.
#[inline(always)]
pub(super) fn double<L: Lanes>(columns: &mut Columns<L>) {
    ten!(i => { columns[i] = columns[i].add(columns[i]); });
    ten!(i => { columns[LIMB + i] = columns[LIMB + i].add(columns[LIMB + i]); });
}

/// Makes the lower ten columns zero by adding `quotient * modulus`, ten digits at a time, where `inverse` is
/// −modulus⁻¹ mod 2^52. Gives the quotient's digits; the lower ten columns are spent.
///
/// The lowest digit of `column + q·modulus[0]` is zero by choice of q, so its product need not be computed: there is a
/// carry out of it whenever the column's digit was not zero itself, which `(column + 2^52 − 1) >> 52` says.
#[inline(always)]
pub(super) fn reduce<L: Lanes>(columns: &mut Columns<L>, quotient: &mut Limb, modulus: &Limb, inverse: L) {
    let zero = L::splat(0);
    let ones = L::splat(DIGIT_MASK);
    ten!(i => {
        let q = zero.madd_lo(columns[i], inverse);
        let carry = columns[i].add(ones).shr::<DIGIT_BITS>();
        q.store(&mut quotient[i]);
        // Two chains instead of one: the next quotient waits for both.
        let high = carry.madd_hi(q, L::load(&modulus[0]));
        columns[i + 1] = columns[i + 1].madd_lo(q, L::load(&modulus[1])).add(high);
        ten!(j => {
            if j > 0 {
                if j > 1 {
                    columns[i + j] = columns[i + j].madd_lo(q, L::load(&modulus[j]));
                }
                columns[i + j + 1] = columns[i + j + 1].madd_hi(q, L::load(&modulus[j]));
            }
        });
    });
}

/// Writes the lower ten columns as digits and carries on into the eleventh. Bits above the digit stay: nothing that
/// multiplies looks at them.
#[inline(always)]
pub(super) fn settle<L: Lanes>(columns: &mut Columns<L>, to: &mut Limb) {
    ten!(i => {
        columns[i].store(&mut to[i]);
        columns[i + 1] = columns[i + 1].add(columns[i].shr::<DIGIT_BITS>());
    });
}

/// Moves on by ten columns.
#[inline(always)]
pub(super) fn advance<L: Lanes>(columns: &mut Columns<L>) {
    ten!(i => { columns[i] = columns[LIMB + i]; });
    ten!(i => { columns[LIMB + i] = L::splat(0); });
}
