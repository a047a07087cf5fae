//! A private key, prepared.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::checksum::checksum;
use super::modulus::Prepared;
use super::montgomery::{self, Modulus, Scratch};
use super::number::{Digits, Number};
use super::power::Exponent;
use super::public::{PublicKey, read};
use super::{KeyError, carry, stripped};
use crate::Kernels;
use crate::lanes::{DIGIT_BITS, DIGIT_MASK, Lanes};
use crate::tier::Kernel;

/// The numbers of an `RSAPrivateKey` (RFC 8017, A.1.2), big-endian; leading zeros may be there. The private exponent
/// itself is not needed.
#[derive(Clone, Copy)]
pub struct PrivateParts<'a> {
    /// The modulus n.
    pub modulus: &'a [u8],
    /// The public exponent e.
    pub public_exponent: &'a [u8],
    /// The prime p.
    pub p: &'a [u8],
    /// The prime q.
    pub q: &'a [u8],
    /// d mod (p − 1).
    pub dp: &'a [u8],
    /// d mod (q − 1).
    pub dq: &'a [u8],
    /// q⁻¹ mod p.
    pub q_inverse: &'a [u8],
}

/// What one of the two lanes of an operation needs.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct Half<const HALF: usize> {
    pub(super) prime: Prepared<HALF>,
    /// R³ mod the prime.
    pub(super) r3: Digits<HALF>,
    /// d mod (prime − 1).
    pub(super) exponent: Exponent<HALF>,
    /// −e mod (prime − 1).
    pub(super) unblinding: Exponent<HALF>,
}

/// A private key of `OCTETS` octets, prepared for its two lanes.
///
/// It has the public key twice: what an operation uses, and what its check uses.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PrivateKey<const HALF: usize, const FULL: usize, const OCTETS: usize> {
    /// p, then q.
    pub(super) halves: [Half<HALF>; 2],
    /// q⁻¹·R mod p.
    pub(super) q_inverse: Digits<HALF>,
    pub(super) modulus: Prepared<FULL>,
    pub(super) public: PublicKey<FULL, OCTETS>,
    checksum: u64,
}

impl<const HALF: usize, const FULL: usize, const OCTETS: usize> PrivateKey<HALF, FULL, OCTETS> {
    /// Prepares a key. [`KeyError::Unsupported`] means that the numbers may well be a key, but not one of two primes of
    /// exactly half the size: it belongs on another path. [`KeyError::Inconsistent`] means that they are no key.
    ///
    /// Branches tell the lengths of the numbers, and whether they belong together.
    pub fn new(kernels: Kernels, parts: &PrivateParts<'_>) -> Result<Self, KeyError> {
        let (modulus, e) = read::<FULL, OCTETS>(parts.modulus, parts.public_exponent)?;
        let numbers = [parts.p, parts.q, parts.dp, parts.dq, parts.q_inverse].map(stripped);
        let is_long = |prime: &[u8]| prime.len() == OCTETS / 2 && prime[0] >= 0x80;
        if !is_long(numbers[0]) || !is_long(numbers[1]) {
            return Err(KeyError::Unsupported);
        }
        if numbers.iter().any(|number| number.len() > OCTETS / 2) {
            return Err(KeyError::Inconsistent);
        }
        let mut raw = Raw { modulus, e, numbers: numbers.map(Digits::from_octets) };
        let key = kernels.dispatch(Assemble::<HALF, FULL, OCTETS> { raw: &raw });
        raw.numbers.zeroize();
        key
    }

    /// The public key, as the check uses it.
    pub fn public(&self) -> &PublicKey<FULL, OCTETS> {
        &self.public
    }

    /// Whether no word of it has changed since it was made.
    pub(super) fn is_intact(&self) -> bool {
        self.checksum == self.computed_checksum() && self.public.is_intact()
    }

    /// Names the key for [`super::Blinding`].
    pub(super) fn tag(&self) -> u64 {
        self.checksum
    }

    fn computed_checksum(&self) -> u64 {
        let halves = self.halves.iter().flat_map(Half::parts);
        checksum(halves.chain([self.q_inverse.0.as_flattened()]).chain(self.modulus.parts()))
    }

