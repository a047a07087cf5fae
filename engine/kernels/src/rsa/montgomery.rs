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
use crate::lanes::{Block, Lanes};

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
                for i in 0..=c {
                    block::multiply(&mut columns, &x.0[i], &by.0[c - i]);
                }
                for i in 0..c {
                    block::multiply(&mut columns, &quotient[i], &n[c - i]);
                }
                block::reduce(&mut columns, &mut quotient[c], &n[0], inverse);
                block::advance(&mut columns);
            }
            for c in 0..LIMBS {
                for i in c + 1..LIMBS {
                    block::multiply(&mut columns, &x.0[i], &by.0[LIMBS + c - i]);
                    block::multiply(&mut columns, &quotient[i], &n[LIMBS + c - i]);
                }
                // Nobody reads this block of x any more.
                block::settle(&mut columns, &mut x.0[c]);
                block::advance(&mut columns);
            }
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
        || {
            let (n, inverse) = (&modulus.n.0, L::load(&modulus.inverse));
            let Scratch { quotient: Number(quotient), carry } = scratch;
            ten!(i => { L::splat(0).store(&mut carry[i]); });
            for c in 0..LIMBS {
                let mut columns = square_columns::<L, LIMBS>(x, c);
                collect(&mut columns, carry);
                for i in 0..c {
                    block::multiply(&mut columns, &quotient[i], &n[c - i]);
                }
                block::reduce(&mut columns, &mut quotient[c], &n[0], inverse);
                leave(&columns, carry);
            }
            for c in 0..LIMBS {
                let mut columns = square_columns::<L, LIMBS>(x, LIMBS + c);
                collect(&mut columns, carry);
                for i in c + 1..LIMBS {
                    block::multiply(&mut columns, &quotient[i], &n[LIMBS + c - i]);
                }
                block::settle(&mut columns, &mut x.0[c]);
                leave(&columns, carry);
            }
        },
    );
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
                block::settle(&mut columns, &mut to.0[c]);
                block::advance(&mut columns);
            }
        },
    );
}
