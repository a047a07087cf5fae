//! Base blinding (P. Kocher, CRYPTO '96): an operation raises m·y^(−e) instead of m, and multiplies the result by y, so
//! that what runs over the secret exponent is a number that nobody outside knows or chose.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::crt::Purpose;
use super::montgomery;
use super::number::{Digits, Number};
use super::private::PrivateKey;
use super::sign::Workspace;
use crate::Kernels;
use crate::lanes::Lanes;
use crate::random::{Random, RandomFailed};
use crate::tier::Kernel;

/// Pairs of a key: as many as one group of lanes can use at once.
const PAIRS: usize = 8;
/// Uses of a pair, squared after each, before all are drawn anew (as BoringSSL and aws-lc do).
const USES_MAX: u32 = 32;
/// Octets of R per ten digits.
const OCTETS_PER_LIMB: usize = 65;

/// The blinding of one key: eight pairs of y^(−e) and y. It changes with every use, so it belongs to one worker; a worker
/// has one per key that it signs with. An empty one is filled when it is first used.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Blinding<const FULL: usize> {
    /// [`PrivateKey::tag`] of the key.
    owner: u64,
    /// Pairs given out since they were drawn.
    taken: u32,
    /// How often they were drawn, so that a pair's square does not come back to a later draw.
    draw: u64,
    pairs: [Pair<FULL>; PAIRS],
}

/// In Montgomery form.
#[derive(Clone, Zeroize)]
pub(super) struct Pair<const FULL: usize> {
    /// y^(−e).
    pub(super) factor: Digits<FULL>,
    /// y.
    pub(super) inverse: Digits<FULL>,
}

/// Where a pair came from.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    place: usize,
    draw: u64,
}

impl<const FULL: usize> Blinding<FULL> {
    /// Nothing drawn yet.
    pub const EMPTY: Self = Self {
        owner: 0,
        taken: u32::MAX,
        draw: 0,
        pairs: [const { Pair { factor: Digits::ZERO, inverse: Digits::ZERO } }; PAIRS],
    };

    /// Makes the next use draw anew.
    pub fn expire(&mut self) {
        self.taken = u32::MAX;
    }

    /// Draws pairs for a key, which [`super::sign`] otherwise does itself when it finds none. It costs as much as eight
    /// private operations, once in 256 uses.
    pub fn renew<const HALF: usize, const OCTETS: usize>(
        &mut self,
        kernels: Kernels,
        key: &PrivateKey<HALF, FULL, OCTETS>,
        random: &mut dyn Random,
        work: &mut Workspace<HALF, FULL>,
    ) -> Result<(), RandomFailed> {
        let done = kernels.dispatch(Renew { blinding: self, key, random, work });
        work.erase();
        done
    }

    /// The next pair for this key.
    pub(super) fn take<L: Lanes, const HALF: usize, const OCTETS: usize>(
        &mut self,
        key: &PrivateKey<HALF, FULL, OCTETS>,
        random: &mut dyn Random,
        work: &mut Workspace<HALF, FULL>,
    ) -> Result<(&Pair<FULL>, Origin), RandomFailed> {
        let uses_max = USES_MAX * u32::try_from(PAIRS).unwrap_or(u32::MAX);
        if self.taken >= uses_max || self.owner != key.tag() {
            self.draw::<L, HALF, OCTETS>(key, random, work)?;
        }
        let place = self.taken as usize % PAIRS;
        self.taken += 1;
        Ok((&self.pairs[place], Origin { place, draw: self.draw }))
    }

    /// Puts a pair's square in its place, unless others were drawn meanwhile.
    pub(super) fn put(&mut self, origin: Origin, factor: &Number<FULL>, inverse: &Number<FULL>, lane: usize) {
        if self.draw == origin.draw {
            let pair = &mut self.pairs[origin.place];
            pair.factor = factor.lane(lane);
            pair.inverse = inverse.lane(lane);
        }
    }