    /// Makes the sums fit the words again, for tests that damage them.
    #[cfg(test)]
    pub(super) fn reseal(&mut self) {
        self.checksum = self.computed_checksum();
        self.public.reseal();
    }

    /// Every word, for tests that damage them.
    #[cfg(test)]
    pub(super) fn words_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        let halves = self.halves.iter_mut().flat_map(Half::parts_mut);
        let rest = [self.q_inverse.0.as_flattened_mut(), core::slice::from_mut(&mut self.checksum)];
        halves.chain(rest).chain(self.modulus.parts_mut()).chain(self.public.parts_mut()).flatten()
    }
}

impl<const HALF: usize> Half<HALF> {
    fn parts(&self) -> [&[u64]; 6] {
        let [n, inverse, r2] = self.prime.parts();
        let exponents = [self.exponent.0.as_flattened(), self.unblinding.0.as_flattened()];
        [n, inverse, r2, self.r3.0.as_flattened(), exponents[0], exponents[1]]
    }

    #[cfg(test)]
    fn parts_mut(&mut self) -> [&mut [u64]; 6] {
        let Self { prime, r3, exponent, unblinding } = self;
        let [n, inverse, r2] = prime.parts_mut();
        let exponents = [exponent.0.as_flattened_mut(), unblinding.0.as_flattened_mut()];
        let [exponent, unblinding] = exponents;
        [n, inverse, r2, r3.0.as_flattened_mut(), exponent, unblinding]
    }
}

struct Raw<const HALF: usize, const FULL: usize> {
    modulus: Digits<FULL>,
    e: u64,
    /// p, q, dp, dq, qInv.
    numbers: [Digits<HALF>; 5],
}

struct Assemble<'a, const HALF: usize, const FULL: usize, const OCTETS: usize> {
    raw: &'a Raw<HALF, FULL>,
}

impl<const HALF: usize, const FULL: usize, const OCTETS: usize> Kernel for Assemble<'_, HALF, FULL, OCTETS> {
    type Output = Result<PrivateKey<HALF, FULL, OCTETS>, KeyError>;

    fn run<L: Lanes>(self) -> Self::Output {
        let Raw { modulus: n, e, numbers: [p, q, dp, dq, q_inverse] } = self.raw;
        if !p.is_odd() || !q.is_odd() || !is_product::<L, HALF, FULL>(n, p, q) {
            return Err(KeyError::Inconsistent);
        }
        let primes = Prepared::new::<L, 2>([p, q]);
        let mut constants = Constants::new::<L>(&primes, q_inverse);
        let belong = constants.is_inverse
            && is_inverse::<HALF, FULL>(*e, dp, p)
            && is_inverse::<HALF, FULL>(*e, dq, q);
        let [r3_p, r3_q] = constants.r3;
        let [prime_p, prime_q] = primes;
        let half = |prime: Prepared<HALF>, r3, exponent| Half {
            unblinding: Exponent::new(&minus_e(&prime.n, *e)),
            prime,
            r3,
            exponent: Exponent::new(exponent),
        };
        let [modulus] = Prepared::new::<L, 1>([n]);
        let mut key = PrivateKey {
            halves: [half(prime_p, r3_p, dp), half(prime_q, r3_q, dq)],
            q_inverse: constants.q_inverse,
            public: PublicKey::assemble(modulus.clone(), *e),
            modulus,
            checksum: 0,
        };
        constants.zeroize();
        key.checksum = key.computed_checksum();
        if belong { Ok(key) } else { Err(KeyError::Inconsistent) }
    }
}

/// What follows from the primes' constants.
#[derive(Zeroize)]
struct Constants<const HALF: usize> {
    r3: [Digits<HALF>; 2],
    /// q⁻¹·R mod p.
    q_inverse: Digits<HALF>,
    /// Whether q⁻¹·q is one modulo p.
    is_inverse: bool,
}

