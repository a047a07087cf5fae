//! Ten digits times ten digits, with the twenty columns of the product in registers.
//!
//! Everything longer is made of this: a product of 20, 30, 40, 60 or 80 digits goes through its columns in blocks of
//! ten, so that sums stay in twenty registers, an operand's digit is in one more, and the other operand's digits come
//! from memory as the multiplication needs them.
//!
//! Where something must be waited for (a quotient for the one before, a carry for the one below), the half of a product
//! that reaches the upper ten columns only is kept back and done meanwhile: the processor looks ahead over some two
//! hundred vector instructions, not over a whole product.

#![allow(
    clippy::absurd_extreme_comparisons,
    reason = "in an unrolled loop, the first or the last turn's are"
)]

use super::number::Limb;
use crate::lanes::{Block, DIGIT_BITS, DIGIT_MASK, Lanes};

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
    L::leaf(
        #[inline(always)]
        || {
            ten!(i => {
                let x = L::load(&a[i]);
                ten!(j => {
                    let y = L::load(&b[j]);
                    columns[i + j] = columns[i + j].madd_lo(x, y);
                    columns[i + j + 1] = columns[i + j + 1].madd_hi(x, y);
                });
            });
        },
    );
}

/// The part of [`multiply`] that reaches the lower ten columns: 100 multiplications.
#[inline(always)]
pub(super) fn multiply_low<L: Lanes>(columns: &mut Columns<L>, a: &Limb, b: &Limb) {
    L::leaf(
        #[inline(always)]
        || {
            ten!(i => {
                let x = L::load(&a[i]);
                ten!(j => {
                    if i + j < LIMB {
                        let y = L::load(&b[j]);
                        columns[i + j] = columns[i + j].madd_lo(x, y);
                        if i + j + 1 < LIMB {
                            columns[i + j + 1] = columns[i + j + 1].madd_hi(x, y);
                        }
                    }
                });
            });
        },
    );
}

/// The part of [`multiply`] that does not, of row `i` of ten: 1 to 19 multiplications, 100 in all.
#[inline(always)]
fn multiply_high_row<L: Lanes>(columns: &mut Columns<L>, a: &Limb, b: &Limb, i: usize) {
    L::leaf(
        #[inline(always)]
        || {
            let x = L::load(&a[i]);
            ten!(j => {
                if i + j + 1 >= LIMB {
                    let y = L::load(&b[j]);
                    if i + j >= LIMB {
                        columns[i + j] = columns[i + j].madd_lo(x, y);
                    }
                    columns[i + j + 1] = columns[i + j + 1].madd_hi(x, y);
                }
            });
        },
    );
}

/// Two factors whose product has reached the lower columns only.
pub(super) type Rest<'a> = Option<(&'a Limb, &'a Limb)>;

/// `columns += Σ a[i]·a[j]` over `i < j`, at their places: 90 multiplications.
#[inline(always)]
pub(super) fn cross<L: Lanes>(columns: &mut Columns<L>, a: &Limb) {
    L::leaf(
        #[inline(always)]
        || {
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
        },
    );
}

/// `columns += Σ a[i]²`, at their places: 20 multiplications.
#[inline(always)]
pub(super) fn diagonal<L: Lanes>(columns: &mut Columns<L>, a: &Limb) {
    L::leaf(
        #[inline(always)]
        || {
            ten!(i => {
                let x = L::load(&a[i]);
                columns[2 * i] = columns[2 * i].madd_lo(x, x);
                columns[2 * i + 1] = columns[2 * i + 1].madd_hi(x, x);
            });
        },
    );
}

/// Twice every column.
#[inline(always)]
pub(super) fn double<L: Lanes>(columns: &mut Columns<L>) {
    L::leaf(
        #[inline(always)]
        || {
            ten!(i => { columns[i] = columns[i].add(columns[i]); });
            ten!(i => { columns[LIMB + i] = columns[LIMB + i].add(columns[LIMB + i]); });
        },
    );
}

/// Makes the lower ten columns zero by adding `quotient * modulus`, ten digits at a time, where `inverse` is
/// −modulus⁻¹ mod 2^52. Gives the quotient's digits; the lower ten columns are spent.
///
/// The lowest digit of `column + q·modulus[0]` is zero by choice of q, so its product need not be computed: there is a
/// carry out of it whenever the column's digit was not zero itself, which `(column + 2^52 − 1) >> 52` says.
#[inline(always)]
pub(super) fn reduce<L: Lanes>(
    columns: &mut Columns<L>,
    quotient: &mut Limb,
    modulus: &Limb,
    inverse: L,
    rest: Rest<'_>,
    mut errand: impl FnMut(usize),
) {
    ten!(i => {
        reduce_step(columns, &mut quotient[i], modulus, inverse, i);
        if let Some((a, b)) = rest {
            multiply_high_row(columns, a, b, evenly(i));
        }
        errand(i);
    });
}

/// Step `i` of ten: 39 multiplications.
#[inline(always)]
fn reduce_step<L: Lanes>(
    columns: &mut Columns<L>,
    quotient: &mut Block,
    modulus: &Limb,
    inverse: L,
    i: usize,
) {
    L::leaf(
        #[inline(always)]
        || {
            let q = L::splat(0).madd_lo(columns[i], inverse);
            let carry = columns[i].add(L::splat(DIGIT_MASK)).shr::<DIGIT_BITS>();
            q.store(quotient);
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
        },
    );
}

/// Long rows and short ones in turn.
const fn evenly(turn: usize) -> usize {
    if turn.is_multiple_of(2) { LIMB - 1 - turn / 2 } else { turn / 2 }
}

/// Writes the lower ten columns as digits and carries on into the eleventh. Bits above the digit stay: nothing that
/// multiplies looks at them.
#[inline(always)]
pub(super) fn settle<L: Lanes>(columns: &mut Columns<L>, to: &mut Limb, rest: Rest<'_>) {
    ten!(i => {
        columns[i].store(&mut to[i]);
        columns[i + 1] = columns[i + 1].add(columns[i].shr::<DIGIT_BITS>());
        if let Some((a, b)) = rest {
            multiply_high_row(columns, a, b, evenly(i));
        }
    });
}

/// Moves on by ten columns.
#[inline(always)]
pub(super) fn advance<L: Lanes>(columns: &mut Columns<L>) {
    L::leaf(
        #[inline(always)]
        || {
            ten!(i => { columns[i] = columns[LIMB + i]; });
            ten!(i => { columns[LIMB + i] = L::splat(0); });
        },
    );
}
