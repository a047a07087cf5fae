//! Private keys in the form that the kernels read.

use zeroize::Zeroize;

use crate::ecdsa::convert::{self, Words};
use crate::ecdsa::curve::Curve;
use crate::ecdsa::field::{Element, borrow, canonical, equal, multiply, splat, store, subtract, zero};
use crate::ecdsa::modulus::Modulus;
use crate::lanes::{Block, Lanes, Portable};
use crate::sha512;

/// Octets of the secret that only this key's nonces know.
pub(crate) const PREFIX_LEN: usize = 32;

/// Why octets are not a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The number is zero, or not below the order of the curve.
    #[error("the private key is not in the range that the curve allows")]
    Range,
    /// The public key is not that of the private key.
    #[error("the public key does not belong to the private key")]
    Mismatch,
}

/// A prepared private key d. Both numbers hold it, each alone, so that damage to one shows.
#[derive(Clone)]
pub(crate) struct Key<const N: usize> {
    /// d · R modulo the order: what signing multiplies with.
    pub(crate) scalar: [u64; N],
    /// n − d: what the check multiplies with.
    pub(crate) opposite: [u64; N],
    /// Half of SHA-512 of a label and d.
    pub(crate) prefix: [u8; PREFIX_LEN],
}

impl<const N: usize> Key<N> {
    /// From a big-endian number.
    pub(crate) fn new<C: Curve<N>>(private: &[u8]) -> Result<Self, KeyError> {
        let mut words: Words = Words::default();
        convert::put(private, &mut words, 0);
        let (mut scalar, mut opposite) = ([Block::default(); N], [Block::default(); N]);
        let fits = Portable::run(|| prepare::<Portable, C, N>(&words, &mut scalar, &mut opposite));
        let key = Self {
            scalar: scalar.each_ref().map(|block| block.0[0]),
            opposite: opposite.each_ref().map(|block| block.0[0]),
            prefix: prefix(private),
        };
        crate::lanes::erase(&mut words);
        crate::lanes::erase(&mut scalar);
        crate::lanes::erase(&mut opposite);
        if fits { Ok(key) } else { Err(KeyError::Range) }
    }
}

impl<const N: usize> Zeroize for Key<N> {
    fn zeroize(&mut self) {
        self.scalar.zeroize();
        self.opposite.zeroize();
        self.prefix.zeroize();
    }
}

impl<const N: usize> Drop for Key<N> {
    fn drop(&mut self) {
        self.zeroize();
    }
}

/// Both forms of d, and whether it is in 1..n. That it is not may be known.
fn prepare<L: Lanes, C: Curve<N>, const N: usize>(
    words: &Words,
    scalar: &mut Element<N>,
    opposite: &mut Element<N>,
) -> bool {
    let d = convert::to_digits::<L, N>(words, 0);
    let mut reduced = d;
    canonical::<L, C::Order, N>(&mut reduced, 1);
    let [product] = multiply::<L, C::Order, N, 1>(&[d], &[splat(&C::Order::R2)]);
    store(product, scalar);
    let mut negated = subtract(splat(&C::Order::PRIME), &d);
    borrow(&mut negated);
    store(negated, opposite);
    equal(&reduced, &d) & !zero(&d) & 1 == 1
}

/// The secret of the nonces: derived, so that a key needs nothing but itself.
fn prefix(private: &[u8]) -> [u8; PREFIX_LEN] {
    let mut scratch = sha512::Scratch::default();
    let mut digests = [Block::default(); sha512::DIGEST_WORDS];
    let messages = [[b"Keylane ECDSA nonces, version 1:".as_slice(), private]; 8];
    sha512::digest::<Portable, 2>(&messages, &mut scratch, &mut digests);
    scratch.zeroize();
    let mut octets = sha512::octets(&digests, 0);
    crate::lanes::erase(&mut digests);
    let mut prefix = [0; PREFIX_LEN];
    prefix.copy_from_slice(&octets[..PREFIX_LEN]);
    octets.zeroize();
    prefix
}
