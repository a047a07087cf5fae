//! Keys as the multi-buffer kernels want them, in secret memory.

use aws_lc_rs::rand;
use crossbeam::queue::ArrayQueue;
use keylane_api::Algorithm;
use keylane_kernels::rsa::{self, Blinding, PrivateKey, PrivateParts};
use keylane_kernels::{Kernels, RandomFailed, ed25519, p256, p384};

use super::PrepareError;
use crate::key::{Material, Part};
use crate::os::secret::SecretBox;

/// Blindings of one key that rest between batches: as many as workers are likely to sign with it at once. A worker that
/// finds none draws one, which costs about as much as a batch.
const BLINDINGS: usize = 8;

/// An RSA key and its blindings.
#[derive(Debug)]
pub(super) struct RsaKey<const HALF: usize, const FULL: usize, const OCTETS: usize> {
    pub key: SecretBox<PrivateKey<HALF, FULL, OCTETS>>,
    pub blindings: ArrayQueue<SecretBox<Blinding<FULL>>>,
}

/// A prepared key of any algorithm.
#[derive(Debug)]
pub(super) enum LaneKey {
    Rsa2048(RsaKey<2, 4, 256>),
    Rsa3072(RsaKey<3, 6, 384>),
    Rsa4096(RsaKey<4, 8, 512>),
    P256(SecretBox<p256::SigningKey>),
    P384(SecretBox<p384::SigningKey>),
    Ed25519(SecretBox<ed25519::Key>),
}

/// Finds the key in its variant.
pub(super) trait Find<K> {
    /// The key; `None` when it is one of another algorithm.
    fn find(&self) -> Option<&K>;
}

macro_rules! find {
    ($($variant:ident: $key:ty;)*) => {
        $(impl Find<$key> for LaneKey {
            fn find(&self) -> Option<&$key> {
                if let Self::$variant(key) = self { Some(key) } else { None }
            }
        })*
    };
}

find! {
    Rsa2048: RsaKey<2, 4, 256>;
    Rsa3072: RsaKey<3, 6, 384>;
    Rsa4096: RsaKey<4, 8, 512>;
    P256: SecretBox<p256::SigningKey>;
    P384: SecretBox<p384::SigningKey>;
    Ed25519: SecretBox<ed25519::Key>;
}

impl LaneKey {
    /// Prepares a key; `None` when there are no kernels for one of its shape. The public half is compared.
    pub(super) fn new(kernels: Kernels, material: &Material) -> Result<Option<Self>, PrepareError> {
        let prepared = match material.algorithm {
            Algorithm::Rsa2048 => RsaKey::new(kernels, material)?.map(Self::Rsa2048),
            Algorithm::Rsa3072 => RsaKey::new(kernels, material)?.map(Self::Rsa3072),
            Algorithm::Rsa4096 => RsaKey::new(kernels, material)?.map(Self::Rsa4096),
            Algorithm::P256 => {
                let (private, public) = (number(material, Part::Scalar)?, number(material, Part::Point)?);
                let key = place(|| p256::SigningKey::new(private))?;
                key.verify_public(kernels, public).map_err(inconsistent)?;
                Some(Self::P256(key))
            }
            Algorithm::P384 => {
                let (private, public) = (number(material, Part::Scalar)?, number(material, Part::Point)?);
                let key = place(|| p384::SigningKey::new(private))?;
                key.verify_public(kernels, public).map_err(inconsistent)?;
                Some(Self::P384(key))
            }
            Algorithm::Ed25519 => {
                let (seed, public) = (number(material, Part::Seed)?, number(material, Part::Public)?);
                let key = place(|| ed25519::Key::with_public(kernels, seed, public, &mut random))?;
                Some(Self::Ed25519(key))
            }
            _ => None,
        };
        Ok(prepared)
    }
}

impl<const HALF: usize, const FULL: usize, const OCTETS: usize> RsaKey<HALF, FULL, OCTETS> {
    fn new(kernels: Kernels, material: &Material) -> Result<Option<Self>, PrepareError> {
        let part = |part| material.part(part);
        let parts = PrivateParts {
            modulus: part(Part::Modulus),
            public_exponent: part(Part::PublicExponent),
            p: part(Part::Prime1),
            q: part(Part::Prime2),
            dp: part(Part::Exponent1),
            dq: part(Part::Exponent2),
            q_inverse: part(Part::Coefficient),
        };
        match PrivateKey::new(kernels, &parts) {
            Ok(key) => {
                let key = SecretBox::new_with(|| key)?;
                Ok(Some(Self { key, blindings: ArrayQueue::new(BLINDINGS) }))
            }
            // The scalar path takes it.
            Err(rsa::KeyError::Unsupported) => Ok(None),
            Err(cause) => Err(inconsistent(cause)),
        }
    }
}

/// Places a key in secret memory, unless it is none.
fn place<T, E>(make: impl FnOnce() -> Result<T, E>) -> Result<SecretBox<T>, PrepareError> {
    let key = make().map_err(inconsistent)?;
    Ok(SecretBox::new_with(|| key)?)
}

fn number<const LEN: usize>(material: &Material, part: Part) -> Result<&[u8; LEN], PrepareError> {
    material.part(part).try_into().map_err(inconsistent)
}

fn inconsistent<E>(_: E) -> PrepareError {
    PrepareError::Inconsistent
}

/// aws-lc's generator of this thread, as the kernels draw from it: once per batch.
pub(super) fn random(octets: &mut [u8]) -> Result<(), RandomFailed> {
    rand::fill(octets).map_err(|_| RandomFailed)
}
