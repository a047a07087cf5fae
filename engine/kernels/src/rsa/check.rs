//! The check of every result: s^e = m modulo n, with copies of n and e that the operation did not use.
//!
//! It finds every wrong signature, whatever went wrong: only one s below n has that power, because raising to e permutes
//! the residues modulo n. A fault modulo one prime only, which would give the other one away (Boneh, DeMillo, Lipton,
//! EUROCRYPT '97), is a wrong signature like any other.

use super::BatchError;
use super::blinding::Blinding;
use super::number::Digits;
use super::sign::{GROUP, Job, Workspace, is_in};
use crate::lanes::Lanes;
use crate::tier::Kernel;
use crate::{Checked, Fault, Kernels, Unchecked};

/// Checks results of [`super::sign`] on the same jobs. A result that fails is [`Fault::Wrong`], never shown, and its
/// blinding is drawn anew at its next use; one that had no result keeps its fault.
///
/// The message is taken from `jobs` once more: a caller who wants the check to notice damage to the message in its own
/// memory gives a copy here.
pub fn check<const HALF: usize, const FULL: usize, const OCTETS: usize>(
    kernels: Kernels,
    jobs: &[Job<'_, HALF, FULL, OCTETS>],
    blindings: &mut [Blinding<FULL>],
    work: &mut Workspace<HALF, FULL>,
    results: &mut [Result<Unchecked<[u8; OCTETS]>, Fault>],
    out: &mut [Result<Checked<[u8; OCTETS]>, Fault>],
) -> Result<(), BatchError> {
    BatchError::unless(jobs.len(), results.len())?;
    BatchError::unless(jobs.len(), out.len())?;
    kernels.dispatch(Check { jobs, blindings, work, results, out });
    Ok(())
}

struct Check<'a, 'j, const HALF: usize, const FULL: usize, const OCTETS: usize> {
    jobs: &'a [Job<'j, HALF, FULL, OCTETS>],
    blindings: &'a mut [Blinding<FULL>],
    work: &'a mut Workspace<HALF, FULL>,
    results: &'a mut [Result<Unchecked<[u8; OCTETS]>, Fault>],
    out: &'a mut [Result<Checked<[u8; OCTETS]>, Fault>],
}

impl<const HALF: usize, const FULL: usize, const OCTETS: usize> Kernel for Check<'_, '_, HALF, FULL, OCTETS> {
    type Output = ();

    fn run<L: Lanes>(self) {
        let Self { jobs, blindings, work, results, out } = self;
        let groups = jobs.chunks(GROUP).zip(results.chunks_mut(GROUP)).zip(out.chunks_mut(GROUP));
        for ((jobs, results), out) in groups {
            let public = &mut work.check;
            for lane in 0..GROUP {
                let live = if lane < jobs.len() { lane } else { 0 };
                let job = &jobs[live];
                public.set_key(lane, &job.key.public);
                public.expected.set_lane(lane, &Digits::from_octets(job.message));
                let result = results[live].as_ref();
                let result = result.map_or(Digits::ZERO, |result| Digits::from_octets(result.expose()));
                public.input.set_lane(lane, &result);
            }
            let holds = public.holds::<L>();
            let mut any_wrong = false;
            for (lane, (job, result)) in jobs.iter().zip(results).enumerate() {
                let passes = is_in(holds, lane) && job.key.public.is_intact();
                // What failed is not left behind: it may give the key away.
                let result = core::mem::replace(result, Err(Fault::Wrong));
                any_wrong |= result.is_ok() && !passes;
                out[lane] = match result {
                    Ok(result) if passes => Ok(result.into_checked()),
                    Ok(_) => Err(Fault::Wrong),
                    Err(fault) => Err(fault),
                };
                if !passes && let Some(blinding) = blindings.get_mut(job.blinding) {
                    blinding.expire();
                }
            }
            if any_wrong {
                work.erase();
            }
        }
    }
}
