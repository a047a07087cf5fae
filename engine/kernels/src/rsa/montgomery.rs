//! Almost-Montgomery arithmetic: products modulo n that stay below 2n and are never subtracted from.
//!
//! With R = 2^(520·LIMBS) and at least 16 bits between n and R, `a·b·R⁻¹ + n` bounds what a multiplication gives: below
//! 2n whenever `a·b < n·R`, which holds for a, b < 2^8·n. So results go straight into the next multiplication
//! (S. Gueron, "Efficient software implementations of modular exponentiation", J. Cryptogr. Eng. 2012).
//!
//! The columns of a product are summed in blocks of ten, products of operands and of the quotient together, so that
//! sums never leave their registers for memory and the next block's products, which need no quotient, hide the latency
//! of this one's.

use super::block::{self, Columns, LIMB, ten};
use super::modulus::Prepared;
use super::number::{Limb, Number};
use crate::lanes::{Block, DIGIT_MASK, Lanes};

/// Eight odd numbers to compute modulo.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Modulus<const LIMBS: usize> {
    /// Settled.
    pub(super) n: Number<LIMBS>,
    /// −n⁻¹ mod 2^52.
    pub(super) inverse: Block,
}

impl<const LIMBS: usize> Modulus<LIMBS> {
    pub(super) const ZERO: Self = Self { n: Number::ZERO, inverse: Block([0; 8]) };

    /// Puts a modulus into a lane.
    pub(super) fn set_lane(&mut self, lane: usize, modulus: &Prepared<LIMBS>) {
        self.n.set_lane(lane, &modulus.n);
        self.inverse.0[lane] = modulus.inverse[0];
    }

    /// Forgets it.
    pub(super) fn erase(&mut self) {
        crate::lanes::erase(self.n.blocks_mut());
        crate::lanes::erase(core::slice::from_mut(&mut self.inverse));
    }
}

/// What a multiplication needs besides.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Scratch<const LIMBS: usize> {
    quotient: Number<LIMBS>,
    carry: Limb,
}

impl<const LIMBS: usize> Scratch<LIMBS> {
    pub(super) const ZERO: Self = Self { quotient: Number::ZERO, carry: [Block([0; 8]); LIMB] };

    /// Forgets everything.
    pub(super) fn erase(&mut self) {
        crate::lanes::erase(self.quotient.blocks_mut());
        crate::lanes::erase(&mut self.carry);
    }
}

/// `x ← x·by·R⁻¹ mod n`, below 2n. 4·(10·LIMBS)² multiplications, less the 10·LIMBS that [`block::reduce`] saves and
/// plus as many for the quotient.
pub(super) fn multiply<L: Lanes, const LIMBS: usize>(
    x: &mut Number<LIMBS>,
    by: &Number<LIMBS>,
    modulus: &Modulus<LIMBS>,
    scratch: &mut Scratch<LIMBS>,
) {
    L::run(
        #[inline(always)]
        || {
            let (n, inverse) = (&modulus.n.0, L::load(&modulus.inverse));
            let quotient = &mut scratch.quotient.0;
            let mut columns = [L::splat(0); 2 * LIMB];
            for c in 0..LIMBS {
                for i in 0..c {
                    block::multiply(&mut columns, &x.0[i], &by.0[c - i]);
                }
                for i in 0..c {
                    block::multiply(&mut columns, &quotient[i], &n[c - i]);
                }
                block::multiply_low(&mut columns, &x.0[c], &by.0[0]);
                block::reduce(
                    &mut columns,
                    &mut quotient[c],
                    &n[0],
                    inverse,
                    Some((&x.0[c], &by.0[0])),
                    |_| (),
                );
                block::advance(&mut columns);
            }
            for c in 0..LIMBS - 1 {
                block::multiply(&mut columns, &x.0[LIMBS - 1], &by.0[c + 1]);
                for i in c + 1..LIMBS - 1 {
                    block::multiply(&mut columns, &x.0[i], &by.0[LIMBS + c - i]);
                    block::multiply(&mut columns, &quotient[i], &n[LIMBS + c - i]);
                }
                let last = (&quotient[LIMBS - 1], &n[c + 1]);
                block::multiply_low(&mut columns, last.0, last.1);
                // Nobody reads this block of x any more.
                block::settle(&mut columns, &mut x.0[c], Some(last));
                block::advance(&mut columns);
            }
            block::settle(&mut columns, &mut x.0[LIMBS - 1], None);
        },
    );
}

