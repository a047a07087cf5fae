//! Fingerprints of scalars, which the entries of the comb carry: an entry's is the multiple of G that it is, modulo a prime
//! of 52 bits. It is linear, so the signed sum over the selected entries must be the fingerprint of the scalar. A wrong
//! digit, sign, entry or window shifts the sum by less than 2^8 times a power of two, never by a multiple of the prime.

use crate::ecdsa::field::Digits;
use crate::lanes::{DIGIT_BITS, DIGIT_MASK, Lanes, Mask};

/// 2^52 ≡ 47.
const FOLD: u64 = 47;
/// 2^52 − 47, a prime; `build/emit.rs` has the same.
pub(crate) const MODULUS: u64 = (1 << DIGIT_BITS) - FOLD;

/// The lanes where `sum`, between −2^58 and 2^58, is the fingerprint of clean digits.
#[inline(always)]
pub(crate) fn agrees<L: Lanes, const N: usize>(sum: L, scalar: &Digits<L, N>) -> Mask {
    let mut fingerprint = L::splat(0);
    for j in (0..N).rev() {
        let zero = L::splat(0);
        let high = zero.madd_hi(fingerprint, L::splat(FOLD));
        fingerprint =
            reduce(scalar[j].madd_lo(fingerprint, L::splat(FOLD)).add(zero.madd_lo(high, L::splat(FOLD))));
    }
    reduce(sum.add(L::splat(MODULUS << 6))).equals(fingerprint)
}

/// A number below 2^59, reduced.
#[inline(always)]
fn reduce<L: Lanes>(number: L) -> L {
    let fold = |number: L| {
        let high = number.shr::<DIGIT_BITS>();
        number.and(L::splat(DIGIT_MASK)).madd_lo(high, L::splat(FOLD))
    };
    let folded = fold(fold(number));
    let less = folded.sub(L::splat(MODULUS));
    L::select(less.sar::<63>().is_zero(), less, folded)
}
