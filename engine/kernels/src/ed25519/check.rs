//! The check of signatures: [S]B = R + [h]A, for the whole batch at once.
//!
//! A = [a]B was shown when the key was prepared, and the key's checksum is verified here, so with the nonce r the equation
//! says S = r + h·a and R = [r]B. Nothing but S and R comes from where the kernel had it: r and h are hashed again, from
//! the copies of prefix and A, and a is the copy. (The nonce must be the one of the standard: a faulty one still gives a valid
//! signature, but together with the right one of the same message it tells the key.) S is compared; for the points each
//! lane shows Σ zᵢ·Rᵢ = [Σ zᵢ·rᵢ]B over the vectors of the batch, with a fresh random odd weight z per signature: one
//! comb, and 33 doublings, for all of them. A wrong R goes unnoticed with a chance of 2^-32; one alone in its lane that
//! differs by a point of small order never, since z is odd.
//!
//! R needs no decompression: the kernel hands over x, and y, x² (by the curve's equation) and the sign of x leave no other.
//!
//! When a lane fails, its signatures are shown one by one.

use super::sign::{self, SIGNATURE_LEN, Vector, job_of};
use super::{Job, LANES_MAX, Workspace};
use crate::edwards25519::comb::{self, Comb};
use crate::edwards25519::point::{Addend, Point, PointBlocks, is_on_curve};
use crate::edwards25519::scalar::{Scalar, ScalarBlocks};
use crate::field25519::Fe;
use crate::lanes::{Block, Lanes, Mask, array, erase};
use crate::sha512::{self, DIGEST_WORDS, Scratch};
use crate::tier::Kernel;
use crate::{Checked, Fault, Random, RandomFailed, Unchecked};

/// Bits of a window of weights: digits ±1, ±3, ±5, ±7, recoded like the comb's.
const WINDOW_BITS: usize = 3;
/// Windows of a weight, which thus has 32 random bits and a lowest one that is set.
const WINDOWS: usize = 11;
/// Random octets of a weight.
const WEIGHT_LEN: usize = 4;
/// Odd multiples of a point.
const ENTRIES: usize = 1 << (WINDOW_BITS - 1);

/// What eight signatures bring to the sums.
#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    /// z = 2·weight + 1.
    pub(super) weight: Block,
    /// z·r/R, below 2ℓ.
    scalar: ScalarBlocks,
    /// R, 3·R, 5·R, 7·R.
    table: [PointBlocks; ENTRIES],
    /// The lanes that are right as far as one alone can tell.
    is_sound: Mask,
}

impl Share {
    pub(super) fn erase(&mut self) {
        erase(&mut self.scalar);
    }
}

/// Random weights.
pub(super) fn draw(weights: &mut [Block], random: &mut dyn Random) -> Result<(), RandomFailed> {
    let mut octets = [0; LANES_MAX * WEIGHT_LEN];
    let octets = &mut octets[..8 * WEIGHT_LEN * weights.len()];
    random.fill(octets)?;
    let words = weights.iter_mut().flat_map(|block| &mut block.0);
    for (octets, word) in octets.as_chunks::<WEIGHT_LEN>().0.iter().zip(words) {
        *word = u64::from(u32::from_le_bytes(*octets));
    }
    Ok(())
}

/// The table of a share, and whether its point is one.
fn tabulate<L: Lanes>(vector: &Vector, share: &mut Share) {
    let is_point = L::run(
        #[inline(always)]
        || {
            let (x, y) = (Fe::<L>::load(&vector.x), Fe::<L>::from_words(&vector.encoded));
            let mut words = y.to_words();
            words[3] = words[3].or(x.canonical()[0].shl::<63>());
            let is_encoding = (0..4)
                .fold(Mask::MAX, |mask, word| mask & words[word].equals(L::load(&vector.encoded[word])));
            let point = Point::affine(x, y);
            let twice = point.double().addend();
            let mut multiple = point;
            multiple.addend().store(&mut share.table[0]);
            for to in &mut share.table[1..] {
                multiple = multiple.add(twice, 0);
                multiple.addend().store(to);
            }
            is_encoding & is_on_curve(x, y)
        },
    );
    share.is_sound &= is_point;
}