    fn draw<L: Lanes, const HALF: usize, const OCTETS: usize>(
        &mut self,
        key: &PrivateKey<HALF, FULL, OCTETS>,
        random: &mut dyn Random,
        work: &mut Workspace<HALF, FULL>,
    ) -> Result<(), RandomFailed> {
        let mut octets = [[[0; OCTETS_PER_LIMB]; FULL]; PAIRS];
        random.fill(octets.as_flattened_mut().as_flattened_mut())?;
        self.expire();
        for (lane, octets) in octets.iter().enumerate() {
            work.blinding.modulus.set_lane(lane, &key.modulus);
            work.blinding.r2.set_lane(lane, &key.modulus.r2);
            // 32 bits more than n has, at least: the residue is as good as uniform.
            work.blinding.y.set_lane(lane, &Digits::from_octets(octets.as_flattened()));
        }
        octets.zeroize();
        let Workspace { crt, blinding, .. } = work;
        let Spare { modulus, r2, y, scratch } = blinding;
        montgomery::multiply::<L, FULL>(y, r2, modulus, scratch);
        crt.x = Number::ZERO;
        crt.x.0[0][0].0 = [1; 8];
        montgomery::multiply::<L, FULL>(&mut crt.x, y, modulus, scratch);
        crt.run::<L, OCTETS>([key; PAIRS], PAIRS, Purpose::Unblind);
        montgomery::multiply::<L, FULL>(&mut crt.x, r2, modulus, scratch);
        for (lane, pair) in self.pairs.iter_mut().enumerate() {
            pair.factor = crt.x.lane(lane);
            pair.inverse = y.lane(lane);
        }
        self.owner = key.tag();
        self.taken = 0;
        self.draw += 1;
        Ok(())
    }
}

/// What drawing works in.
#[derive(Clone)]
#[repr(C, align(64))]
pub(super) struct Spare<const FULL: usize> {
    modulus: montgomery::Modulus<FULL>,
    r2: Number<FULL>,
    y: Number<FULL>,
    scratch: montgomery::Scratch<FULL>,
}

impl<const FULL: usize> Spare<FULL> {
    pub(super) const ZERO: Self = Self {
        modulus: montgomery::Modulus::ZERO,
        r2: Number::ZERO,
        y: Number::ZERO,
        scratch: montgomery::Scratch::ZERO,
    };
}

struct Renew<'a, const HALF: usize, const FULL: usize, const OCTETS: usize> {
    blinding: &'a mut Blinding<FULL>,
    key: &'a PrivateKey<HALF, FULL, OCTETS>,
    random: &'a mut dyn Random,
    work: &'a mut Workspace<HALF, FULL>,
}

impl<const HALF: usize, const FULL: usize, const OCTETS: usize> Kernel for Renew<'_, HALF, FULL, OCTETS> {
    type Output = Result<(), RandomFailed>;

    fn run<L: Lanes>(self) -> Self::Output {
        self.blinding.draw::<L, HALF, OCTETS>(self.key, self.random, self.work)
    }
}

#[cfg(test)]
impl<const FULL: usize> Blinding<FULL> {
    /// Whether the next use draws.
    pub(super) fn is_spent(&self) -> bool {
        self.taken >= USES_MAX * PAIRS as u32
    }

    /// Whether any pair is another one.
    pub(super) fn differs(&self, other: &Self) -> bool {
        self.pairs.iter().zip(&other.pairs).all(|(a, b)| a.factor != b.factor && a.inverse != b.inverse)
    }

    /// Whether no pair is there twice.
    pub(super) fn all_pairs_differ(&self) -> bool {
        (0..PAIRS).all(|a| (0..a).all(|b| self.pairs[a].factor != self.pairs[b].factor))
    }

    /// Flips a bit of a pair.
    pub(super) fn damage(&mut self, pair: usize) {
        self.pairs[pair].factor.0[1][pair] ^= 1 << pair;
    }
}
