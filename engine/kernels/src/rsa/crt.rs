//! The private operation modulo n, as two modulo its primes: an operation is two lanes, so four operations fill a
//! vector, and eight share what happens modulo n.

use super::block::LIMB;
use super::carry;
use super::faults::{self, Site};
use super::montgomery::{self, Modulus, Scratch};
use super::number::Number;
use super::power::{Exponent, Exponents, Table};
use super::private::{Half, PrivateKey};
use crate::lanes::{Block, Lanes};

/// Operations whose exponentiations share a vector.
const TOGETHER: usize = 4;
/// Bits of a window. Five bits would save a fifth of the table's multiplications, but the table would not stay in L1.
const WINDOW: usize = 4;

/// Which power.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// x^d.
    Sign,
    /// x^(−e).
    Unblind,
}

/// What eight private operations work in.
#[derive(Clone)]
#[repr(C, align(64))]
pub(super) struct Crt<const HALF: usize, const FULL: usize> {
    /// In: what is raised, loose, below 2n. Out: the power, loose, the least residue modulo n.
    pub(super) x: Number<FULL>,
    modulus: Modulus<HALF>,
    r2: Number<HALF>,
    r3: Number<HALF>,
    exponents: Exponents<HALF>,
    base: Number<HALF>,
    other: Number<HALF>,
    one: Number<HALF>,
    table: Table<HALF, { 1 << WINDOW }>,
    scratch: Scratch<HALF>,
    /// The power modulo p and modulo q, of eight operations.
    residues: [Number<HALF>; 2],
}

impl<const HALF: usize, const FULL: usize> Crt<HALF, FULL> {
    pub(super) const ZERO: Self = Self {
        x: Number::ZERO,
        modulus: Modulus::ZERO,
        r2: Number::ZERO,
        r3: Number::ZERO,
        exponents: Exponents::ZERO,
        base: Number::ZERO,
        other: Number::ZERO,
        one: Number::ZERO,
        table: Table::ZERO,
        scratch: Scratch::ZERO,
        residues: [Number::ZERO; 2],
    };

    /// Raises `x` in the first `count` lanes; what comes out in the others is meaningless.
    pub(super) fn run<L: Lanes, const OCTETS: usize>(
        &mut self,
        keys: [&PrivateKey<HALF, FULL, OCTETS>; 8],
        count: usize,
        purpose: Purpose,
    ) {
        for first in (0..count).step_by(TOGETHER) {
            for place in 0..TOGETHER {
                for (prime, half) in keys[first + place].halves.iter().enumerate() {
                    self.load(prime * TOGETHER + place, half, purpose);
                }
                self.load_operand(first + place, place);
            }
            self.raise::<L>();
            for place in 0..TOGETHER {
                for prime in 0..2 {
                    let residue = self.base.lane(prime * TOGETHER + place);
                    self.residues[prime].set_lane(first + place, &residue);
                }
            }
        }
        self.recombine::<L, OCTETS>(keys);
    }

    fn load(&mut self, lane: usize, half: &Half<HALF>, purpose: Purpose) {
        let exponent: &Exponent<HALF> = match purpose {
            Purpose::Sign => &half.exponent,
            Purpose::Unblind => &half.unblinding,
        };
        self.modulus.set_lane(lane, &half.prime);
        self.r2.set_lane(lane, &half.prime.r2);
        self.r3.set_lane(lane, &half.r3);
        self.exponents.set_lane(lane, exponent);
    }

    /// Splits x in two halves, for both primes.
    fn load_operand(&mut self, from: usize, place: usize) {
        let digits = 10 * HALF;
        let halves = [&mut self.base, &mut self.other];
        for (half, blocks) in halves.into_iter().zip(self.x.blocks().chunks(digits)) {
            for (to, block) in half.blocks_mut().iter_mut().zip(blocks) {
                to.0[place] = block.0[from];
                to.0[TOGETHER + place] = block.0[from];
            }
        }
    }

    /// `base ← (base + other·R)^exponent`, the least residue.
    fn raise<L: Lanes>(&mut self) {
        let Self { modulus, r2, r3, exponents, base, other, one, table, scratch, .. } = self;
        faults::strike(Site::Operand, base.blocks_mut());
        faults::strike(Site::Operand, modulus.n.blocks_mut());
        montgomery::multiply::<L, HALF>(base, r2, modulus, scratch);
        montgomery::multiply::<L, HALF>(other, r3, modulus, scratch);
        carry::add::<L, HALF>(base, other);
        set_one(one);
        montgomery::multiply::<L, HALF>(one, r2, modulus, scratch);
        table.power::<L, WINDOW>(base, exponents, one, modulus, scratch);
        set_one(one);
        montgomery::multiply::<L, HALF>(base, one, modulus, scratch);
        carry::canonical::<L, HALF>(base, &modulus.n);
        faults::strike(Site::Crt, base.blocks_mut());
    }

    /// `x ← x_q + q·((x_p − x_q)·q⁻¹ mod p)` (RFC 8017, 5.1.2), which is below n because both residues are least.
    fn recombine<L: Lanes, const OCTETS: usize>(&mut self, keys: [&PrivateKey<HALF, FULL, OCTETS>; 8]) {
        let Self { x, modulus, base, other, scratch, residues: [of_p, of_q], .. } = self;
        for (lane, key) in keys.into_iter().enumerate() {
            modulus.set_lane(lane, &key.halves[0].prime);
            other.set_lane(lane, &key.q_inverse);
        }
        // Both primes have the same length, so a residue modulo q is below 2p.
        carry::subtract::<L, HALF>(of_p, of_q, &modulus.n);
        montgomery::multiply::<L, HALF>(of_p, other, modulus, scratch);
        carry::canonical::<L, HALF>(of_p, &modulus.n);
        faults::strike(Site::Crt, of_p.blocks_mut());
        for (lane, key) in keys.into_iter().enumerate() {
            base.set_lane(lane, &key.halves[1].prime.n);
        }
        montgomery::product::<L, HALF, FULL>(x, of_p, base, of_q);
        faults::strike(Site::Crt, x.blocks_mut());
    }
}

fn set_one<const LIMBS: usize>(number: &mut Number<LIMBS>) {
    *number = Number::ZERO;
    number.0[0][0] = Block([1; 8]);
}

const _: () = assert!(LIMB == 10);

#[cfg(test)]
impl<const HALF: usize, const FULL: usize> Crt<HALF, FULL> {
    /// Whether nothing but zeros is in it.
    pub(super) fn is_zero(&self) -> bool {
        let [of_p, of_q] = &self.residues;
        let numbers = [&self.modulus.n, &self.r2, &self.r3, &self.base, &self.other, of_p, of_q];
        numbers.into_iter().all(|number| *number == Number::ZERO) && self.table.is_zero()
    }
}
