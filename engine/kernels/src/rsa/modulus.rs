//! A modulus of one lane, and what Montgomery arithmetic needs to know of it.

use zeroize::Zeroize;

use super::carry;
use super::montgomery::{self, Modulus, Scratch};
use super::number::{Digits, Number};
use crate::lanes::{DIGIT_MASK, Lanes};

/// An odd number of exactly 512 bits per ten digits, with its constants; R = 2^520 per ten digits.
#[derive(Clone, Debug, Zeroize)]
pub(super) struct Prepared<const LIMBS: usize> {
    pub(super) n: Digits<LIMBS>,
    /// −n⁻¹ mod 2^52.
    pub(super) inverse: [u64; 1],
    /// R² mod n.
    pub(super) r2: Digits<LIMBS>,
}

impl<const LIMBS: usize> Prepared<LIMBS> {
    /// Prepares up to eight numbers at once.
    pub(super) fn new<L: Lanes, const COUNT: usize>(moduli: [&Digits<LIMBS>; COUNT]) -> [Self; COUNT] {
        let mut modulus = Modulus::ZERO;
        let mut x = Number::ZERO;
        for lane in 0..8 {
            let n = moduli[lane % COUNT];
            modulus.n.set_lane(lane, n);
            modulus.inverse.0[lane] = negated_inverse(n.0[0][0]);
            x.set_lane(lane, &complement(n));
        }
        // x = 2^(512·LIMBS) − n is 2^(512·LIMBS) mod n. Eight doublings per limb make it R, and as many as an eighth of
        // R's bits make it R·2^(65·LIMBS), whose exponent three squarings double to R².
        for _ in 0..(8 + 65) * LIMBS {
            carry::double::<L, LIMBS>(&mut x, &modulus.n);
        }
        let mut scratch = Scratch::ZERO;
        for _ in 0..3 {
            montgomery::square::<L, LIMBS>(&mut x, &modulus, &mut scratch);
        }
        carry::canonical::<L, LIMBS>(&mut x, &modulus.n);
        let prepared = core::array::from_fn(|lane| Self {
            n: *moduli[lane],
            inverse: [modulus.inverse.0[lane]],
            r2: x.lane(lane),
        });
        crate::lanes::erase(x.blocks_mut());
        modulus.erase();
        scratch.erase();
        prepared
    }

    /// Its words, for a checksum.
    pub(super) fn parts(&self) -> [&[u64]; 3] {
        [self.n.0.as_flattened(), &self.inverse, self.r2.0.as_flattened()]
    }

    /// Its words, for tests that damage them.
    #[cfg(test)]
    pub(super) fn parts_mut(&mut self) -> [&mut [u64]; 3] {
        [self.n.0.as_flattened_mut(), &mut self.inverse, self.r2.0.as_flattened_mut()]
    }
}

/// `2^(512·LIMBS) − n` for n of exactly that many bits.
fn complement<const LIMBS: usize>(n: &Digits<LIMBS>) -> Digits<LIMBS> {
    let mut digits = Digits::ZERO;
    let mut carry = 1;
    let bits = 512 * LIMBS;
    for (place, (to, &digit)) in digits.0.as_flattened_mut().iter_mut().zip(n.0.as_flattened()).enumerate() {
        // Only the bits below 2^(512·LIMBS) are turned over.
        let here = bits.saturating_sub(52 * place).min(52);
        let sum = (!digit & ((1 << here) - 1)) + carry;
        *to = sum & DIGIT_MASK;
        carry = sum >> 52;
    }
    digits
}

/// −n⁻¹ mod 2^52 for odd n: Newton's iteration doubles the correct bits, from three.
fn negated_inverse(n: u64) -> u64 {
    let mut inverse = n;
    for _ in 0..5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(n.wrapping_mul(inverse)));
    }
    inverse.wrapping_neg() & DIGIT_MASK
}