impl<const HALF: usize> Constants<HALF> {
    fn new<L: Lanes>(primes: &[Prepared<HALF>; 2], q_inverse: &Digits<HALF>) -> Self {
        let mut modulus = Modulus::ZERO;
        let (mut r2, mut x, mut y) = (Number::ZERO, Number::ZERO, Number::ZERO);
        let mut scratch = Scratch::ZERO;
        for lane in 0..8 {
            modulus.set_lane(lane, &primes[lane % 2]);
            r2.set_lane(lane, &primes[lane % 2].r2);
        }
        // Lanes 0 and 1: R²·R²/R. Lane 2, modulo p: q⁻¹·R²/R, and then q⁻¹·R·q/R.
        x.set_lane(0, &primes[0].r2);
        x.set_lane(1, &primes[1].r2);
        x.set_lane(2, q_inverse);
        montgomery::multiply::<L, HALF>(&mut x, &r2, &modulus, &mut scratch);
        carry::canonical::<L, HALF>(&mut x, &modulus.n);
        let (r3, q_inverse) = ([x.lane(0), x.lane(1)], x.lane(2));
        y.set_lane(2, &primes[1].n);
        montgomery::multiply::<L, HALF>(&mut x, &y, &modulus, &mut scratch);
        carry::canonical::<L, HALF>(&mut x, &modulus.n);
        let is_inverse = x.lane(2) == Digits::small(1);
        for number in [&mut r2, &mut x, &mut y] {
            crate::lanes::erase(number.blocks_mut());
        }
        modulus.erase();
        scratch.erase();
        Self { r3, q_inverse, is_inverse }
    }
}

/// Whether n = p·q.
fn is_product<L: Lanes, const HALF: usize, const FULL: usize>(
    n: &Digits<FULL>,
    p: &Digits<HALF>,
    q: &Digits<HALF>,
) -> bool {
    let (mut product, mut a, mut b) = (Number::<FULL>::ZERO, Number::ZERO, Number::ZERO);
    a.set_lane(0, p);
    b.set_lane(0, q);
    montgomery::product::<L, HALF, FULL>(&mut product, &a, &b, &Number::ZERO);
    crate::lanes::erase(a.blocks_mut());
    crate::lanes::erase(b.blocks_mut());
    product.lane(0) == *n
}

/// Whether e·x leaves one modulo prime − 1: long division, bit by bit, in constant time.
fn is_inverse<const HALF: usize, const FULL: usize>(e: u64, x: &Digits<HALF>, prime: &Digits<HALF>) -> bool {
    // e has at most 33 bits and x at most as many as the prime, so the quotient has at most 34.
    let mut rest = Digits::<FULL>::ZERO;
    let mut carry = 0u128;
    for (place, to) in rest.0.as_flattened_mut().iter_mut().enumerate() {
        carry += u128::from(e) * u128::from(digit(x, place));
        *to = low(carry);
        carry >>= DIGIT_BITS;
    }
    for shift in (0..=34).rev() {
        let divisor = |place: usize| {
            // prime − 1, shifted: the prime is odd.
            let here = (digit(prime, place) ^ u64::from(place == 0)) << shift & DIGIT_MASK;
            let below = place.checked_sub(1).map_or(0, |at| digit(prime, at) ^ u64::from(at == 0));
            here | below >> (DIGIT_BITS - shift)
        };
        let mut trial = rest;
        let mut borrow = 0u64;
        for (place, to) in trial.0.as_flattened_mut().iter_mut().enumerate() {
            let difference = to.wrapping_sub(divisor(place)).wrapping_sub(borrow);
            *to = difference & DIGIT_MASK;
            borrow = difference >> 63;
        }
        let keep = core::hint::black_box(borrow).wrapping_neg();
        for (to, new) in rest.0.as_flattened_mut().iter_mut().zip(trial.0.as_flattened()) {
            *to = (*to & keep) | (new & !keep);
        }
        trial.zeroize();
    }
    let is_one = rest == Digits::small(1);
    rest.zeroize();
    is_one
}

fn digit<const LIMBS: usize>(digits: &Digits<LIMBS>, place: usize) -> u64 {
    digits.0.as_flattened().get(place).copied().unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, reason = "the low digit is meant")]
fn low(word: u128) -> u64 {
    word as u64 & DIGIT_MASK
}

/// `prime − 1 − e`, which is −e modulo `prime − 1`.
fn minus_e<const HALF: usize>(prime: &Digits<HALF>, e: u64) -> Digits<HALF> {
    let mut digits = *prime;
    let mut borrow = e + 1;
    for digit in digits.0.as_flattened_mut() {
        let difference = digit.wrapping_sub(borrow);
        *digit = difference & DIGIT_MASK;
        borrow = difference >> 63;
    }
    digits
}
