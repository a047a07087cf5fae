//! Signing, RFC 8032 §5.1.6, in four passes over the batch: nonces, their points, the hashes, the answers.

use super::{Job, Workspace};
use crate::edwards25519::comb::{self, Comb};
use crate::edwards25519::faults::{self, Site};
use crate::edwards25519::scalar::{Scalar, ScalarBlocks};
use crate::field25519::{Fe, FeBlocks};
use crate::lanes::{Block, Lanes, array, erase};
use crate::sha512::{self, DIGEST_WORDS, Scratch};
use crate::tier::Kernel;
use crate::{Fault, Unchecked};

/// Octets of a signature.
pub(super) const SIGNATURE_LEN: usize = 64;

/// What eight signatures need.
#[derive(Clone, Debug, Default)]
pub(super) struct Vector {
    pub(super) nonce: ScalarBlocks,
    /// The product of this Z and those of the vectors before.
    product: FeBlocks,
    /// x of R, which its encoding has only one bit of: below p.
    pub(super) x: FeBlocks,
    /// R, as four little-endian words.
    pub(super) encoded: [Block; 4],
}

impl Vector {
    pub(super) fn erase(&mut self) {
        erase(&mut self.nonce);
        erase(&mut self.product);
    }
}

/// Which job stands in a lane. Lanes beyond the last job repeat it, so that every lane holds something that is right.
pub(super) fn job_of<'a, 'b>(jobs: &'a [Job<'b>], vector: usize, lane: usize) -> &'a Job<'b> {
    &jobs[(8 * vector + lane).min(jobs.len() - 1)]
}

/// A number modulo ℓ from digests, whose octets RFC 8032 reads little-endian.
#[inline(always)]
pub(super) fn reduce<L: Lanes>(digests: &[Block; DIGEST_WORDS]) -> Scalar<L> {
    Scalar::from_wide(array(
        #[inline(always)]
        |word| L::load(&digests[word]).swap_octets(),
    ))
}

/// The octets of a lane of little-endian words.
pub(super) fn octets(words: &[Block; 4], lane: usize) -> [u8; 32] {
    let mut octets = [0; 32];
    for (to, word) in octets.as_chunks_mut().0.iter_mut().zip(words) {
        *to = word.0[lane].to_le_bytes();
    }
    octets
}

/// The opposite.
pub(super) fn set_octets(words: &mut [Block; 4], lane: usize, octets: &[u8; 32]) {
    for (octets, word) in octets.as_chunks().0.iter().zip(words) {
        word.0[lane] = u64::from_le_bytes(*octets);
    }
}

