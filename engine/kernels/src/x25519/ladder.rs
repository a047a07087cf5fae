//! Montgomery's ladder, RFC 7748 §5: 255 steps of 5 multiplications and 4 squarings.

use crate::field25519::{Fe, FeBlocks, Product, Words};
use crate::lanes::{Block, Lanes, array, erase};

/// Bits of a secret that the ladder reads.
const BITS: usize = 255;
/// (A − 2)/4 of the curve.
const A24: u32 = 121_665;

/// Where eight ladders stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Ladder {
    secrets: Words,
    /// The last bit of each lane, in its lowest place: whether the two points are exchanged.
    swapped: Block,
    peer: FeBlocks,
    /// X and Z of the two points, as products.
    points: [FeBlocks; 4],
}

/// Between the first two parts of a step: DA + CB, DA − CB, E, AA and BB of RFC 7748.
#[derive(Clone, Copy)]
struct Crossed<L> {
    sum: Fe<L>,
    difference: Fe<L>,
    e: Fe<L>,
    aa: Fe<L>,
    bb: Fe<L>,
}

impl Ladder {
    pub(super) fn secrets(&mut self) -> &mut Words {
        &mut self.secrets
    }

    pub(super) fn start<L: Lanes>(&mut self, peers: &Words) {
        L::run(
            #[inline(always)]
            || {
                let peer = Fe::<L>::from_words(peers);
                peer.store(&mut self.peer);
                let points = [Fe::small(1), Fe::small(0), peer, Fe::small(1)];
                for (point, to) in points.into_iter().zip(&mut self.points) {
                    point.store(to);
                }
                L::splat(0).store(&mut self.swapped);
            },
        );
    }

    #[inline(always)]
    fn load_points<L: Lanes>(&self) -> [Product<L>; 4] {
        array(
            #[inline(always)]
            |i| Product::load(&self.points[i]),
        )
    }

    /// The first part of a step: what both points have in common.
    #[inline(always)]
    fn cross<L: Lanes>(&mut self, word: usize, shift: u32) -> Crossed<L> {
        let bits = L::load(&self.secrets[word]).shr_by(shift);
        let stays = bits.xor(L::load(&self.swapped)).and(L::splat(1)).is_zero();
        bits.store(&mut self.swapped);
        let [x2, z2, x3, z3] = self.load_points::<L>();
        let (a, b) = (x2.add(z2).carry(), x2.sub(z2).carry());
        let (c, d) = (x3.add(z3).carry(), x3.sub(z3).carry());
        let (a, c) = (Fe::select(stays, a, c), Fe::select(stays, c, a));
        let (b, d) = (Fe::select(stays, b, d), Fe::select(stays, d, b));
        let (da, cb) = (d.mul(a), c.mul(b));
        let (aa, bb) = (a.square(), b.square());
        Crossed {
            sum: da.add(cb).carry(),
            difference: da.sub(cb).carry(),
            e: aa.sub(bb).carry(),
            aa: aa.carry(),
            bb: bb.carry(),
        }
    }

    /// The second part: x of both points, and the factors of z.
    #[inline(always)]
    fn square<L: Lanes>(&mut self, Crossed { sum, difference, e, aa, bb }: Crossed<L>) -> [Fe<L>; 3] {
        sum.square().store(&mut self.points[2]);
        aa.mul(bb).store(&mut self.points[0]);
        [difference.square().carry(), e, aa.add_times_small(A24, e).carry()]
    }

    /// The last part: z of both points.
    #[inline(always)]
    fn finish_step<L: Lanes>(&mut self, [difference, e, aa]: [Fe<L>; 3]) {
        difference.mul(Fe::load(&self.peer)).store(&mut self.points[3]);
        e.mul(aa).store(&mut self.points[1]);
    }

    /// X and Z of the multiple.
    pub(super) fn finish<L: Lanes>(&self, x: &mut FeBlocks, z: &mut FeBlocks) {
        L::run(
            #[inline(always)]
            || {
                let stays = L::load(&self.swapped).and(L::splat(1)).is_zero();
                let [x2, z2, x3, z3] = self.load_points::<L>();
                Fe::select(stays, x2.carry(), x3.carry()).store(x);
                Fe::select(stays, z2.carry(), z3.carry()).store(z);
            },
        );
    }

    pub(super) fn erase(&mut self) {
        erase(&mut self.secrets);
        erase(core::slice::from_mut(&mut self.swapped));
        self.points.iter_mut().for_each(|blocks| erase(blocks));
    }
}

/// All steps. Bits are the outer loop, so that steps of different vectors overlap.
pub(super) fn climb<L: Lanes>(ladders: &mut [Ladder]) {
    for bit in (0..BITS).rev() {
        #[expect(clippy::cast_possible_truncation, reason = "below 64")]
        let (word, shift) = (bit / 64, (bit % 64) as u32);
        L::run(
            #[inline(always)]
            || {
                for ladder in &mut *ladders {
                    let crossed = ladder.cross::<L>(word, shift);
                    let factors = ladder.square(crossed);
                    ladder.finish_step(factors);
                }
            },
        );
    }
}

#[cfg(test)]
impl Ladder {
    /// It is public.
    pub(super) fn forget_peer(&mut self) {
        erase(&mut self.peer);
    }
}