/// The lanes where Σ zᵢ·Rᵢ = [Σ zᵢ·rᵢ]B.
fn prove<L: Lanes>(shares: &[Share]) -> Mask {
    let mut combs = [Comb::default()];
    let mut sum = PointBlocks::default();
    L::run(
        #[inline(always)]
        || {
            let mut scalar = Scalar::<L>::from_word(L::splat(0));
            for share in shares {
                scalar = scalar.add(Scalar::load(&share.scalar));
            }
            combs[0].start(scalar.times_r().canonical());
            Point::<L>::neutral().store(&mut sum);
        },
    );
    comb::multiply_base::<L>(&mut combs);
    for window in (0..WINDOWS).rev() {
        add_window::<L>(window, shares, &mut sum);
    }
    let right = L::run(
        #[inline(always)]
        || Point::<L>::load(&sum).equals(combs[0].coordinates()),
    );
    combs[0].erase();
    right
}

/// sum · 2^3 + Σ digitᵢ · Rᵢ.
#[expect(clippy::cast_possible_truncation, reason = "below 64")]
fn add_window<L: Lanes>(window: usize, shares: &[Share], sum: &mut PointBlocks) {
    let shift = (window * WINDOW_BITS) as u32;
    L::run(
        #[inline(always)]
        || {
            let mut point = Point::<L>::load(sum);
            for _ in 0..WINDOW_BITS {
                point = point.double();
            }
            let top = L::splat(1 << (WINDOWS * WINDOW_BITS - 1));
            for share in shares {
                let bits = L::load(&share.weight).or(top).shr_by(shift);
                let bit = |number: u32| bits.and(L::splat(1 << number)).is_zero();
                let is_negative = bit(2);
                // The low bits, inverted where the digit is negative, number the entry.
                let (high, low) = (!bit(1) ^ is_negative, !bit(0) ^ is_negative);
                let [a, b, c, d] = array(
                    #[inline(always)]
                    |i| Addend::load(&share.table[i]),
                );
                let addend = Addend::select(high, Addend::select(low, d, c), Addend::select(low, b, a));
                point = point.add(addend, is_negative);
            }
            point.store(sum);
        },
    );
}

/// Whether the point of every lane is the multiple of B by its scalar, which is below 2ℓ.
pub(super) fn is_multiple<L: Lanes>(vector: &Vector, scalar: &ScalarBlocks, weight: &Block) -> bool {
    let mut share = Share { weight: *weight, is_sound: Mask::MAX, ..Share::default() };
    share.set_scalar::<L>(scalar);
    tabulate::<L>(vector, &mut share);
    let right = share.is_sound & prove::<L>(core::slice::from_ref(&share));
    share.erase();
    right == Mask::MAX
}

impl Share {
    fn set_scalar<L: Lanes>(&mut self, scalar: &ScalarBlocks) {
        L::run(
            #[inline(always)]
            || {
                let weight = L::load(&self.weight);
                let odd = Scalar::from_word(weight.add(weight).add(L::splat(1)));
                Scalar::<L>::load(scalar).canonical().mul(odd).store(&mut self.scalar);
            },
        );
    }

