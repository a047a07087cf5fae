//! Sums of points, in the coordinates XYZZ: x = X / ZZ, y = Y / ZZZ, ZZ³ = ZZZ² (P. L. Montgomery's; Explicit-Formulas
//! Database, "madd-2008-s" and "add-2008-s"). Neither addition knows equal or opposite points: the comb has none.
//!
//! Bounds between additions, in multiples of p: X < 1.1, Y < 2.3, ZZ < 1.2, ZZZ < 1.2. Where digits have a factor of 2^4
//! above p (P-256), a·b < αβp² gives a product below (αβ/16 + 1)p; the comments count with that. On P-384 the factor is 2^32:
//! X < 7 and products stay below 1.01.

use crate::ecdsa::curve::Curve;
use crate::ecdsa::field::{
    Digits, Element, carry, digits, load, multiply, multiply_add, splat, spread, square, square_add, store,
    streams, subtract,
};
use crate::ecdsa::modulus::Modulus;
use crate::lanes::{Block, Lanes, Mask, erase};

/// Selected entries of a comb, one for each stream. The point is (x, y) or, in the lanes of `negative`, (x, −y).
pub(crate) struct Entries<L, const N: usize, const S: usize> {
    pub(crate) x: [Digits<L, N>; S],
    pub(crate) y: [Digits<L, N>; S],
    pub(crate) tag: [L; S],
    pub(crate) negative: [Mask; S],
}

/// A sum of points in memory, clean, with the sum of its tags.
#[derive(Clone)]
pub(crate) struct Sum<const N: usize> {
    pub(crate) x: Element<N>,
    pub(crate) y: Element<N>,
    pub(crate) zz: Element<N>,
    pub(crate) zzz: Element<N>,
    /// Signed: what multiple of G this is, modulo the tags' modulus, up to ± 2^58.
    pub(crate) tag: Block,
}

impl<const N: usize> Sum<N> {
    /// Nothing yet.
    pub(crate) const EMPTY: Self = {
        const ZERO: Block = Block([0; 8]);
        Self { x: [ZERO; N], y: [ZERO; N], zz: [ZERO; N], zzz: [ZERO; N], tag: ZERO }
    };

    /// Forgets it.
    pub(crate) fn erase(&mut self) {
        for memory in [&mut self.x, &mut self.y, &mut self.zz, &mut self.zzz] {
            erase(memory);
        }
        erase(core::slice::from_mut(&mut self.tag));
    }

    /// One entry. Y is up to 2p.
    #[inline(always)]
    pub(crate) fn begin<L: Lanes, C: Curve<N>>(&mut self, entries: &Entries<L, N, 1>) {
        let [x, y] = [entries.x[0], entries.y[0]];
        let opposite = subtract(splat(&const { spread::<C::Field, N>(2, 52) }), &y);
        let mut y = [digits!(j => L::select(entries.negative[0], opposite[j], y[j]))];
        carry(&mut y);
        store(x, &mut self.x);
        store(y[0], &mut self.y);
        store::<L, N>(splat(&C::Field::R), &mut self.zz);
        store::<L, N>(splat(&C::Field::R), &mut self.zzz);
        signed(L::splat(0), entries, 0).store(&mut self.tag);
    }

    /// Adds an entry to each sum.
    #[inline(always)]
    pub(crate) fn add<L: Lanes, C: Curve<N>, const S: usize>(
        sums: [&mut Self; S],
        entries: &Entries<L, N, S>,
    ) {
        let level = splat(&const { spread::<C::Field, N>(C::Field::TIGHT, 53) });
        let [x, y] = [
            from::<L, N, S>(
                &sums,
                #[inline(always)]
                |sum| &sum.x,
            ),
            from(
                &sums,
                #[inline(always)]
                |sum| &sum.y,
            ),
        ];
        let [zz, zzz] = [
            from(
                &sums,
                #[inline(always)]
                |sum| &sum.zz,
            ),
            from(
                &sums,
                #[inline(always)]
                |sum| &sum.zzz,
            ),
        ];
        // x₂·ZZ < 1.1, so P < 3.1.
        let mut p =
            multiply_add::<L, C::Field, N, S, 1>([(&entries.x, &zz)], streams!(s => subtract(level, &x[s])));
        carry(&mut p);
        // ± y₂·ZZZ − Y + 4p < 5.1: 2.3 + 1.1 < 4.
        let rise = multiply_add::<L, C::Field, N, S, 1>([(&entries.y, &zzz)], [[L::splat(0); N]; S]);
        let mut r = streams!(s => {
            let level = subtract(splat(&const { spread::<C::Field, N>(4, 58) }), &y[s]);
            let negative = entries.negative[s];
            digits!(j => L::select(negative, level[j].sub(rise[s][j]), level[j].add(rise[s][j])))
        });
        carry(&mut r);
        let pp = square::<L, C::Field, N, S>(&p);
        let ppp = multiply::<L, C::Field, N, S>(&p, &pp);
        let [zz, zzz] = [multiply::<L, C::Field, N, S>(&zz, &pp), multiply::<L, C::Field, N, S>(&zzz, &ppp)];
        let q = multiply::<L, C::Field, N, S>(&x, &pp);
        let (x, y) = finish::<L, C, N, S>(&r, &ppp, &q, &y);
        for (s, sum) in sums.into_iter().enumerate() {
            store(x[s], &mut sum.x);
            store(y[s], &mut sum.y);
            store(zz[s], &mut sum.zz);
            store(zzz[s], &mut sum.zzz);
            signed(L::load(&sum.tag), entries, s).store(&mut sum.tag);
        }
    }