/// r = H(prefix ‖ M) for eight jobs.
fn draw_nonces<L: Lanes>(
    jobs: [&Job<'_>; 8],
    (vector, comb): (&mut Vector, &mut Comb),
    scratch: &mut Scratch,
    digests: &mut [Block; DIGEST_WORDS],
) {
    let messages = jobs.map(|job| [job.key.prefix.as_slice(), job.message]);
    sha512::digest::<L, 2>(&messages, scratch, digests);
    faults::strike(Site::NonceDigest, digests);
    L::run(
        #[inline(always)]
        || reduce::<L>(digests).canonical().store(&mut vector.nonce),
    );
    faults::strike(Site::Nonce, &mut vector.nonce);
    L::run(
        #[inline(always)]
        || comb.start(Scalar::<L>::load(&vector.nonce)),
    );
}

/// Encodes what the combs have come to, with one inversion for all vectors (P. Montgomery, "Speeding the Pollard and
/// elliptic curve methods of factorization", 1987, §10.3.1). A Z of zero, which only a fault makes, spoils its lane in every vector.
pub(super) fn encode_points<L: Lanes>(vectors: &mut [Vector], combs: &[Comb]) {
    L::run(
        #[inline(always)]
        || {
            let mut product = Fe::<L>::small(1);
            for (vector, comb) in vectors.iter_mut().zip(combs) {
                let [_, _, z] = comb.coordinates::<L>();
                product = product.mul(z).carry();
                product.store(&mut vector.product);
            }
        },
    );
    for vector in &mut *vectors {
        faults::strike(Site::Product, &mut vector.product);
    }
    L::run(
        #[inline(always)]
        || {
            let Some(last) = vectors.last() else { return };
            let mut inverse = Fe::<L>::load(&last.product).invert();
            for number in (0..vectors.len()).rev() {
                let before = match number {
                    0 => Fe::small(1),
                    _ => Fe::load(&vectors[number - 1].product),
                };
                let vector = &mut vectors[number];
                let [x, y, z] = combs[number].coordinates::<L>();
                let own = inverse.mul(before).carry();
                inverse = inverse.mul(z).carry();
                encode(x.mul(own).carry(), y.mul(own).carry(), vector);
            }
        },
    );
    for vector in vectors {
        faults::strike(Site::Encoded, &mut vector.encoded);
        faults::strike(Site::Coordinates, &mut vector.x);
    }
}

/// RFC 8032 §5.1.2.
#[inline(always)]
fn encode<L: Lanes>(x: Fe<L>, y: Fe<L>, vector: &mut Vector) {
    let x = x.canonical();
    let mut words = y.to_words();
    words[3] = words[3].or(x[0].shl::<63>());
    Fe::from_digits(x).store(&mut vector.x);
    for (word, to) in words.into_iter().zip(&mut vector.encoded) {
        word.store(to);
    }
}

/// S = r + H(R ‖ A ‖ M)·a for eight jobs, as four little-endian words.
fn answer<L: Lanes>(
    jobs: [&Job<'_>; 8],
    vector: &Vector,
    scratch: &mut Scratch,
    digests: &mut [Block; DIGEST_WORDS],
) -> [Block; 4] {
    let points: [[u8; 32]; 8] = core::array::from_fn(|lane| octets(&vector.encoded, lane));
    let messages =
        core::array::from_fn(|lane| [&points[lane][..], &jobs[lane].key.public[..], jobs[lane].message]);
    sha512::digest::<L, 3>(&messages, scratch, digests);
    faults::strike(Site::HashDigest, digests);
    let mut secrets = ScalarBlocks::default();
    load_secrets(&jobs.map(|job| &job.key.scalar), &mut secrets);
    let mut hashes = ScalarBlocks::default();
    L::run(
        #[inline(always)]
        || reduce::<L>(digests).store(&mut hashes),
    );
    faults::strike(Site::Hash, &mut hashes);
    faults::strike(Site::Secret, &mut secrets);
    let mut answers = [Block::default(); 4];
    L::run(
        #[inline(always)]
        || {
            let product = Scalar::<L>::load(&hashes).mul(Scalar::load(&secrets));
            let sum = Scalar::load(&vector.nonce).add(product).canonical();
            for (word, to) in sum.to_words().into_iter().zip(&mut answers) {
                word.store(to);
            }
        },
    );
    faults::strike(Site::Answer, &mut answers);
    erase(&mut secrets);
    answers
}

/// Each lane's secret scalar.
pub(super) fn load_secrets(scalars: &[&[u64; 5]; 8], to: &mut ScalarBlocks) {
    for (lane, scalar) in scalars.iter().enumerate() {
        for (block, digit) in to.iter_mut().zip(*scalar) {
            block.0[lane] = *digit;
        }
    }
}

/// A batch.
pub(super) struct Sign<'a, 'b> {
    pub(super) jobs: &'a [Job<'b>],
    pub(super) work: &'a mut Workspace,
    pub(super) out: &'a mut [Result<Unchecked<[u8; SIGNATURE_LEN]>, Fault>],
}

impl Kernel for Sign<'_, '_> {
    type Output = ();

    fn run<L: Lanes>(self) {
        let Workspace { vectors, combs, scratch, digests, .. } = self.work;
        let vectors = &mut vectors[..self.jobs.len().div_ceil(8)];
        let lanes = |number| core::array::from_fn(|lane| job_of(self.jobs, number, lane));
        let combs = &mut combs[..vectors.len()];
        for (number, pair) in vectors.iter_mut().zip(&mut *combs).enumerate() {
            draw_nonces::<L>(lanes(number), pair, scratch, digests);
        }
        comb::multiply_base::<L>(combs);
        encode_points::<L>(vectors, combs);
        for (number, out) in self.out.chunks_mut(8).enumerate() {
            let answers = answer::<L>(lanes(number), &vectors[number], scratch, digests);
            for (lane, out) in out.iter_mut().enumerate() {
                let mut signature = [0; SIGNATURE_LEN];
                signature[..32].copy_from_slice(&octets(&vectors[number].encoded, lane));
                signature[32..].copy_from_slice(&octets(&answers, lane));
                *out = Ok(Unchecked::new(signature));
            }
        }
        vectors.iter_mut().for_each(Vector::erase);
        combs.iter_mut().for_each(Comb::erase);
        self.work.erase_shared();
    }
}
