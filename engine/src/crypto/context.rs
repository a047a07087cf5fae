//! Prepared keys.

use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};
use keylane_api::Algorithm;
use keylane_kernels::Kernels;

use super::lane_key::LaneKey;
use super::numbers::Numbers;
use super::{CheckFailed, ExecuteError};
use crate::key::{Material, Part};
use crate::os::awslc::{self, ecdsa::Curve, rsa::PublicKey};
use crate::os::registers::WipeOnDrop;
use crate::os::secret::SecretMemoryError;
use crate::policy::Input;

/// Octets of the longest signature.
const SIGNATURE_BYTES_MAX: usize = Algorithm::Rsa4096.signature_bytes();

/// A key, ready to sign: what aws-lc computes with, and apart from it what the check computes with.
#[derive(Debug)]
pub struct KeyContext {
    algorithm: Algorithm,
    pub(super) signer: Signer,
    pub(super) checker: Checker,
    /// The key as the kernels want it, where there are kernels for it.
    pub(super) lanes: Option<LaneKey>,
    #[cfg(test)]
    pub(super) faults: std::sync::atomic::AtomicUsize,
}

/// aws-lc's form of a private key.
#[derive(Debug)]
pub(super) enum Signer {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// What the check uses: copies of its own.
#[derive(Debug)]
pub(super) enum Checker {
    /// n and e.
    Rsa(PublicKey),
    /// d and Q.
    Ecdsa(&'static Curve, Numbers),
    /// No private number, and A.
    Ed25519(Numbers),
}

/// Why a key has no context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// Secret memory is full; evicting another context helps.
    #[error(transparent)]
    Memory(#[from] SecretMemoryError),
    /// aws-lc found no room in secret memory.
    #[error(
        "secret memory has no room for the key's context; raise secret_memory_mib, and with it LimitMEMLOCK="
    )]
    OutOfMemory,
    /// The numbers are no key, or its halves do not belong together.
    #[error("the stored key is inconsistent")]
    Inconsistent,
    /// The engine does not know the algorithm.
    #[error("keys of this algorithm are not supported")]
    UnknownAlgorithm,
}

impl PrepareError {
    /// Whether it may succeed once another context is gone.
    pub fn is_out_of_memory(self) -> bool {
        matches!(self, Self::OutOfMemory | Self::Memory(SecretMemoryError::Exhausted { .. }))
    }

    /// The cause of a failure of aws-lc, which does not tell.
    fn of_aws_lc() -> Self {
        if awslc::ran_out() { Self::OutOfMemory } else { Self::Inconsistent }
    }
}

impl KeyContext {
    /// Prepares a key, for the scalar path and for `kernels` if there are any, and proves it: the public number belongs to the private one (Q = d·G, A = a·B, n = p·q and the
    /// CRT's numbers to d), and a first signature passes its check. That signature also makes aws-lc compute what it
    /// otherwise computes at first use. Takes from 0.1 ms to some milliseconds.
    pub fn prepare(material: &Material, kernels: Option<Kernels>) -> Result<Self, PrepareError> {
        let _wipe = WipeOnDrop;
        awslc::forget_ran_out();
        let mut context = Self::new(material.algorithm, Signer::new(material)?, Checker::new(material)?);
        context.lanes = match kernels {
            Some(kernels) => LaneKey::new(kernels, material)?,
            None => None,
        };
        context.prove()?;
        Ok(context)
    }

    fn new(algorithm: Algorithm, signer: Signer, checker: Checker) -> Self {
        Self {
            algorithm,
            signer,
            checker,
            lanes: None,
            #[cfg(test)]
            faults: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// What the key is.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn prove(&self) -> Result<(), PrepareError> {
        let scheme = *self.algorithm.schemes().first().ok_or(PrepareError::UnknownAlgorithm)?;
        let input = Input::Message(b"keylane: first signature of a context");
        let mut signature = [0; SIGNATURE_BYTES_MAX];
        let unchecked = self.sign(scheme, input, &mut signature)?;
        self.check(scheme, input, &signature, unchecked)?;
        Ok(())
    }
}

impl From<ExecuteError> for PrepareError {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::OutOfMemory => Self::OutOfMemory,
            _ => Self::Inconsistent,
        }
    }
}

