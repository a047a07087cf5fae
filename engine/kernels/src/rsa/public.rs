//! The public operation: `x^e mod n` in eight lanes.

use zeroize::Zeroize;

use super::checksum::checksum;
use super::faults::{self, Site};
use super::modulus::Prepared;
use super::montgomery::{self, Modulus, Scratch};
use super::number::{Digits, Number};
use super::{BatchError, KeyError, carry, stripped};
use crate::lanes::{Lanes, Mask};
use crate::tier::Kernel;
use crate::{Fault, Kernels};

/// The longest public exponent, in bits.
const EXPONENT_BITS_MAX: usize = 33;

/// A public key of `OCTETS` octets, prepared for its lane. Nothing in it is secret.
#[derive(Clone, Debug, Zeroize)]
pub struct PublicKey<const FULL: usize, const OCTETS: usize> {
    pub(super) modulus: Prepared<FULL>,
    pub(super) exponent: [u64; 1],
    checksum: u64,
}

impl<const FULL: usize, const OCTETS: usize> PublicKey<FULL, OCTETS> {
    /// Prepares a key from big-endian octets (leading zeros may be there): the modulus has exactly `OCTETS` octets, its
    /// highest bit is set, and the exponent is odd, from 3 to 2^33.
    pub fn new(kernels: Kernels, modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = read::<FULL, OCTETS>(modulus, exponent)?;
        let [prepared] = kernels.dispatch(Prepare([&n]));
        Ok(Self::assemble(prepared, e))
    }

    pub(super) fn assemble(modulus: Prepared<FULL>, e: u64) -> Self {
        let mut key = Self { modulus, exponent: [e], checksum: 0 };
        key.checksum = key.computed_checksum();
        key
    }

    /// Whether no word of it has changed since it was made.
    pub(super) fn is_intact(&self) -> bool {
        self.checksum == self.computed_checksum()
    }

    fn computed_checksum(&self) -> u64 {
        checksum(self.parts().into_iter())
    }

    /// Its words.
    pub(super) fn parts(&self) -> [&[u64]; 4] {
        let [n, inverse, r2] = self.modulus.parts();
        [n, inverse, r2, &self.exponent]
    }

    /// Makes the sum fit the words again, for tests that damage them.
    #[cfg(test)]
    pub(super) fn reseal(&mut self) {
        self.checksum = self.computed_checksum();
    }

    /// Its words, for tests that damage them.
    #[cfg(test)]
    pub(super) fn parts_mut(&mut self) -> [&mut [u64]; 5] {
        let [n, inverse, r2] = self.modulus.parts_mut();
        [n, inverse, r2, &mut self.exponent, core::slice::from_mut(&mut self.checksum)]
    }
}

/// Reads what both kinds of keys have.
pub(super) fn read<const FULL: usize, const OCTETS: usize>(
    modulus: &[u8],
    exponent: &[u8],
) -> Result<(Digits<FULL>, u64), KeyError> {
    const { assert!(OCTETS == 64 * FULL, "512 bits per ten digits") };
    let (modulus, exponent) = (stripped(modulus), stripped(exponent));
    if modulus.len() != OCTETS || modulus[0] < 0x80 || exponent.len() > 5 {
        return Err(KeyError::Unsupported);
    }
    let (n, e) = (Digits::from_octets(modulus), Digits::<1>::from_octets(exponent));
    let bits = e.bits();
    if !n.is_odd() || !e.is_odd() || bits < 2 {
        return Err(KeyError::Inconsistent);
    }
    if bits > EXPONENT_BITS_MAX {
        return Err(KeyError::Unsupported);
    }
    Ok((n, e.0[0][0]))
}

/// Prepares moduli on the lanes of a tier.
pub(super) struct Prepare<'a, const LIMBS: usize, const COUNT: usize>(pub(super) [&'a Digits<LIMBS>; COUNT]);

impl<const LIMBS: usize, const COUNT: usize> Kernel for Prepare<'_, LIMBS, COUNT> {
    type Output = [Prepared<LIMBS>; COUNT];

    fn run<L: Lanes>(self) -> Self::Output {
        Prepared::new::<L, COUNT>(self.0)
    }
}

/// Scratch of public operations: 11 numbers of eight lanes, 28 KB for 2,048 bits, 56 KB for 4,096.
#[derive(Clone)]
#[repr(C, align(64))]
pub struct PublicWorkspace<const FULL: usize> {
    modulus: Modulus<FULL>,
    r2: Number<FULL>,
    exponents: [u64; 8],
    pub(super) input: Number<FULL>,
    pub(super) expected: Number<FULL>,
    base: Number<FULL>,
    one: Number<FULL>,
    picked: Number<FULL>,
    result: Number<FULL>,
    scratch: Scratch<FULL>,
}

