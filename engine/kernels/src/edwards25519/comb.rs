//! Multiples of the base point, by a comb without doublings.
//!
//! A scalar is made odd (ℓ more changes nothing), so that it has only odd signed digits: k = Σ dᵢ·2^(7i) with
//! dᵢ ∈ {±1, ±3, … ±127}. With k = 2m + 1 and m + 2^258 = Σ mᵢ·2^(7i), dᵢ = 2mᵢ + 1 − 2^7: bit 6 of mᵢ is the sign, and the
//! other bits, inverted where it is negative, number the entry. Every window costs one addition, whatever its digit, and
//! nothing is exceptional: the addition law is complete.
//!
//! The windows are the outer loop, the vectors the inner one: a window's table stays in the first cache, and additions of
//! different vectors overlap.

use super::faults::{self, Site};
use super::scalar::{DIGITS as SCALAR_DIGITS, Scalar};
use super::tables::{COMB, ENTRY_BLOCKS, WINDOW_BITS, WINDOWS};
use crate::field25519::{DIGITS, Fe, FeBlocks, Product, Sum};
use crate::lanes::{Block, DIGIT_BITS, Lanes, array, erase, load_all};

/// One window of the table: y − x, y + x and 2·d·x·y, by digits, of the points (2j + 1)·2^(7i)·B.
#[derive(Clone)]
pub(crate) struct Window(pub(crate) [[[Block; ENTRY_BLOCKS]; DIGITS]; 3]);

/// A sum of table entries: y − x, y + x, T (carried) and Z (a product) of X : Y : Z, XY = ZT.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Comb {
    /// (k − 1)/2, with the bit that makes the top window positive, and a digit of zeros.
    bits: [Block; SCALAR_DIGITS + 1],
    minus: FeBlocks,
    plus: FeBlocks,
    t: FeBlocks,
    z: FeBlocks,
}

/// Between the halves of an addition.
#[derive(Clone, Copy)]
struct Factors<L> {
    e: Fe<L>,
    f: Fe<L>,
    g: Fe<L>,
    h: Fe<L>,
}

const _: () = assert!(WINDOW_BITS * WINDOWS <= 52 * SCALAR_DIGITS, "the sign of the top window must fit");

/// Where a window lies.
#[derive(Clone, Copy)]
struct Position {
    digit: usize,
    shift: u32,
}

impl Position {
    #[expect(clippy::cast_possible_truncation, reason = "below 64")]
    fn of(window: usize) -> Self {
        let bit = window * WINDOW_BITS;
        Self { digit: bit / DIGIT_BITS as usize, shift: bit as u32 % DIGIT_BITS }
    }
}

impl Comb {
    /// Starts with the scalar, which must be below ℓ, and the point at infinity's opposite: the neutral point.
    #[inline(always)]
    pub(crate) fn start<L: Lanes>(&mut self, scalar: Scalar<L>) {
        let top = WINDOW_BITS * WINDOWS - 1;
        let mut odd = [Block::default(); SCALAR_DIGITS];
        scalar.make_odd().store(&mut odd);
        let digits: [L; SCALAR_DIGITS] = load_all(&odd);
        for i in 0..SCALAR_DIGITS {
            let above = if i + 1 < SCALAR_DIGITS { digits[i + 1] } else { L::splat(0) };
            let half = digits[i].shr::<1>().or(above.shl::<63>().shr::<12>());
            let sign = if i == top / 52 { 1 << (top % 52) } else { 0 };
            half.or(L::splat(sign)).store(&mut self.bits[i]);
        }
        L::splat(0).store(&mut self.bits[SCALAR_DIGITS]);
        erase(&mut odd);
        let (zero, one) = (Fe::<L>::small(0), Fe::<L>::small(1));
        one.store(&mut self.minus);
        one.store(&mut self.plus);
        zero.store(&mut self.t);
        one.store(&mut self.z);
    }

    /// The first half of adding the entry of one window: the three multiplications of H. Hisil et al., "Twisted Edwards
    /// curves revisited", §3.1, that stand before the sums.
    #[inline(always)]
    fn multiply_entry<L: Lanes>(&self, window: &Window, at: Position) -> Factors<L> {
        let here = L::load(&self.bits[at.digit]).shr_by(at.shift);
        let bits = here.or(L::load(&self.bits[at.digit + 1]).shl_by(DIGIT_BITS - at.shift));
        let is_negative = bits.and(L::splat(1 << (WINDOW_BITS - 1))).is_zero();
        let index = L::select(is_negative, bits.xor(L::splat(u64::MAX)), bits);
        let [minus, plus, xyd] = array(
            #[inline(always)]
            |coordinate| {
                Fe::from_digits(array(
                    #[inline(always)]
                    |digit| L::lookup(&window.0[coordinate][digit], index),
                ))
            },
        );
        // −(x, y) = (−x, y): y − x and y + x change places, as do F and G below, which differ in the sign of 2dxy.
        let a = Fe::load(&self.minus).mul(Fe::select(is_negative, plus, minus));
        let b = Fe::load(&self.plus).mul(Fe::select(is_negative, minus, plus));
        let c = Fe::load(&self.t).mul(xyd);
        let (sum, difference) = Product::load(&self.z).twice_plus_minus(c);
        Factors {
            e: b.sub(a).carry(),
            f: Sum::select(is_negative, sum, difference).carry(),
            g: Sum::select(is_negative, difference, sum).carry(),
            h: b.add(a).carry(),
        }
    }

    /// The second half: four multiplications.
    #[inline(always)]
    fn multiply_factors<L: Lanes>(&mut self, Factors { e, f, g, h }: Factors<L>) {
        let (x, y) = (e.mul(f), g.mul(h));
        y.sub(x).carry().store(&mut self.minus);
        y.add(x).carry().store(&mut self.plus);
        e.mul(h).carry().store(&mut self.t);
        f.mul(g).store(&mut self.z);
    }

    /// 2X, 2Y, 2Z.
    #[inline(always)]
    pub(crate) fn coordinates<L: Lanes>(&self) -> [Fe<L>; 3] {
        let (minus, plus) = (Fe::<L>::load(&self.minus), Fe::<L>::load(&self.plus));
        let z = Product::<L>::load(&self.z);
        [plus.sub(minus).carry(), plus.add(minus).carry(), z.add(z).carry()]
    }

    /// Zeros, for the scalar and what would tell it.
    pub(crate) fn erase(&mut self) {
        erase(&mut self.bits);
        for blocks in [&mut self.minus, &mut self.plus, &mut self.t, &mut self.z] {
            erase(blocks);
        }
    }
}

/// One window for all vectors.
fn add_window<L: Lanes>(number: usize, window: &Window, combs: &mut [Comb]) {
    L::run(
        #[inline(always)]
        || {
            let at = Position::of(number);
            for comb in combs {
                let factors = comb.multiply_entry::<L>(window, at);
                comb.multiply_factors(factors);
            }
        },
    );
}

/// Adds up the entries of all windows.
pub(crate) fn multiply_base<L: Lanes>(combs: &mut [Comb]) {
    for (number, window) in COMB.iter().enumerate() {
        let spoilt = faults::strike_table(number, window);
        add_window::<L>(number, spoilt.as_deref().unwrap_or(window), combs);
        for comb in &mut *combs {
            faults::strike(Site::CombBits, &mut comb.bits);
            for blocks in [&mut comb.minus, &mut comb.plus, &mut comb.t, &mut comb.z] {
                faults::strike(Site::CombPoint, blocks);
            }
        }
    }
}
