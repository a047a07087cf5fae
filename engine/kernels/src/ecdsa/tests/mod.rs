//! Tests of both curves, against aws-lc and against big integers.

mod campaign;
mod field;
mod oracle;
mod signing;
mod tables;

use crate::{Kernels, Tier};

/// What this machine has.
fn tiers() -> impl Iterator<Item = Kernels> {
    Tier::ALL.into_iter().filter(|tier| tier.is_available()).map(|tier| Kernels::with_tier(tier).unwrap())
}

/// As a nonce of the kernels.
fn wide(nonce: &num_bigint::BigUint) -> [u8; 64] {
    let octets = nonce.to_bytes_be();
    [vec![0; 64 - octets.len()], octets].concat().try_into().unwrap()
}
