//! Sums, differences and comparisons, which run digit by digit. None of them is worth haste: an exponentiation has a
//! thousand multiplications and a handful of these.

use super::number::Number;
use crate::lanes::{DIGIT_BITS, DIGIT_MASK, Lanes, Mask};

#[inline(always)]
fn digit<L: Lanes>(word: L) -> L {
    word.and(L::splat(DIGIT_MASK))
}

/// `x ← x + y`, settled.
pub(super) fn add<L: Lanes, const LIMBS: usize>(x: &mut Number<LIMBS>, y: &Number<LIMBS>) {
    L::run(
        #[inline(always)]
        || {
            let mut carry = L::splat(0);
            for (x, y) in x.blocks_mut().iter_mut().zip(y.blocks()) {
                let sum = digit(L::load(x)).add(digit(L::load(y))).add(carry);
                digit(sum).store(x);
                carry = sum.shr::<DIGIT_BITS>();
            }
        },
    );
}

/// `x ← 2x mod n`, the least residue, where x is one.
pub(super) fn double<L: Lanes, const LIMBS: usize>(x: &mut Number<LIMBS>, n: &Number<LIMBS>) {
    L::run(
        #[inline(always)]
        || {
            let mut carry = L::splat(0);
            for x in x.blocks_mut() {
                let sum = digit(L::load(x)).shl::<1>().add(carry);
                digit(sum).store(x);
                carry = sum.shr::<DIGIT_BITS>();
            }
        },
    );
    canonical::<L, LIMBS>(x, n);
}

/// `x ← x − y + 2n`, settled. The result must not be negative.
pub(super) fn subtract<L: Lanes, const LIMBS: usize>(
    x: &mut Number<LIMBS>,
    y: &Number<LIMBS>,
    n: &Number<LIMBS>,
) {
    L::run(
        #[inline(always)]
        || {
            let mut carry = L::splat(0);
            for ((x, y), n) in x.blocks_mut().iter_mut().zip(y.blocks()).zip(n.blocks()) {
                let twice = digit(L::load(n)).shl::<1>();
                let sum = digit(L::load(x)).sub(digit(L::load(y))).add(twice).add(carry);
                digit(sum).store(x);
                carry = sum.sar::<DIGIT_BITS>();
            }
        },
    );
}

/// Minus one in the lanes where `x < n`, zero in the others.
#[inline(always)]
fn borrow<L: Lanes, const LIMBS: usize>(x: &Number<LIMBS>, n: &Number<LIMBS>) -> L {
    let mut carry = L::splat(0);
    for (x, n) in x.blocks().iter().zip(n.blocks()) {
        carry = digit(L::load(x)).sub(digit(L::load(n))).add(carry).sar::<DIGIT_BITS>();
    }
    carry
}

/// Takes n away where `x ≥ n`, and settles. With `x < 2n`, the result is the least residue.
pub(super) fn canonical<L: Lanes, const LIMBS: usize>(x: &mut Number<LIMBS>, n: &Number<LIMBS>) {
    L::run(
        #[inline(always)]
        || {
            let is_less = borrow::<L, LIMBS>(x, n);
            let taken = is_less.xor(L::splat(DIGIT_MASK));
            let mut carry = L::splat(0);
            for (x, n) in x.blocks_mut().iter_mut().zip(n.blocks()) {
                let difference = digit(L::load(x)).sub(L::load(n).and(taken)).add(carry);
                digit(difference).store(x);
                carry = difference.sar::<DIGIT_BITS>();
            }
        },
    );
}

/// The lanes where `x < n`.
pub(super) fn less<L: Lanes, const LIMBS: usize>(x: &Number<LIMBS>, n: &Number<LIMBS>) -> Mask {
    L::run(
        #[inline(always)]
        || !borrow::<L, LIMBS>(x, n).is_zero(),
    )
}

/// The lanes where `x = y`.
pub(super) fn equal<L: Lanes, const LIMBS: usize>(x: &Number<LIMBS>, y: &Number<LIMBS>) -> Mask {
    L::run(
        #[inline(always)]
        || {
            let mut any = L::splat(0);
            for (x, y) in x.blocks().iter().zip(y.blocks()) {
                any = any.or(L::load(x).xor(L::load(y)));
            }
            digit(any).is_zero()
        },
    )
}

/// `x ← on` in the lanes of the mask, `off` in the others.
pub(super) fn choose<L: Lanes, const LIMBS: usize>(
    x: &mut Number<LIMBS>,
    mask: Mask,
    on: &Number<LIMBS>,
    off: &Number<LIMBS>,
) {
    L::run(
        #[inline(always)]
        || {
            for ((x, on), off) in x.blocks_mut().iter_mut().zip(on.blocks()).zip(off.blocks()) {
                L::select(mask, L::load(on), L::load(off)).store(x);
            }
        },
    );
}
