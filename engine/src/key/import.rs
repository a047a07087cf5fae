//! From a file to a key that is what it says.

use super::der::{self, Key};
use super::material::Material;
use super::refusal::KeyRefusal;
use super::{curve, pem, rsa};
use crate::os::secret::SecretBytes;

/// Reads a private key: PKCS#8 (v1, v2), PKCS#1 or SEC 1, in PEM or DER. A PEM file may hold certificates beside it.
///
/// # Errors
/// A [`KeyRefusal`] names what the file is instead, or what is wrong with the key.
pub fn import(file: &SecretBytes) -> Result<Material, KeyRefusal> {
    match pem::private_key(file)? {
        Some(decoded) => import_der(&decoded),
        None => import_der(file),
    }
}

fn import_der(file: &[u8]) -> Result<Material, KeyRefusal> {
    match der::parse(file)? {
        Key::Rsa(numbers) => rsa::import(&numbers),
        Key::Ec { curve, scalar, publics } => curve::import_ec(curve, scalar, publics),
        Key::Ed25519 { seed, public } => curve::import_ed25519(seed, public),
    }
}
