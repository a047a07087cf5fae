//! The digest that a scheme signs.

use aws_lc_rs::digest::{Algorithm, Digest, SHA256, SHA384, SHA512, digest};
use keylane_api::Scheme;

use crate::policy::Input;

/// The hash function of a scheme; `None` for Ed25519, which hashes in its own way.
fn algorithm(scheme: Scheme) -> Option<&'static Algorithm> {
    match scheme.digest_bytes()? {
        32 => Some(&SHA256),
        48 => Some(&SHA384),
        64 => Some(&SHA512),
        _ => None,
    }
}

/// What is to be signed, hashed if it was not yet; `None` when the scheme takes no digest of this length.
pub fn of(scheme: Scheme, input: Input<'_>) -> Option<Digest> {
    let algorithm = algorithm(scheme)?;
    match input {
        Input::Message(message) => Some(digest(algorithm, message)),
        Input::Digest(octets) => Digest::import_less_safe(octets, algorithm).ok(),
    }
}
