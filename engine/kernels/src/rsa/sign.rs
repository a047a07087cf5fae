//! The private operation on a batch, and its check.

use super::blinding::{Blinding, Origin, Spare};
use super::crt::{Crt, Purpose};
use super::faults::{self, Site};
use super::montgomery::{self, Modulus, Scratch};
use super::number::{Digits, Number};
use super::private::PrivateKey;
use super::public::PublicWorkspace;
use super::{BatchError, carry};
use crate::lanes::{Lanes, Mask};
use crate::random::Random;
use crate::tier::Kernel;
use crate::{Fault, Kernels, Unchecked};

/// Operations that share what happens modulo n.
pub(super) const GROUP: usize = 8;

/// A private operation.
#[derive(Clone, Copy)]
pub struct Job<'a, const HALF: usize, const FULL: usize, const OCTETS: usize> {
    /// The key.
    pub key: &'a PrivateKey<HALF, FULL, OCTETS>,
    /// The encoded message (padding is the caller's), big-endian, below the modulus.
    pub message: &'a [u8; OCTETS],
    /// Which of the batch's [`Blinding`]s is this key's. Jobs with the same key share one.
    pub blinding: usize,
}

/// What a batch works in. Only zeros are left in it between calls.
#[derive(Clone)]
#[repr(C, align(64))]
pub struct Workspace<const HALF: usize, const FULL: usize> {
    pub(super) crt: Crt<HALF, FULL>,
    modulus: Modulus<FULL>,
    scratch: Scratch<FULL>,
    factor: Number<FULL>,
    inverse: Number<FULL>,
    message: Number<FULL>,
    pub(super) blinding: Spare<FULL>,
    pub(super) check: PublicWorkspace<FULL>,
}

impl<const HALF: usize, const FULL: usize> Workspace<HALF, FULL> {
    /// All zeros.
    pub const ZERO: Self = Self {
        crt: Crt::ZERO,
        modulus: Modulus::ZERO,
        scratch: Scratch::ZERO,
        factor: Number::ZERO,
        inverse: Number::ZERO,
        message: Number::ZERO,
        blinding: Spare::ZERO,
        check: PublicWorkspace::ZERO,
    };

    /// Forgets everything.
    pub(super) fn erase(&mut self) {
        *self = Self::ZERO;
        zeroize::optimization_barrier(self);
    }
}

#[cfg(test)]
impl<const HALF: usize, const FULL: usize> Workspace<HALF, FULL> {
    /// Whether nothing but zeros is in what a signature used.
    pub(super) fn is_zero(&self) -> bool {
        let numbers = [&self.crt.x, &self.factor, &self.inverse, &self.message, &self.modulus.n];
        self.crt.is_zero() && numbers.into_iter().all(|number| *number == Number::ZERO)
    }
}

/// Raises up to 128 messages to their keys' private exponents, blinded.
///
/// `blindings` are the caller's, one per key of the batch. A result is [`Fault::Range`] where the message is not below the
/// modulus, [`Fault::Wrong`] where the key is damaged or `blindings` has no such element, [`Fault::Random`] where the
/// source of randomness failed; otherwise it must pass [`super::check`].
pub fn sign<const HALF: usize, const FULL: usize, const OCTETS: usize>(
    kernels: Kernels,
    jobs: &[Job<'_, HALF, FULL, OCTETS>],
    blindings: &mut [Blinding<FULL>],
    random: &mut dyn Random,
    work: &mut Workspace<HALF, FULL>,
    out: &mut [Result<Unchecked<[u8; OCTETS]>, Fault>],
) -> Result<(), BatchError> {
    BatchError::unless(jobs.len(), out.len())?;
    kernels.dispatch(Batch { jobs, blinding: Some((blindings, random)), work: &mut *work, out });
    work.erase();
    Ok(())
}

/// [`sign`] without blinding: for measurements, and for those who blind themselves.
pub fn sign_unblinded<const HALF: usize, const FULL: usize, const OCTETS: usize>(
    kernels: Kernels,
    jobs: &[Job<'_, HALF, FULL, OCTETS>],
    work: &mut Workspace<HALF, FULL>,
    out: &mut [Result<Unchecked<[u8; OCTETS]>, Fault>],
) -> Result<(), BatchError> {
    BatchError::unless(jobs.len(), out.len())?;
    kernels.dispatch(Batch { jobs, blinding: None, work: &mut *work, out });
    work.erase();
    Ok(())
}

type Out<const OCTETS: usize> = Result<Unchecked<[u8; OCTETS]>, Fault>;

struct Batch<'a, 'j, const HALF: usize, const FULL: usize, const OCTETS: usize> {
    jobs: &'a [Job<'j, HALF, FULL, OCTETS>],
    blinding: Option<(&'a mut [Blinding<FULL>], &'a mut dyn Random)>,
    work: &'a mut Workspace<HALF, FULL>,
    out: &'a mut [Out<OCTETS>],
}

impl<const HALF: usize, const FULL: usize, const OCTETS: usize> Kernel for Batch<'_, '_, HALF, FULL, OCTETS> {
    type Output = ();

    fn run<L: Lanes>(self) {
        let Self { jobs, mut blinding, work, out } = self;
        for (jobs, out) in jobs.chunks(GROUP).zip(out.chunks_mut(GROUP)) {
            let mut group = Group { jobs, work: &mut *work, verdicts: [Ok(()); GROUP] };
            match &mut blinding {
                None => group.run_bare::<L>(),
                Some((blindings, random)) => group.run_blinded::<L>(blindings, *random),
            }
            group.write(out);
        }
    }
}

/// Up to eight jobs. Lanes without a job repeat the first one.
struct Group<'a, 'j, const HALF: usize, const FULL: usize, const OCTETS: usize> {
    jobs: &'a [Job<'j, HALF, FULL, OCTETS>],
    work: &'a mut Workspace<HALF, FULL>,
    verdicts: [Result<(), Fault>; GROUP],
}

