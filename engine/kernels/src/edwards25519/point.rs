//! Points of edwards25519 in extended coordinates, for the check.
//!
//! Formulas: H. Hisil, K. Wong, G. Carter, E. Dawson, "Twisted Edwards curves revisited", 2008, §3.1 and §3.3, a = −1. They hold
//! for all points.

use super::tables::{D, TWICE_D};
use crate::field25519::{Fe, FeBlocks, Product};
use crate::lanes::{Lanes, Mask};

/// A point in memory.
pub(crate) type PointBlocks = [FeBlocks; 4];

/// X : Y : Z with T = XY/Z.
#[derive(Clone, Copy)]
pub(crate) struct Point<L> {
    pub(crate) x: Fe<L>,
    pub(crate) y: Fe<L>,
    pub(crate) z: Fe<L>,
    pub(crate) t: Fe<L>,
}

/// An addend: Y − X, Y + X, 2·d·T, 2·Z.
#[derive(Clone, Copy)]
pub(crate) struct Addend<L> {
    minus: Fe<L>,
    plus: Fe<L>,
    twice_dt: Fe<L>,
    twice_z: Fe<L>,
}

impl<L: Lanes> Point<L> {
    #[inline(always)]
    pub(crate) fn neutral() -> Self {
        let (zero, one) = (Fe::small(0), Fe::small(1));
        Self { x: zero, y: one, z: one, t: zero }
    }

    #[inline(always)]
    pub(crate) fn affine(x: Fe<L>, y: Fe<L>) -> Self {
        Self { x, y, z: Fe::small(1), t: x.mul(y).carry() }
    }

    #[inline(always)]
    pub(crate) fn load([x, y, z, t]: &PointBlocks) -> Self {
        Self { x: Fe::load(x), y: Fe::load(y), z: Fe::load(z), t: Fe::load(t) }
    }

    #[inline(always)]
    pub(crate) fn store(self, [x, y, z, t]: &mut PointBlocks) {
        self.x.store(x);
        self.y.store(y);
        self.z.store(z);
        self.t.store(t);
    }

    #[inline(always)]
    fn from_factors(e: Fe<L>, f: Fe<L>, g: Fe<L>, h: Fe<L>) -> Self {
        Self { x: e.mul(f).carry(), y: g.mul(h).carry(), z: f.mul(g).carry(), t: e.mul(h).carry() }
    }

    /// self + other, or self − other in the lanes of `is_negative`.
    #[inline(always)]
    pub(crate) fn add(self, other: Addend<L>, is_negative: Mask) -> Self {
        let minus = Fe::select(is_negative, other.plus, other.minus);
        let plus = Fe::select(is_negative, other.minus, other.plus);
        let a = self.y.sub(self.x).carry().mul(minus);
        let b = self.y.add(self.x).carry().mul(plus);
        let (c, d) = (self.t.mul(other.twice_dt), self.z.mul(other.twice_z));
        let (low, high) = (d.sub(c).carry(), d.add(c).carry());
        let f = Fe::select(is_negative, high, low);
        let g = Fe::select(is_negative, low, high);
        Self::from_factors(b.sub(a).carry(), f, g, b.add(a).carry())
    }

    #[inline(always)]
    pub(crate) fn double(self) -> Self {
        let (a, b) = (self.x.square(), self.y.square());
        let sum = self.x.add(self.y).carry().square();
        let h = a.add(b).carry();
        let e = a.plus_minus(b, sum).carry();
        let g = a.sub(b).carry();
        let f = self.z.square().twice_plus(a.sub(b)).carry();
        Self::from_factors(e, f, g, h)
    }

    #[inline(always)]
    pub(crate) fn addend(self) -> Addend<L> {
        Addend {
            minus: self.y.sub(self.x).carry(),
            plus: self.y.add(self.x).carry(),
            twice_dt: self.t.mul(Fe::constant(TWICE_D)).carry(),
            twice_z: self.z.add(self.z).carry(),
        }
    }

    /// The lanes where both are the same point, and are points at all.
    #[inline(always)]
    pub(crate) fn equals(self, [x, y, z]: [Fe<L>; 3]) -> Mask {
        let zero = Fe::small(0);
        let same_x = self.x.mul(z).carry().equals(x.mul(self.z).carry());
        let same_y = self.y.mul(z).carry().equals(y.mul(self.z).carry());
        same_x & same_y & !self.z.equals(zero) & !z.equals(zero)
    }
}

/// The lanes where (x, y) lies on the curve: y² − x² = 1 + d·x²·y².
#[inline(always)]
pub(crate) fn is_on_curve<L: Lanes>(x: Fe<L>, y: Fe<L>) -> Mask {
    let (xx, yy) = (x.square(), y.square());
    let left = yy.sub(xx).carry();
    let product = xx.carry().mul(yy.carry()).carry().mul(Fe::constant(D));
    left.equals(product.add(Product::from_fe(Fe::small(1))).carry())
}

impl<L: Lanes> Addend<L> {
    #[inline(always)]
    pub(crate) fn load([minus, plus, twice_dt, twice_z]: &PointBlocks) -> Self {
        Self {
            minus: Fe::load(minus),
            plus: Fe::load(plus),
            twice_dt: Fe::load(twice_dt),
            twice_z: Fe::load(twice_z),
        }
    }

    #[inline(always)]
    pub(crate) fn store(self, [minus, plus, twice_dt, twice_z]: &mut PointBlocks) {
        self.minus.store(minus);
        self.plus.store(plus);
        self.twice_dt.store(twice_dt);
        self.twice_z.store(twice_z);
    }

    /// One of two in each lane.
    #[inline(always)]
    pub(crate) fn select(mask: Mask, on: Self, off: Self) -> Self {
        Self {
            minus: Fe::select(mask, on.minus, off.minus),
            plus: Fe::select(mask, on.plus, off.plus),
            twice_dt: Fe::select(mask, on.twice_dt, off.twice_dt),
            twice_z: Fe::select(mask, on.twice_z, off.twice_z),
        }
    }
}
