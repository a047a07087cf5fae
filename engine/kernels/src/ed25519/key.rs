//! A private key, prepared.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::check;
use super::sign::{self, Vector};
use crate::edwards25519::comb::{self, Comb};
use crate::edwards25519::scalar::{DIGITS, Scalar, ScalarBlocks};
use crate::lanes::{Block, Lanes, erase, load_all};
use crate::sha512::{self, DIGEST_WORDS, Scratch};
use crate::tier::Kernel;
use crate::{Fault, Kernels, Random};

/// A private key, ready for [`sign`](super::sign()): no allocation inside, so that it can be placed in memory for secrets.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key {
    /// The secret scalar times R, modulo ℓ, in Montgomery's form.
    pub(super) scalar: [u64; DIGITS],
    /// The second half of the digest of the seed.
    pub(super) prefix: [u8; 32],
    /// A.
    pub(super) public: [u8; 32],
    /// What signing does not use, and the check does.
    pub(super) copies: Copies,
    /// Over everything above.
    pub(super) checksum: u64,
}

/// The scalar, the prefix and A again.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct Copies {
    pub(super) scalar: [u64; DIGITS],
    pub(super) prefix: [u8; 32],
    pub(super) public: [u8; 32],
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Key").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Why there is no prepared key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The public key given is not that of the seed.
    #[error("the public key is not that of the private key")]
    Mismatch,
    /// The preparation did not pass its check, or had no randomness for it.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Key {
    /// Prepares the key of this seed (RFC 8032 §5.1.5). A = a·B is computed here and checked, as any result is.
    pub fn new(kernels: Kernels, seed: &[u8; 32], random: &mut dyn Random) -> Result<Self, KeyError> {
        let mut weight = [Block::default()];
        check::draw(&mut weight, random).map_err(Fault::from)?;
        kernels.dispatch(Prepare { seed, weight: &weight[0] }).ok_or(KeyError::Fault(Fault::Wrong))
    }

    /// Prepares the key of this seed, if its public key is this one.
    pub fn with_public(
        kernels: Kernels,
        seed: &[u8; 32],
        public: &[u8; 32],
        random: &mut dyn Random,
    ) -> Result<Self, KeyError> {
        let key = Self::new(kernels, seed, random)?;
        if bool::from(key.public.ct_eq(public)) { Ok(key) } else { Err(KeyError::Mismatch) }
    }

    /// A, as it stands in certificates.
    pub fn public(&self) -> &[u8; 32] {
        &self.copies.public
    }

    /// Whether nothing in here has changed since it was prepared. Any one wrong word is found, and several but for a chance of
    /// 2^-64: each is multiplied by an odd number of its own.
    pub(super) fn is_sound(&self) -> bool {
        self.sum() == self.checksum
    }

    fn sum(&self) -> u64 {
        let octets = [&self.prefix, &self.public, &self.copies.prefix, &self.copies.public];
        let words =
            octets.into_iter().flat_map(|octets| octets.as_chunks().0).map(|word| u64::from_le_bytes(*word));
        let mut factor = 0x9e37_79b9_7f4a_7c15_u64;
        let mut sum = 0x243f_6a88_85a3_08d3_u64;
        for word in self.scalar.into_iter().chain(self.copies.scalar).chain(words) {
            sum = sum.wrapping_add(word.wrapping_mul(factor));
            factor = factor.wrapping_mul(0xd134_2543_de82_ef95);
        }
        sum
    }
}

/// Prepares a key, its check having a weight of 1.
pub(super) fn prepare<L: Lanes>(seed: &[u8; 32]) -> Option<Key> {
    Prepare { seed, weight: &Block::default() }.run::<L>()
}

struct Prepare<'a> {
    seed: &'a [u8; 32],
    weight: &'a Block,
}

impl Kernel for Prepare<'_> {
    type Output = Option<Key>;

    fn run<L: Lanes>(self) -> Option<Key> {
        let mut digests = [Block::default(); DIGEST_WORDS];
        sha512::digest::<L, 1>(&[[self.seed.as_slice()]; 8], &mut Scratch::default(), &mut digests);
        let mut octets = Zeroizing::new(sha512::octets(&digests, 0));
        erase(&mut digests);
        octets[0] &= 0xf8;
        octets[31] = octets[31] & 0x7f | 0x40;
        let mut scalars = Scalars::default();
        let (mut combs, mut vectors) = ([Comb::default()], [Vector::default()]);
        scalars.set::<L>(octets.first_chunk()?, &mut combs[0]);
        comb::multiply_base::<L>(&mut combs);
        sign::encode_points::<L>(&mut vectors, &combs);
        combs[0].erase();
        let is_right = check::is_multiple::<L>(&vectors[0], &scalars.plain, self.weight);
        let scalar = scalars.montgomery.map(|block| block.0[0]);
        let public = sign::octets(&vectors[0].encoded, 0);
        let copies = Copies { scalar, prefix: [0; 32], public };
        let mut key = Key { scalar, prefix: [0; 32], public, copies, checksum: 0 };
        key.prefix.copy_from_slice(&octets[32..]);
        key.copies.prefix.copy_from_slice(&octets[32..]);
        key.checksum = key.sum();
        is_right.then_some(key)
    }
}

/// The scalar, the same in all lanes, as it is and times R: both below ℓ.
#[derive(Default)]
struct Scalars {
    plain: ScalarBlocks,
    montgomery: ScalarBlocks,
}

impl Scalars {
    fn set<L: Lanes>(&mut self, octets: &[u8; 32], comb: &mut Comb) {
        let mut words = [Block::default(); 4];
        (0..8).for_each(|lane| sign::set_octets(&mut words, lane, octets));
        L::run(
            #[inline(always)]
            || {
                let scalar = Scalar::<L>::from_words(load_all(&words));
                let montgomery = scalar.times_r().canonical();
                montgomery.store(&mut self.montgomery);
                let plain = montgomery.over_r().canonical();
                plain.store(&mut self.plain);
                comb.start(plain);
            },
        );
        erase(&mut words);
    }
}

impl Drop for Scalars {
    fn drop(&mut self) {
        erase(&mut self.plain);
        erase(&mut self.montgomery);
    }
}