    /// r, and whether S = r + h·a, from the copies.
    fn set<L: Lanes>(
        &mut self,
        jobs: [&Job<'_>; 8],
        (points, answers): (&[[u8; 32]; 8], &[Block; 4]),
        scratch: &mut Scratch,
        digests: &mut [Block; DIGEST_WORDS],
    ) {
        let mut secrets = ScalarBlocks::default();
        let mut nonces = ScalarBlocks::default();
        sign::load_secrets(&jobs.map(|job| &job.key.copies.scalar), &mut secrets);
        let messages = jobs.map(|job| [&job.key.copies.prefix[..], job.message]);
        sha512::digest::<L, 2>(&messages, scratch, digests);
        L::run(
            #[inline(always)]
            || sign::reduce::<L>(digests).canonical().store(&mut nonces),
        );
        let messages = core::array::from_fn(|lane| {
            [&points[lane][..], &jobs[lane].key.copies.public[..], jobs[lane].message]
        });
        sha512::digest::<L, 3>(&messages, scratch, digests);
        self.is_sound = (0..8).fold(0, |mask, lane| mask | Mask::from(jobs[lane].key.is_sound()) << lane);
        self.is_sound &= L::run(
            #[inline(always)]
            || {
                let product = sign::reduce::<L>(digests).mul(Scalar::load(&secrets));
                let words = Scalar::load(&nonces).add(product).canonical().to_words();
                (0..4).fold(Mask::MAX, |mask, word| mask & words[word].equals(L::load(&answers[word])))
            },
        );
        self.set_scalar::<L>(&nonces);
        erase(&mut secrets);
        erase(&mut nonces);
    }
}

#[cfg(test)]
impl Share {
    pub(super) fn forget_public(&mut self) {
        *self = Self { scalar: self.scalar, ..Self::default() };
    }
}

/// A batch.
pub(super) struct Check<'a, 'b> {
    pub(super) jobs: &'a [Job<'b>],
    pub(super) work: &'a mut Workspace,
    pub(super) results: &'a [Result<Unchecked<[u8; SIGNATURE_LEN]>, Fault>],
    pub(super) out: &'a mut [Result<Checked<[u8; SIGNATURE_LEN]>, Fault>],
}

/// The octets of a result; zeros, which no check passes, stand for a fault.
fn signature(result: &Result<Unchecked<[u8; SIGNATURE_LEN]>, Fault>) -> [u8; SIGNATURE_LEN] {
    result.as_ref().map_or([0; SIGNATURE_LEN], |result| *result.expose())
}

impl Kernel for Check<'_, '_> {
    type Output = ();

    fn run<L: Lanes>(self) {
        let Workspace { vectors, shares, scratch, digests, .. } = self.work;
        let shares = &mut shares[..self.jobs.len().div_ceil(8)];
        for (number, (share, vector)) in shares.iter_mut().zip(&mut *vectors).enumerate() {
            let jobs = core::array::from_fn(|lane| job_of(self.jobs, number, lane));
            let mut points = [[0; 32]; 8];
            let mut answers = [Block::default(); 4];
            for (lane, point) in points.iter_mut().enumerate() {
                let result = signature(&self.results[(8 * number + lane).min(self.jobs.len() - 1)]);
                point.copy_from_slice(&result[..32]);
                sign::set_octets(&mut vector.encoded, lane, point);
                sign::set_octets(&mut answers, lane, result.last_chunk().unwrap_or(&[0; 32]));
            }
            share.set::<L>(jobs, (&points, &answers), scratch, digests);
            tabulate::<L>(vector, share);
        }
        let right = prove::<L>(shares);
        for (number, share) in shares.iter().enumerate() {
            // Alone, if somebody in its lanes is wrong.
            let alone = if right == Mask::MAX { right } else { prove::<L>(core::slice::from_ref(share)) };
            let good = share.is_sound & alone;
            let range = 8 * number..self.jobs.len().min(8 * number + 8);
            for (lane, (result, out)) in
                self.results[range.clone()].iter().zip(&mut self.out[range]).enumerate()
            {
                *out = match result {
                    Ok(result) if good >> lane & 1 == 1 => {
                        Ok(Unchecked::new(*result.expose()).into_checked())
                    }
                    Ok(_) => Err(Fault::Wrong),
                    Err(fault) => Err(*fault),
                };
            }
        }
        shares.iter_mut().for_each(Share::erase);
        self.work.erase_shared();
    }
}
