//! Where a batch is computed.

use crate::ecdsa::convert::Words;
use crate::ecdsa::field::Element;
use crate::ecdsa::key::{Key, PREFIX_LEN};
use crate::ecdsa::point::Sum;
use crate::lanes::{Block, Mask, erase};
use crate::sha512;

/// Operations of one batch.
pub const BATCH_MAX: usize = 128;
/// Vectors of one batch.
pub(crate) const VECTORS_MAX: usize = BATCH_MAX / 8;
/// Fresh octets per operation.
pub(crate) const FRESH_LEN: usize = 32;

/// One operation, as the API of each curve names it.
pub(crate) trait Operation<const N: usize> {
    /// Whose key.
    fn key(&self) -> &Key<N>;
    /// The digest, as long as a scalar.
    fn digest(&self) -> &[u8];
}

/// What belongs to eight operations.
#[derive(Clone)]
pub(crate) struct Vector<const N: usize> {
    /// Nonces as wide numbers, later digests, r and s on their way in and out.
    pub(crate) words: Words,
    /// Odd nonces below the order.
    pub(crate) k: Element<N>,
    /// What the comb reads: see [`Recoded`](crate::ecdsa::comb::Recoded).
    pub(crate) recoded: Element<N>,
    /// k·G; at the end x and y are affine.
    pub(crate) sum: Sum<N>,
    /// The upper half of a sum in two halves.
    pub(crate) upper: Sum<N>,
    /// Lanes whose nonce cannot be used.
    pub(crate) unusable: Mask,
}

/// Scratch of a batch, for 1 to [`BATCH_MAX`] operations.
#[derive(Clone)]
pub(crate) struct Scratch<const N: usize> {
    pub(crate) vectors: [Vector<N>; VECTORS_MAX],
    /// Inverses of ZZZ, and of k.
    pub(crate) inverses: [[Element<N>; VECTORS_MAX]; 2],
    /// Products on the way to inverses.
    pub(crate) products: [Element<N>; VECTORS_MAX],
    pub(crate) fresh: [[u8; FRESH_LEN]; BATCH_MAX],
    pub(crate) hash: sha512::Scratch,
    /// Operations of the batch that was signed last and waits for its check.
    pub(crate) signed: usize,
    #[cfg(any(test, feature = "faults"))]
    pub(crate) faults: super::faults::Faults,
}

const ZERO: Block = Block([0; 8]);

impl<const N: usize> Vector<N> {
    const EMPTY: Self = Self {
        words: [ZERO; 8],
        k: [ZERO; N],
        recoded: [ZERO; N],
        sum: Sum::EMPTY,
        upper: Sum::EMPTY,
        unusable: 0,
    };
}

impl<const N: usize> Scratch<N> {
    pub(crate) fn new() -> Self {
        Self {
            vectors: [const { Vector::EMPTY }; VECTORS_MAX],
            inverses: [[[ZERO; N]; VECTORS_MAX]; 2],
            products: [[ZERO; N]; VECTORS_MAX],
            fresh: [[0; FRESH_LEN]; BATCH_MAX],
            hash: sha512::Scratch::default(),
            signed: 0,
            #[cfg(any(test, feature = "faults"))]
            faults: super::faults::Faults::default(),
        }
    }

    /// Erases what signing needed and the check does not, of this many vectors.
    pub(crate) fn erase_signing(&mut self, vectors: usize) {
        for vector in &mut self.vectors[..vectors] {
            erase(&mut vector.words);
            erase(&mut vector.recoded);
            vector.upper.erase();
            erase(&mut vector.sum.zz);
            erase(&mut vector.sum.zzz);
        }
        for inverses in &mut self.inverses {
            erase(inverses[..vectors].as_flattened_mut());
        }
        erase(self.products[..vectors].as_flattened_mut());
        zeroize::Zeroize::zeroize(&mut self.hash);
    }

    /// Erases what is left.
    pub(crate) fn erase_all(&mut self, vectors: usize) {
        self.erase_signing(vectors);
        for vector in &mut self.vectors[..vectors] {
            erase(&mut vector.k);
            vector.sum.erase();
        }
        zeroize::Zeroize::zeroize(&mut self.fresh);
        self.signed = 0;
    }
}

#[cfg(test)]
impl<const N: usize> Scratch<N> {
    /// Whether nothing is left of any batch.
    pub(crate) fn is_erased(&self) -> bool {
        let zero = |blocks: &[Block]| blocks.iter().all(|block| *block == ZERO);
        let sum =
            |sum: &Sum<N>| zero(&sum.x) && zero(&sum.y) && zero(&sum.zz) && zero(&sum.zzz) && sum.tag == ZERO;
        let vectors = self.vectors.iter().all(|vector| {
            zero(&vector.words)
                && zero(&vector.k)
                && zero(&vector.recoded)
                && sum(&vector.sum)
                && sum(&vector.upper)
        });
        let products =
            zero(self.products.as_flattened()) && zero(self.inverses.as_flattened().as_flattened());
        vectors && products && self.fresh == [[0; FRESH_LEN]; BATCH_MAX]
    }
}

impl<const N: usize> Drop for Scratch<N> {
    fn drop(&mut self) {
        self.erase_all(VECTORS_MAX);
    }
}

const _: () = assert!(PREFIX_LEN == 32 && FRESH_LEN == 32);