impl<const FULL: usize> PublicWorkspace<FULL> {
    /// All zeros.
    pub const ZERO: Self = Self {
        modulus: Modulus::ZERO,
        r2: Number::ZERO,
        exponents: [3; 8],
        input: Number::ZERO,
        expected: Number::ZERO,
        base: Number::ZERO,
        one: Number::ZERO,
        picked: Number::ZERO,
        result: Number::ZERO,
        scratch: Scratch::ZERO,
    };

    /// Puts a key into a lane.
    pub(super) fn set_key<const OCTETS: usize>(&mut self, lane: usize, key: &PublicKey<FULL, OCTETS>) {
        self.modulus.set_lane(lane, &key.modulus);
        self.r2.set_lane(lane, &key.modulus.r2);
        self.exponents[lane] = key.exponent[0];
    }

    /// `result ← input^e mod n`, the least residue. Time depends on the exponents, which are public.
    fn raise<L: Lanes>(&mut self) {
        let Self { modulus, r2, exponents, input, base, one, picked, result, scratch, .. } = self;
        faults::strike(Site::Operand, input.blocks_mut());
        *base = *input;
        montgomery::multiply::<L, FULL>(base, r2, modulus, scratch);
        *one = Number::ZERO;
        one.0[0][0].0 = [1; 8];
        montgomery::multiply::<L, FULL>(one, r2, modulus, scratch);
        let top = exponents.iter().fold(1, |top, exponent| top.max(exponent.ilog2()));
        carry::choose::<L, FULL>(result, lanes_with_bit(exponents, top), base, one);
        for bit in (0..top).rev() {
            montgomery::square::<L, FULL>(result, modulus, scratch);
            let lanes = lanes_with_bit(exponents, bit);
            if bit > 0 && lanes != 0 {
                carry::choose::<L, FULL>(picked, lanes, base, one);
                montgomery::multiply::<L, FULL>(result, picked, modulus, scratch);
            }
        }
        // Every exponent is odd: the last factor is the input as it came, which also takes R out of the result.
        montgomery::multiply::<L, FULL>(result, input, modulus, scratch);
        carry::canonical::<L, FULL>(result, &modulus.n);
    }

    /// The lanes where `input < n` and `input^e mod n` is what is expected.
    pub(super) fn holds<L: Lanes>(&mut self) -> Mask {
        self.raise::<L>();
        carry::less::<L, FULL>(&self.input, &self.modulus.n)
            & carry::equal::<L, FULL>(&self.result, &self.expected)
    }
}

fn lanes_with_bit(exponents: &[u64; 8], bit: u32) -> Mask {
    (0..8).fold(0, |mask, lane| mask | Mask::from(exponents[lane] >> bit & 1 == 1) << lane)
}

/// A public operation.
#[derive(Clone, Copy, Debug)]
pub struct PublicJob<'a, const FULL: usize, const OCTETS: usize> {
    /// The key.
    pub key: &'a PublicKey<FULL, OCTETS>,
    /// What is raised to the public exponent, big-endian, below the modulus.
    pub input: &'a [u8; OCTETS],
}

struct Public<'a, const FULL: usize, const OCTETS: usize> {
    jobs: &'a [PublicJob<'a, FULL, OCTETS>],
    work: &'a mut PublicWorkspace<FULL>,
    out: &'a mut [Result<[u8; OCTETS], Fault>],
}

/// Raises up to 128 inputs to their keys' public exponents. Not constant time: nothing here is secret.
///
/// A result is [`Fault::Range`] where the input is not below the modulus, [`Fault::Wrong`] where the key is damaged.
pub fn public<const FULL: usize, const OCTETS: usize>(
    kernels: Kernels,
    jobs: &[PublicJob<'_, FULL, OCTETS>],
    work: &mut PublicWorkspace<FULL>,
    out: &mut [Result<[u8; OCTETS], Fault>],
) -> Result<(), BatchError> {
    BatchError::unless(jobs.len(), out.len())?;
    kernels.dispatch(Public { jobs, work, out });
    Ok(())
}

impl<const FULL: usize, const OCTETS: usize> Kernel for Public<'_, FULL, OCTETS> {
    type Output = ();

    fn run<L: Lanes>(self) {
        for (jobs, out) in self.jobs.chunks(8).zip(self.out.chunks_mut(8)) {
            for lane in 0..8 {
                let job = jobs.get(lane).unwrap_or(&jobs[0]);
                self.work.set_key(lane, job.key);
                self.work.input.set_lane(lane, &Digits::from_octets(job.input));
            }
            self.work.raise::<L>();
            let in_range = carry::less::<L, FULL>(&self.work.input, &self.work.modulus.n);
            for (lane, (job, to)) in jobs.iter().zip(out).enumerate() {
                *to = if !job.key.is_intact() {
                    Err(Fault::Wrong)
                } else if in_range >> lane & 1 == 0 {
                    Err(Fault::Range)
                } else {
                    let mut octets = [0; OCTETS];
                    self.work.result.lane(lane).write_octets(&mut octets);
                    Ok(octets)
                };
            }
        }
    }
}
