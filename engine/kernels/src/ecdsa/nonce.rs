//! Nonces: k from SHA-512 of (the key's secret prefix ‖ 32 fresh octets ‖ the digest), so that neither a bad source of
//! randomness nor a repeated digest alone gives a nonce away. 512 bits modulo the order of P-256 are biased by less than
//! 2^-255, modulo that of P-384 by less than 2^-127.

use crate::ecdsa::comb::recode;
use crate::ecdsa::convert::{WORDS, to_digits};
use crate::ecdsa::curve::Curve;
use crate::ecdsa::field::{
    Element, borrow, canonical, carry, digits, equal, multiply, multiply_add, splat, store, subtract, zero,
};
use crate::ecdsa::modulus::Modulus;
use crate::ecdsa::work::{FRESH_LEN, Operation, Vector};
use crate::lanes::{Block, Lanes};
use crate::sha512;

/// The wide nonces of up to eight operations, lowest word first.
pub(crate) fn derive<L: Lanes, O: Operation<N>, const N: usize>(
    operations: &[O],
    fresh: &[[u8; FRESH_LEN]],
    scratch: &mut sha512::Scratch,
    words: &mut [Block; WORDS],
) {
    let mut messages: [[&[u8]; 3]; 8] = [[&[]; 3]; 8];
    for ((message, operation), fresh) in messages.iter_mut().zip(operations).zip(fresh) {
        *message = [&operation.key().prefix, fresh, operation.digest()];
    }
    sha512::digest::<L, 3>(&messages, scratch, words);
    words.reverse();
}

/// Makes odd nonces of the wide ones: k modulo the order, or its opposite if that is the odd one of the two. They have the
/// same r, so a signature with either is one.
///
/// Rejected are zero and the two scalars that the comb cannot do; one takes their place. Returns k in Montgomery form.
#[inline(always)]
pub(crate) fn reduce<L: Lanes, C: Curve<N>, const N: usize>(
    vector: &mut Vector<N>,
    montgomery: &mut Element<N>,
) {
    let (low, high) = (to_digits::<L, N>(&vector.words, 0), to_digits::<L, N>(&vector.words, N));
    // (low + high · R) · R: each product is below R · n.
    let mut wide = multiply_add::<L, C::Order, N, 1, 2>(
        [(&[low], &[splat(&C::Order::R2)]), (&[high], &[splat(&C::Order::R3)])],
        [[L::splat(0); N]],
    );
    carry(&mut wide);
    let one = digits!(j => L::splat(u64::from(j == 0)));
    let [mut k] = multiply::<L, C::Order, N, 1>(&wide, &[one]);
    canonical::<L, C::Order, N>(&mut k, 1);
    let mut opposite = subtract(splat(&C::Order::PRIME), &k);
    borrow(&mut opposite);
    let even = k[0].and(L::splat(1)).is_zero();
    let odd = digits!(j => L::select(even, opposite[j], k[j]));
    let [in_order, by_halves] = C::EXCEPTIONS;
    let unusable = zero(&k) | equal(&odd, &splat(&in_order)) | equal(&odd, &splat(&by_halves));
    let k = digits!(j => L::select(unusable, one[j], odd[j]));
    let [in_montgomery_form] = multiply::<L, C::Order, N, 1>(&[k], &[splat(&C::Order::R2)]);
    store(k, &mut vector.k);
    store(recode::<L, C, N>(&k), &mut vector.recoded);
    store(in_montgomery_form, montgomery);
    vector.unusable = unusable;
}
