//! The multi-buffer path: a batch of one algorithm at a time, on the kernels, checked together.
//!
//! [`MultiBuffer`] is one worker's: which kernels run here, and their memory. [`MultiBuffer::sign`] leaves results that
//! nobody may see yet; [`MultiBuffer::check`] gives out those that are right. What fails goes to the scalar path, with fresh
//! randomness.

mod curve;
mod ed25519;
mod rsa;

use keylane_api::{Algorithm, Scheme};
use keylane_kernels::{Fault, Kernels};

use super::check::Checked;
use super::context::KeyContext;
use super::lane_key::{Find, RsaKey};
use crate::limits::{BATCH_MAX, RSA_SLICE_MAX};
use crate::os::registers::WipeOnDrop;
use crate::os::secret::{SecretBox, SecretMemoryError};
use crate::policy::Input;

/// One signature to make.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// With which key.
    pub context: &'a KeyContext,
    /// How.
    pub scheme: Scheme,
    /// Of what.
    pub input: Input<'a>,
}

impl<'a> Operation<'a> {
    /// The key as the kernels want it.
    fn key<K>(&self) -> Option<&'a K>
    where
        super::lane_key::LaneKey: Find<K>,
    {
        self.context.lanes.as_ref()?.find()
    }
}

/// Receives the outcome of each operation, by its position in the batch.
type Give<'g> = &'g mut dyn FnMut(usize, Result<&[u8], Fault>);

/// The memory of one algorithm's kernel, and how it is used.
trait Room {
    /// Signs; `false` when some operation is not for these kernels, and none was run.
    fn sign(&mut self, kernels: Kernels, operations: &[Operation<'_>]) -> bool;
    /// Checks what [`sign`](Self::sign) has left for the same operations.
    fn check(&mut self, kernels: Kernels, operations: &[Operation<'_>], give: Give<'_>);
}

/// Kernels of one worker, with the memory that they work in: secret, and taken when an algorithm is first used.
#[derive(Default)]
pub struct MultiBuffer {
    kernels: Option<Kernels>,
    rsa2048: Option<SecretBox<rsa::RsaRoom<2, 4, 256>>>,
    rsa3072: Option<SecretBox<rsa::RsaRoom<3, 6, 384>>>,
    rsa4096: Option<SecretBox<rsa::RsaRoom<4, 8, 512>>>,
    p256: Option<SecretBox<curve::p256::CurveRoom>>,
    p384: Option<SecretBox<curve::p384::CurveRoom>>,
    ed25519: Option<SecretBox<ed25519::EdRoom>>,
}

const _: () = assert!(RSA_SLICE_MAX <= rsa::SLICE_MAX && BATCH_MAX <= 128);

impl MultiBuffer {
    /// With these kernels; without any, every operation is for the scalar path.
    pub fn new(kernels: Option<Kernels>) -> Self {
        Self { kernels, ..Self::default() }
    }

    /// Whether a batch is for the kernels: they are slower than the scalar path when few lanes are filled.
    pub fn takes(&self, algorithm: Algorithm, operations: usize) -> bool {
        self.kernels.is_some() && operations >= fill_min(algorithm)
    }

    /// Signs a batch of one algorithm, at most [`BATCH_MAX`] operations (RSA: [`RSA_SLICE_MAX`]). `false` when it is not for
    /// the kernels, or secret memory has no room for them.
    pub fn sign(&mut self, algorithm: Algorithm, operations: &[Operation<'_>]) -> bool {
        let _wipe = WipeOnDrop;
        let Some(kernels) = self.kernels else { return false };
        match self.room(algorithm) {
            Some(Ok(room)) => room.sign(kernels, operations),
            Some(Err(_)) | None => false,
        }
    }

    /// Checks what [`sign`](Self::sign) made of the same operations: `give` gets each signature that is right.
    pub fn check(
        &mut self,
        algorithm: Algorithm,
        operations: &[Operation<'_>],
        mut give: impl FnMut(usize, Result<(Checked, &[u8]), Fault>),
    ) {
        let _wipe = WipeOnDrop;
        if let Some(kernels) = self.kernels
            && let Some(Ok(room)) = self.room(algorithm)
        {
            room.check(kernels, operations, &mut |number, outcome| {
                give(number, outcome.map(|signature| (Checked::by_kernels(signature.len()), signature)));
            });
        }
    }

    fn room(&mut self, algorithm: Algorithm) -> Option<Result<&mut dyn Room, SecretMemoryError>> {
        Some(match algorithm {
            Algorithm::Rsa2048 => open(&mut self.rsa2048),
            Algorithm::Rsa3072 => open(&mut self.rsa3072),
            Algorithm::Rsa4096 => open(&mut self.rsa4096),
            Algorithm::P256 => open(&mut self.p256),
            Algorithm::P384 => open(&mut self.p384),
            Algorithm::Ed25519 => open(&mut self.ed25519),
            _ => return None,
        })
    }
}

fn open<R: Room + Default>(room: &mut Option<SecretBox<R>>) -> Result<&mut dyn Room, SecretMemoryError> {
    Ok(match room {
        Some(room) => &mut **room,
        None => &mut **room.insert(SecretBox::new_with(R::default)?),
    })
}

/// Operations from which on a batch, checked, is faster than so many on the scalar path, on the machines that we measured
/// (docs/BENCHMARKING.md).
const fn fill_min(algorithm: Algorithm) -> usize {
    if algorithm.is_rsa() { 2 } else { 1 }
}