impl From<CheckFailed> for PrepareError {
    fn from(error: CheckFailed) -> Self {
        match error {
            CheckFailed::OutOfMemory => Self::OutOfMemory,
            CheckFailed::Wrong | CheckFailed::DamagedContext => Self::Inconsistent,
        }
    }
}

impl Signer {
    fn new(material: &Material) -> Result<Self, PrepareError> {
        let part = |part| material.part(part);
        let ecdsa = |algorithm| {
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, part(Part::Scalar), part(Part::Point))
        };
        let signer = match material.algorithm {
            Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
                RsaKeyPair::from_components(&rsa_components(material)).map(|pair| Self::Rsa(Box::new(pair)))
            }
            Algorithm::P256 => {
                ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING).map(|pair| Self::Ecdsa(Box::new(pair)))
            }
            Algorithm::P384 => {
                ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING).map(|pair| Self::Ecdsa(Box::new(pair)))
            }
            Algorithm::Ed25519 => {
                Ed25519KeyPair::from_seed_and_public_key(part(Part::Seed), part(Part::Public))
                    .map(|pair| Self::Ed25519(Box::new(pair)))
            }
            _ => return Err(PrepareError::UnknownAlgorithm),
        };
        signer.map_err(|_| PrepareError::of_aws_lc())
    }
}

/// The numbers as aws-lc-rs wants them: the public ones without leading zeros.
fn rsa_components(material: &Material) -> KeyPairComponents<&[u8]> {
    let part = |part| material.part(part);
    let e = part(Part::PublicExponent);
    let e = &e[e.iter().take_while(|&&octet| octet == 0).count()..];
    KeyPairComponents {
        public_key: PublicKeyComponents { n: part(Part::Modulus), e },
        d: part(Part::PrivateExponent),
        p: part(Part::Prime1),
        q: part(Part::Prime2),
        dP: part(Part::Exponent1),
        dQ: part(Part::Exponent2),
        qInv: part(Part::Coefficient),
    }
}

impl Checker {
    fn new(material: &Material) -> Result<Self, PrepareError> {
        let part = |part| material.part(part);
        let ecdsa = |curve: Option<&'static Curve>| {
            let curve = curve.ok_or(PrepareError::OutOfMemory)?;
            Ok(Self::Ecdsa(curve, Numbers::new(part(Part::Scalar), part(Part::Point))?))
        };
        match material.algorithm {
            Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
                let public = PublicKey::new(part(Part::Modulus), part(Part::PublicExponent));
                public.map(Self::Rsa).ok_or_else(PrepareError::of_aws_lc)
            }
            Algorithm::P256 => ecdsa(Curve::p256()),
            Algorithm::P384 => ecdsa(Curve::p384()),
            Algorithm::Ed25519 => Ok(Self::Ed25519(Numbers::new(&[], part(Part::Public))?)),
            _ => Err(PrepareError::UnknownAlgorithm),
        }
    }
}

#[cfg(test)]
impl KeyContext {
    /// A context that signs with one key and checks with another: every result is wrong.
    pub(crate) fn mismatched(signs: &Material, checks: &Material) -> Result<Self, PrepareError> {
        Ok(Self::new(signs.algorithm, Signer::new(signs)?, Checker::new(checks)?))
    }

    /// Lets the next `count` signatures come out wrong.
    pub(crate) fn fail_next(&self, count: usize) {
        self.faults.store(count, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn inject_fault(&self, signature: &mut [u8]) {
        use std::sync::atomic::Ordering::Relaxed;
        let fewer = |count: usize| count.checked_sub(1);
        if self.faults.fetch_update(Relaxed, Relaxed, fewer).is_ok() {
            signature[0] ^= 1;
        }
    }
}