    /// Adds two sums.
    #[inline(always)]
    pub(crate) fn join<L: Lanes, C: Curve<N>>(&mut self, other: &Self) {
        // One multiplication beside another: U₁ and U₂, S₁ and S₂, ZZ and ZZZ, all below 1.2.
        let [u, v] = multiply::<L, C::Field, N, 2>(
            &[load(&self.x), load(&other.x)],
            &[load(&other.zz), load(&self.zz)],
        );
        let [s, t] = multiply::<L, C::Field, N, 2>(
            &[load(&self.y), load(&other.y)],
            &[load(&other.zzz), load(&self.zzz)],
        );
        let z = multiply::<L, C::Field, N, 2>(
            &[load(&self.zz), load(&self.zzz)],
            &[load(&other.zz), load(&other.zzz)],
        );
        let two = splat(&const { spread::<C::Field, N>(2, 53) });
        let [from_v, from_t]: [Digits<L, N>; 2] = [subtract(two, &u), subtract(two, &s)];
        let mut differences = [digits!(j => from_v[j].add(v[j])), digits!(j => from_t[j].add(t[j]))];
        carry(&mut differences);
        let [p, r] = differences;
        let [pp] = square::<L, C::Field, N, 1>(&[p]);
        let [ppp, q] = multiply::<L, C::Field, N, 2>(&[p, u], &[pp, pp]);
        let [zz, zzz] = multiply::<L, C::Field, N, 2>(&z, &[pp, ppp]);
        let (x, y) = finish::<L, C, N, 1>(&[r], &[ppp], &[q], &[s]);
        store(x[0], &mut self.x);
        store(y[0], &mut self.y);
        store(zz, &mut self.zz);
        store(zzz, &mut self.zzz);
        L::load(&self.tag).add(L::load(&other.tag)).store(&mut self.tag);
    }
}

/// X = R² − PPP − 2Q and Y = R(Q − X) − Y₁·PPP, where R < 5.1, PPP < 1.4, Q < 1.2 and Y₁ < 2.3.
#[inline(always)]
fn finish<L: Lanes, C: Curve<N>, const N: usize, const S: usize>(
    r: &[Digits<L, N>; S],
    ppp: &[Digits<L, N>; S],
    q: &[Digits<L, N>; S],
    y: &[Digits<L, N>; S],
) -> ([Digits<L, N>; S], [Digits<L, N>; S]) {
    // 4p − PPP − 2Q > 0: 1.4 + 2.4 < 4. The sum is below 7p, and tightened below 1.1.
    let four = splat(&const { spread::<C::Field, N>(4, 54) });
    let level = streams!(s => subtract(subtract(subtract(four, &ppp[s]), &q[s]), &q[s]));
    let mut x = square_add::<L, C::Field, N, S>(r, level);
    for value in &mut x {
        C::Field::tighten(value);
    }
    carry(&mut x);
    // Q − X + 2p < 3.2 and 3p − Y₁ ≤ 3, so Y < 1 + (5.1 · 3.2 + 3 · 1.4) / 16 < 2.3.
    let level: Digits<L, N> = splat(&const { spread::<C::Field, N>(C::Field::TIGHT, 53) });
    let mut fall = streams!(s => digits!(j => level[j].sub(x[s][j]).add(q[s][j])));
    carry(&mut fall);
    let mut opposite = streams!(s => subtract(splat(&const { spread::<C::Field, N>(3, 53) }), &y[s]));
    carry(&mut opposite);
    let mut y = multiply_add::<L, C::Field, N, S, 2>([(r, &fall), (&opposite, ppp)], [[L::splat(0); N]; S]);
    carry(&mut y);
    (x, y)
}

#[inline(always)]
fn from<L: Lanes, const N: usize, const S: usize>(
    sums: &[&mut Sum<N>; S],
    part: impl Fn(&Sum<N>) -> &Element<N>,
) -> [Digits<L, N>; S] {
    streams!(s => load(part(&*sums[s])))
}

/// The tag with the sign of its point, added.
#[inline(always)]
fn signed<L: Lanes, const N: usize, const S: usize>(sum: L, entries: &Entries<L, N, S>, stream: usize) -> L {
    let tag = entries.tag[stream];
    L::select(entries.negative[stream], sum.sub(tag), sum.add(tag))
}
