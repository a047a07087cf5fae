//! Batches of RSA: padding here, the private operation in the kernel.

use keylane_kernels::rsa::{Blinding, Job, Workspace, check, sign};
use keylane_kernels::{Fault, Kernels, Unchecked};

use super::super::context::Checker;
use super::super::digest;
use super::super::lane_key::{Find, LaneKey, random};
use super::{Give, Operation, Room, RsaKey};
use crate::os::awslc::rsa::PublicKey;
use crate::os::secret::SecretBox;

/// Operations of a batch.
pub(super) const SLICE_MAX: usize = 8;

/// See [`Room`].
pub(super) struct RsaRoom<const HALF: usize, const FULL: usize, const OCTETS: usize> {
    work: Workspace<HALF, FULL>,
    /// One for each key of the batch, from the key's context and back.
    blindings: [Blinding<FULL>; SLICE_MAX],
    encoded: [[u8; OCTETS]; SLICE_MAX],
    results: [Result<Unchecked<[u8; OCTETS]>, Fault>; SLICE_MAX],
}

impl<const HALF: usize, const FULL: usize, const OCTETS: usize> Default for RsaRoom<HALF, FULL, OCTETS> {
    fn default() -> Self {
        Self {
            work: Workspace::ZERO,
            blindings: [const { Blinding::EMPTY }; SLICE_MAX],
            encoded: [[0; OCTETS]; SLICE_MAX],
            results: [const { Err(Fault::Wrong) }; SLICE_MAX],
        }
    }
}

/// The public key, as the check's own copy.
fn public<'a>(operation: &Operation<'a>) -> Option<&'a PublicKey> {
    if let Checker::Rsa(public) = &operation.context.checker { Some(public) } else { None }
}

/// Position of the first operation with the same key: that of their blinding.
fn first_of_key(operations: &[Operation<'_>], number: usize) -> usize {
    let key = operations[number].context;
    operations.iter().position(|other| std::ptr::eq(other.context, key)).unwrap_or(number)
}

impl<const HALF: usize, const FULL: usize, const OCTETS: usize> RsaRoom<HALF, FULL, OCTETS>
where
    LaneKey: Find<RsaKey<HALF, FULL, OCTETS>>,
{
    fn encode(&mut self, operations: &[Operation<'_>]) -> Option<()> {
        for (to, operation) in self.encoded.iter_mut().zip(operations) {
            let digest = digest::of(operation.scheme, operation.input)?;
            public(operation)?.encode(operation.scheme, digest.as_ref(), to)?;
        }
        Some(())
    }

    /// The batch's jobs, in an array that repeats the first behind the last; `None` unless all are for this kernel.
    fn jobs<'a>(
        operations: &[Operation<'a>],
        encoded: &'a [[u8; OCTETS]; SLICE_MAX],
    ) -> Option<[Job<'a, HALF, FULL, OCTETS>; SLICE_MAX]> {
        let job = |number: usize| {
            let key: &RsaKey<HALF, FULL, OCTETS> = operations.get(number)?.key()?;
            let blinding = first_of_key(operations, number);
            Some(Job { key: &*key.key, message: encoded.get(number)?, blinding })
        };
        let mut jobs = [job(0)?; SLICE_MAX];
        for (number, to) in jobs.iter_mut().enumerate().take(operations.len()) {
            *to = job(number)?;
        }
        Some(jobs)
    }

    /// Exchanges each key's blinding with the empty one in its place.
    fn exchange_blindings(&mut self, operations: &[Operation<'_>], taking: bool) {
        for number in 0..operations.len().min(SLICE_MAX) {
            let key: Option<&RsaKey<HALF, FULL, OCTETS>> = operations[number].key();
            let Some(key) = key.filter(|_| first_of_key(operations, number) == number) else { continue };
            let place = &mut self.blindings[number];
            if taking {
                if let Some(mut rested) = key.blindings.pop() {
                    std::mem::swap(place, &mut rested);
                }
                continue;
            }
            // Without room it is drawn anew next time.
            if let Ok(mut resting) = SecretBox::new_with(|| Blinding::EMPTY) {
                std::mem::swap(place, &mut resting);
                drop(key.blindings.push(resting));
            }
        }
    }

    /// Whether what was signed encodes the digest of this operation, hashed once more.
    fn is_encoded(&self, operation: &Operation<'_>, number: usize) -> bool {
        let digest = digest::of(operation.scheme, operation.input);
        let encoded = self.encoded.get(number);
        digest.zip(public(operation)).zip(encoded).is_some_and(|((digest, public), encoded)| {
            public.is_encoding(operation.scheme, digest.as_ref(), encoded)
        })
    }
}

impl<const HALF: usize, const FULL: usize, const OCTETS: usize> Room for RsaRoom<HALF, FULL, OCTETS>
where
    LaneKey: Find<RsaKey<HALF, FULL, OCTETS>>,
{
    fn sign(&mut self, kernels: Kernels, operations: &[Operation<'_>]) -> bool {
        let fill = operations.len();
        if fill > SLICE_MAX || self.encode(operations).is_none() {
            return false;
        }
        self.exchange_blindings(operations, true);
        let Self { work, blindings, encoded, results } = self;
        let Some(jobs) = Self::jobs(operations, encoded) else { return false };
        sign(kernels, &jobs[..fill], blindings, &mut random, work, &mut results[..fill]).is_ok()
    }

    fn check(&mut self, kernels: Kernels, operations: &[Operation<'_>], give: Give<'_>) {
        let fill = operations.len();
        let mut checked = [const { Err(Fault::Wrong) }; SLICE_MAX];
        let Self { work, blindings, encoded, results } = &mut *self;
        let Some(jobs) = Self::jobs(operations, encoded) else { return };
        let done = check(kernels, &jobs[..fill], blindings, work, &mut results[..fill], &mut checked[..fill]);
        self.exchange_blindings(operations, false);
        if done.is_err() {
            return;
        }
        for (number, outcome) in checked[..fill].iter().enumerate() {
            let outcome = outcome.as_ref().map_err(|&fault| fault);
            let encoded = self.is_encoded(&operations[number], number);
            give(
                number,
                outcome.and_then(|checked| encoded.then_some(checked.get().as_slice()).ok_or(Fault::Wrong)),
            );
        }
    }
}
