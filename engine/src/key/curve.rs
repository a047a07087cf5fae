//! Examines ECDSA and Ed25519 keys: the scalar is in range, and the public half is the private half's.

use keylane_api::Algorithm;

use super::material::{Material, Part};
use super::refusal::KeyRefusal;
use crate::os::keypair::{self, Curve};
use crate::os::secret::SecretMemoryError;

/// `publics` are what the file says the public point is; none of them is needed.
pub(super) fn import_ec(
    curve: Curve,
    scalar: &[u8],
    publics: [Option<&[u8]>; 2],
) -> Result<Material, KeyRefusal> {
    let algorithm = match curve {
        Curve::P256 => Algorithm::P256,
        Curve::P384 => Algorithm::P384,
    };
    let mut material = Material::zeroed(algorithm)?;
    let (place, point) = material.halves_mut();
    // Some programs leave leading zeros out, others add one.
    right_align(scalar, place).ok_or(KeyRefusal::ScalarRange)?;
    if !curve.public(place, point)? {
        return Err(KeyRefusal::ScalarRange);
    }
    if publics.into_iter().flatten().any(|public| !is_point(public, point)) {
        return Err(KeyRefusal::PublicMismatch);
    }
    Ok(material)
}

pub(super) fn import_ed25519(seed: &[u8], public: Option<&[u8]>) -> Result<Material, KeyRefusal> {
    let mut material = Material::zeroed(Algorithm::Ed25519)?;
    let place = material.part_mut(Part::Seed);
    if seed.len() != place.len() {
        return Err(KeyRefusal::Damaged("Ed25519 key"));
    }
    place.copy_from_slice(seed);
    complete_ed25519(&mut material)?;
    if public.is_some_and(|public| public != material.part(Part::Public)) {
        return Err(KeyRefusal::PublicMismatch);
    }
    Ok(material)
}

/// Adds the public half to an Ed25519 seed.
pub(super) fn complete_ed25519(material: &mut Material) -> Result<(), SecretMemoryError> {
    let (seed, public) = material.halves_mut();
    if let Ok(seed) = <&[u8; 32]>::try_from(&*seed) {
        public.copy_from_slice(&keypair::ed25519_public(seed)?);
    }
    Ok(())
}

/// Copies a big-endian number to the end of `place`; `None` when it does not fit.
pub(super) fn right_align(number: &[u8], place: &mut [u8]) -> Option<()> {
    let zeros = number.iter().take_while(|&&octet| octet == 0).count();
    let number = &number[zeros..];
    let start = place.len().checked_sub(number.len())?;
    place[start..].copy_from_slice(number);
    Some(())
}

/// Whether `encoded`, compressed or not (SEC 1 §2.3.3), is the uncompressed `point`.
fn is_point(encoded: &[u8], point: &[u8]) -> bool {
    let (x, y) = point[1..].split_at(point.len() / 2);
    let parity = y.last().map_or(0, |octet| octet & 1);
    encoded == point || encoded.split_first() == Some((&(2 + parity), x))
}
