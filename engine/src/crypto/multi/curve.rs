//! Batches of ECDSA, the same for both curves.

macro_rules! room {
    ($curve:ident, $octets:literal) => {
        pub(in super::super) mod $curve {
            use keylane_kernels::$curve::{Job, Signature, SigningKey, Workspace, check, sign};
            use keylane_kernels::{Fault, Kernels, Unchecked};

            use crate::crypto::digest;
            use crate::crypto::lane_key::random;
            use crate::crypto::multi::{Give, Operation, Room};
            use crate::limits::BATCH_MAX;
            use crate::os::secret::SecretBox;

            /// See [`Room`].
            pub(in crate::crypto::multi) struct CurveRoom {
                work: Workspace,
                results: [Result<Unchecked<Signature>, Fault>; BATCH_MAX],
            }

            impl Default for CurveRoom {
                fn default() -> Self {
                    Self { work: Workspace::new(), results: [const { Err(Fault::Wrong) }; BATCH_MAX] }
                }
            }

            type Digests = [[u8; $octets]; BATCH_MAX];

            /// Hashes; before signing, and once more before the check.
            fn hash(operations: &[Operation<'_>], digests: &mut Digests) -> Option<()> {
                for (to, operation) in digests.iter_mut().zip(operations) {
                    let digest = digest::of(operation.scheme, operation.input)?;
                    *to = digest.as_ref().try_into().ok()?;
                }
                Some(())
            }

            fn job<'a>(operation: &Operation<'a>, digest: &'a [u8; $octets]) -> Option<Job<'a>> {
                let key: &SecretBox<SigningKey> = operation.key()?;
                Some(Job { key, digest })
            }

            /// The batch's jobs, in an array that repeats the first behind the last; `None` unless all are for this
            /// kernel.
            fn jobs<'a>(operations: &[Operation<'a>], digests: &'a Digests) -> Option<[Job<'a>; BATCH_MAX]> {
                let mut jobs = [job(operations.first()?, digests.first()?)?; BATCH_MAX];
                for ((to, operation), digest) in jobs.iter_mut().zip(operations).zip(digests) {
                    *to = job(operation, digest)?;
                }
                Some(jobs)
            }

            impl Room for CurveRoom {
                fn sign(&mut self, kernels: Kernels, operations: &[Operation<'_>]) -> bool {
                    let fill = operations.len();
                    let mut digests = [[0; $octets]; BATCH_MAX];
                    if hash(operations, &mut digests).is_none() {
                        return false;
                    }
                    let Some(jobs) = jobs(operations, &digests) else { return false };
                    let (work, results) = (&mut self.work, &mut self.results[..fill]);
                    sign(kernels, &jobs[..fill], &mut random, work, results);
                    true
                }

                fn check(&mut self, kernels: Kernels, operations: &[Operation<'_>], give: Give<'_>) {
                    let fill = operations.len();
                    let mut digests = [[0; $octets]; BATCH_MAX];
                    if hash(operations, &mut digests).is_none() {
                        return;
                    }
                    let Some(jobs) = jobs(operations, &digests) else { return };
                    let mut checked = [const { Err(Fault::Wrong) }; BATCH_MAX];
                    let (work, results) = (&mut self.work, &mut self.results[..fill]);
                    check(kernels, &jobs[..fill], work, results, &mut checked[..fill]);
                    for (number, outcome) in checked[..fill].iter().enumerate() {
                        let signature = outcome.as_ref().map(|checked| checked.get().as_slice());
                        give(number, signature.map_err(|&fault| fault));
                    }
                }
            }
        }
    };
}

room!(p256, 32);
room!(p384, 48);
