//! Makes new keys.

use keylane_api::Algorithm;

use super::material::{Material, Part};
use crate::os::bignum::NoRoom;
use crate::os::keypair::{Curve, Rsa};
use crate::os::secret::SecretMemoryError;

/// Why no key was made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No secret memory left.
    #[error(transparent)]
    Memory(#[from] SecretMemoryError),
    /// No secret memory left for aws-lc.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// An algorithm that this engine does not know.
    #[error("keys of algorithm {0:?} are not supported")]
    Algorithm(Algorithm),
}

/// Generates a key from aws-lc's random source. RSA takes from 50 ms to seconds.
pub fn generate(algorithm: Algorithm) -> Result<Material, KeyError> {
    let mut material = Material::zeroed(algorithm)?;
    match algorithm {
        Algorithm::Rsa2048 => rsa(2048, &mut material),
        Algorithm::Rsa3072 => rsa(3072, &mut material),
        Algorithm::Rsa4096 => rsa(4096, &mut material),
        Algorithm::P256 => curve(Curve::P256, &mut material),
        Algorithm::P384 => curve(Curve::P384, &mut material),
        Algorithm::Ed25519 => ed25519(&mut material),
        other => Err(KeyError::Algorithm(other)),
    }?;
    Ok(material)
}

fn rsa(bits: u32, material: &mut Material) -> Result<(), KeyError> {
    let fits = Rsa::generate(bits)?.export(material.rsa_mut());
    debug_assert!(fits, "a generated key has the numbers of its size");
    if fits { Ok(()) } else { Err(NoRoom.into()) }
}

fn curve(curve: Curve, material: &mut Material) -> Result<(), KeyError> {
    let (scalar, point) = material.halves_mut();
    Ok(curve.generate(scalar, point)?)
}

fn ed25519(material: &mut Material) -> Result<(), KeyError> {
    aws_lc_rs::rand::fill(material.part_mut(Part::Seed)).map_err(|_| NoRoom)?;
    Ok(super::curve::complete_ed25519(material)?)
}