impl<'j, const HALF: usize, const FULL: usize, const OCTETS: usize> Group<'_, 'j, HALF, FULL, OCTETS> {
    fn job(&self, lane: usize) -> Job<'j, HALF, FULL, OCTETS> {
        *self.jobs.get(lane).unwrap_or(&self.jobs[0])
    }

    fn keys(&self) -> [&'j PrivateKey<HALF, FULL, OCTETS>; GROUP] {
        core::array::from_fn(|lane| self.job(lane).key)
    }

    /// Loads messages and moduli, and refuses damaged keys and messages that are too large.
    fn load<L: Lanes>(&mut self) {
        for lane in 0..GROUP {
            let job = self.job(lane);
            self.work.modulus.set_lane(lane, &job.key.modulus);
            self.work.message.set_lane(lane, &Digits::from_octets(job.message));
        }
        let in_range = carry::less::<L, FULL>(&self.work.message, &self.work.modulus.n);
        for (lane, job) in self.jobs.iter().enumerate() {
            if !job.key.is_intact() {
                self.verdicts[lane] = Err(Fault::Wrong);
            } else if in_range >> lane & 1 == 0 {
                self.verdicts[lane] = Err(Fault::Range);
            }
        }
        faults::strike(Site::Operand, self.work.message.blocks_mut());
    }

    fn run_bare<L: Lanes>(&mut self) {
        self.load::<L>();
        self.work.crt.x = self.work.message;
        let keys = self.keys();
        self.work.crt.run::<L, OCTETS>(keys, self.jobs.len(), Purpose::Sign);
    }

    fn run_blinded<L: Lanes>(&mut self, blindings: &mut [Blinding<FULL>], random: &mut dyn Random) {
        self.load::<L>();
        let origins = self.take_pairs::<L>(blindings, random);
        let keys = self.keys();
        let Workspace { crt, modulus, scratch, factor, inverse, message, .. } = &mut *self.work;
        crt.x = *message;
        montgomery::multiply::<L, FULL>(&mut crt.x, factor, modulus, scratch);
        crt.run::<L, OCTETS>(keys, self.jobs.len(), Purpose::Sign);
        montgomery::multiply::<L, FULL>(&mut crt.x, inverse, modulus, scratch);
        carry::canonical::<L, FULL>(&mut crt.x, &modulus.n);
        montgomery::square::<L, FULL>(factor, modulus, scratch);
        montgomery::square::<L, FULL>(inverse, modulus, scratch);
        for (lane, (job, origin)) in self.jobs.iter().zip(origins).enumerate() {
            if let (Some(origin), Some(blinding)) = (origin, blindings.get_mut(job.blinding)) {
                blinding.put(origin, factor, inverse, lane);
            }
        }
    }

    /// Gives every job's lane a pair of its own.
    fn take_pairs<L: Lanes>(
        &mut self,
        blindings: &mut [Blinding<FULL>],
        random: &mut dyn Random,
    ) -> [Option<Origin>; GROUP] {
        let mut origins = [None; GROUP];
        for (lane, job) in self.jobs.iter().enumerate() {
            let Some(blinding) = blindings.get_mut(job.blinding) else {
                self.verdicts[lane] = Err(Fault::Wrong);
                continue;
            };
            if self.verdicts[lane].is_err() {
                continue;
            }
            match blinding.take::<L, HALF, OCTETS>(job.key, random, self.work) {
                Ok((pair, origin)) => {
                    origins[lane] = Some(origin);
                    self.work.factor.set_lane(lane, &pair.factor);
                    self.work.inverse.set_lane(lane, &pair.inverse);
                }
                Err(failed) => self.verdicts[lane] = Err(failed.into()),
            }
        }
        self.fill_idle_lanes(&origins);
        origins
    }

    /// A lane without a pair must not raise an unblinded message: it raises zero.
    fn fill_idle_lanes(&mut self, origins: &[Option<Origin>; GROUP]) {
        for (lane, origin) in origins.iter().enumerate() {
            if origin.is_none() {
                self.work.factor.set_lane(lane, &Digits::ZERO);
                self.work.inverse.set_lane(lane, &Digits::ZERO);
            }
        }
    }

    fn write(&self, out: &mut [Out<OCTETS>]) {
        for (lane, (to, verdict)) in out.iter_mut().zip(self.verdicts).enumerate() {
            *to = verdict.map(|()| {
                let mut octets = [0; OCTETS];
                self.work.crt.x.lane(lane).write_octets(&mut octets);
                Unchecked::new(octets)
            });
        }
    }
}

/// The lanes of a mask.
pub(super) fn is_in(mask: Mask, lane: usize) -> bool {
    mask >> lane & 1 == 1
}