/// `x ← x²·R⁻¹ mod n`, below 2n. 3·(10·LIMBS)² + 10·LIMBS multiplications.
pub(super) fn square<L: Lanes, const LIMBS: usize>(
    x: &mut Number<LIMBS>,
    modulus: &Modulus<LIMBS>,
    scratch: &mut Scratch<LIMBS>,
) {
    L::run(
        #[inline(always)]
        || square_inline::<L, LIMBS>(x, modulus, scratch, |_, _| ()),
    );
}

/// [`square`], to be called in [`Lanes::run`], with something else to do meanwhile: `errand(c, i)` is called at each of
/// ten steps of each of `LIMBS` reductions.
#[inline(always)]
pub(super) fn square_inline<L: Lanes, const LIMBS: usize>(
    x: &mut Number<LIMBS>,
    modulus: &Modulus<LIMBS>,
    scratch: &mut Scratch<LIMBS>,
    mut errand: impl FnMut(usize, usize),
) {
    let (n, inverse) = (&modulus.n.0, L::load(&modulus.inverse));
    let Scratch { quotient: Number(quotient), carry } = scratch;
    let mut columns = square_columns::<L, LIMBS>(x, 0);
    block::reduce(
        &mut columns,
        &mut quotient[0],
        &n[0],
        inverse,
        None,
        #[inline(always)]
        |i| errand(0, i),
    );
    leave(&columns, carry);
    for c in 1..LIMBS {
        let mut columns = square_columns::<L, LIMBS>(x, c);
        collect(&mut columns, carry);
        for i in 0..c - 1 {
            block::multiply(&mut columns, &quotient[i], &n[c - i]);
        }
        let (before, after) = quotient.split_at_mut(c);
        let last = (&before[c - 1], &n[1]);
        block::multiply_low(&mut columns, last.0, last.1);
        block::reduce(
            &mut columns,
            &mut after[0],
            &n[0],
            inverse,
            Some(last),
            #[inline(always)]
            |i| errand(c, i),
        );
        leave(&columns, carry);
    }
    for c in 0..LIMBS - 1 {
        let mut columns = square_columns::<L, LIMBS>(x, LIMBS + c);
        collect(&mut columns, carry);
        for i in c + 1..LIMBS - 1 {
            block::multiply(&mut columns, &quotient[i], &n[LIMBS + c - i]);
        }
        let last = (&quotient[LIMBS - 1], &n[c + 1]);
        block::multiply_low(&mut columns, last.0, last.1);
        block::settle(&mut columns, &mut x.0[c], Some(last));
        leave(&columns, carry);
    }
    let mut columns = [L::splat(0); 2 * LIMB];
    collect(&mut columns, carry);
    block::settle(&mut columns, &mut x.0[LIMBS - 1], None);
}

/// `to ← x·B·R⁻¹ mod n`, below 8n, from B and its quotients: with T factors and S = LIMBS/T, `factors[k]` is
/// B·2^(−520·S·(T − 1 − k)) modulo n, below 2n. Every 10·S digits of x multiply a factor of their own, so that all
/// products are reduced at once, by 10·S digits: 2·(10·LIMBS)² + 200·S·LIMBS multiplications.
#[inline(always)]
pub(super) fn multiply_split<L: Lanes, const LIMBS: usize>(
    to: &mut Number<LIMBS>,
    x: &Number<LIMBS>,
    factors: &[Number<LIMBS>],
    modulus: &Modulus<LIMBS>,
    scratch: &mut Scratch<LIMBS>,
) {
    let step = LIMBS / factors.len();
    L::run(
        #[inline(always)]
        || {
            let (n, inverse) = (&modulus.n.0, L::load(&modulus.inverse));
            let quotient = &mut scratch.quotient.0;
            let mut columns = [L::splat(0); 2 * LIMB];
            for c in 0..step {
                for (k, factor) in factors.iter().enumerate() {
                    for i in 0..=c {
                        if k > 0 || i > 0 {
                            block::multiply(&mut columns, &x.0[k * step + i], &factor.0[c - i]);
                        }
                    }
                }
                for i in 0..c {
                    block::multiply(&mut columns, &quotient[i], &n[c - i]);
                }
                let last = (&x.0[0], &factors[0].0[c]);
                block::multiply_low(&mut columns, last.0, last.1);
                block::reduce(&mut columns, &mut quotient[c], &n[0], inverse, Some(last), |_| ());
                block::advance(&mut columns);
            }
            for c in step..LIMBS + step - 1 {
                let from = (c + 1).saturating_sub(LIMBS);
                for (k, factor) in factors.iter().enumerate() {
                    for i in from..step {
                        block::multiply(&mut columns, &x.0[k * step + i], &factor.0[c - i]);
                    }
                }
                for i in from..step - 1 {
                    block::multiply(&mut columns, &quotient[i], &n[c - i]);
                }
                let last = (&quotient[step - 1], &n[c + 1 - step]);
                block::multiply_low(&mut columns, last.0, last.1);
                block::settle(&mut columns, &mut to.0[c - step], Some(last));
                block::advance(&mut columns);
            }
            block::settle(&mut columns, &mut to.0[LIMBS - 1], None);
        },
    );
}

