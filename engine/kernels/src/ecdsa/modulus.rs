//! The four primes: two fields of coordinates, two of scalars.

use crate::ecdsa::constants::{p256, p384};
use crate::lanes::{DIGIT_BITS, DIGIT_MASK, Lanes};

/// A prime below 2^(52 · N), R = 2^(52 · N).
pub(crate) trait Modulus<const N: usize>: 'static {
    /// The prime.
    const PRIME: [u64; N];
    /// R modulo the prime: one in Montgomery form.
    const R: [u64; N];
    /// R².
    const R2: [u64; N];
    /// R³.
    const R3: [u64; N];
    /// −prime⁻¹ modulo 2^52.
    const NEGATED_INVERSE: u64 = DIGIT_MASK + 1 - inverse(Self::PRIME[0]) % (DIGIT_MASK + 1);

    /// What [`Modulus::tighten`] leaves is below this multiple of the prime.
    const TIGHT: u64 = 7;

    /// Brings a raw value below 7 times the prime under 1.01 times, if the digits have so little room above the prime that
    /// products of larger ones would grow. Digits below the top one must be at least 2^52.
    #[inline(always)]
    fn tighten<L: Lanes>(_raw: &mut [L; N]) {}

    /// Adds the multiple of the prime that makes the lowest digit zero, and divides by 2^52. `top` comes in from above.
    ///
    /// Digits may have up to 63 bits; they grow by less than 2^54.
    #[inline(always)]
    fn reduce<L: Lanes>(sum: &mut [L; N], top: L) {
        let prime = Self::PRIME.map(L::splat);
        let factor = L::splat(0).madd_lo(sum[0], L::splat(Self::NEGATED_INVERSE));
        let carry = sum[0].madd_lo(factor, prime[0]).shr::<DIGIT_BITS>();
        for j in 0..N {
            let above = if j + 1 < N { sum[j + 1].madd_lo(factor, prime[j + 1]) } else { top };
            sum[j] = above.madd_hi(factor, prime[j]);
        }
        sum[0] = sum[0].add(carry);
    }
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration.
pub(crate) const fn inverse(odd: u64) -> u64 {
    let mut found = odd;
    let mut round = 0;
    while round < 5 {
        found = found.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(found)));
        round += 1;
    }
    found
}

macro_rules! primes {
    ($prime:ident, $r:ident, $r2:ident, $r3:ident from $module:ident) => {
        const PRIME: [u64; $module::DIGITS] = $module::$prime;
        const R: [u64; $module::DIGITS] = $module::$r;
        const R2: [u64; $module::DIGITS] = $module::$r2;
        const R3: [u64; $module::DIGITS] = $module::$r3;
    };
}

/// Coordinates of P-256.
pub(crate) struct P256Field;

impl Modulus<5> for P256Field {
    primes!(P, P_R, P_R2, P_R3 from p256);

    const TIGHT: u64 = 2;

    /// p = 2^256 − 2^224 + 2^192 + 2^96 − 1 is −1 modulo 2^52, so the factor is the lowest digit itself, and adding
    /// −1 times it leaves its carry.
    #[inline(always)]
    fn reduce<L: Lanes>(sum: &mut [L; 5], top: L) {
        let factor = sum[0];
        let carry = factor.shr::<DIGIT_BITS>();
        let [at_96, at_192, at_256] = [L::splat(1 << 44), L::splat(1 << 36), L::splat((1 << 48) - (1 << 16))];
        sum[0] = sum[1].madd_lo(factor, at_96).add(carry);
        sum[1] = sum[2].madd_hi(factor, at_96);
        sum[2] = sum[3].madd_lo(factor, at_192);
        sum[3] = sum[4].madd_hi(factor, at_192).madd_lo(factor, at_256);
        sum[4] = top.madd_hi(factor, at_256);
    }

    /// Replaces h · 2^256 by h · (2^256 − p) = h · (2^224 − 2^192 − 2^96 + 1).
    #[inline(always)]
    fn tighten<L: Lanes>(raw: &mut [L; 5]) {
        let excess = raw[4].shr::<48>();
        raw[0] = raw[0].add(excess);
        raw[1] = raw[1].sub(excess.shl::<44>());
        raw[3] = raw[3].sub(excess.shl::<36>());
        raw[4] = raw[4].and(L::splat((1 << 48) - 1)).add(excess.shl::<16>());
    }
}

/// Scalars of P-256.
pub(crate) struct P256Order;

impl Modulus<5> for P256Order {
    primes!(ORDER, ORDER_R, ORDER_R2, ORDER_R3 from p256);
}

/// Coordinates of P-384.
pub(crate) struct P384Field;

impl Modulus<8> for P384Field {
    primes!(P, P_R, P_R2, P_R3 from p384);
}

/// Scalars of P-384.
pub(crate) struct P384Order;

impl Modulus<8> for P384Order {
    primes!(ORDER, ORDER_R, ORDER_R2, ORDER_R3 from p384);
}