/// `x ← x·2^(−520) mod n`, below n + x·2^(−520).
pub(super) fn shift<L: Lanes, const LIMBS: usize>(
    x: &mut Number<LIMBS>,
    modulus: &Modulus<LIMBS>,
    scratch: &mut Scratch<LIMBS>,
) {
    L::run(
        #[inline(always)]
        || {
            let (n, inverse) = (&modulus.n.0, L::load(&modulus.inverse));
            let quotient = &mut scratch.quotient.0[0];
            let mut columns = [L::splat(0); 2 * LIMB];
            add_digits(&mut columns, &x.0[0]);
            block::reduce(&mut columns, quotient, &n[0], inverse, None, |_| ());
            block::advance(&mut columns);
            for (c, n) in n.iter().enumerate().skip(1) {
                add_digits(&mut columns, &x.0[c]);
                block::multiply(&mut columns, quotient, n);
                block::settle(&mut columns, &mut x.0[c - 1], None);
                block::advance(&mut columns);
            }
            block::settle(&mut columns, &mut x.0[LIMBS - 1], None);
        },
    );
}

/// Adds loose digits.
#[inline(always)]
fn add_digits<L: Lanes>(columns: &mut Columns<L>, digits: &Limb) {
    ten!(i => { columns[i] = columns[i].add(L::load(&digits[i]).and(L::splat(DIGIT_MASK))); });
}

/// The products of x² that begin in the `c`th block of columns. They are summed once and doubled, so what comes from the
/// blocks below waits in memory meanwhile.
#[inline(always)]
fn square_columns<L: Lanes, const LIMBS: usize>(x: &Number<LIMBS>, c: usize) -> Columns<L> {
    let mut columns = [L::splat(0); 2 * LIMB];
    let lowest = (c + 1).saturating_sub(LIMBS);
    for i in lowest..c.div_ceil(2) {
        block::multiply(&mut columns, &x.0[i], &x.0[c - i]);
    }
    if c.is_multiple_of(2) {
        block::cross(&mut columns, &x.0[c / 2]);
    }
    block::double(&mut columns);
    if c.is_multiple_of(2) {
        block::diagonal(&mut columns, &x.0[c / 2]);
    }
    columns
}

/// Adds what the block of columns below left.
#[inline(always)]
fn collect<L: Lanes>(columns: &mut Columns<L>, carry: &Limb) {
    ten!(i => { columns[i] = columns[i].add(L::load(&carry[i])); });
}

/// Leaves the upper ten columns for the next block.
#[inline(always)]
fn leave<L: Lanes>(columns: &Columns<L>, carry: &mut Limb) {
    ten!(i => { columns[LIMB + i].store(&mut carry[i]); });
}

/// `to ← a·b + plus`, loose, where `to` has twice the limbs and `plus` is settled.
pub(super) fn product<L: Lanes, const LIMBS: usize, const TWICE: usize>(
    to: &mut Number<TWICE>,
    a: &Number<LIMBS>,
    b: &Number<LIMBS>,
    plus: &Number<LIMBS>,
) {
    const { assert!(TWICE == 2 * LIMBS) };
    L::run(
        #[inline(always)]
        || {
            let mut columns = [L::splat(0); 2 * LIMB];
            for c in 0..TWICE {
                for i in (c + 1).saturating_sub(LIMBS)..LIMBS.min(c + 1) {
                    block::multiply(&mut columns, &a.0[i], &b.0[c - i]);
                }
                if let Some(limb) = plus.0.get(c) {
                    collect(&mut columns, limb);
                }
                block::settle(&mut columns, &mut to.0[c], None);
                block::advance(&mut columns);
            }
        },
    );
}
