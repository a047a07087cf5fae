//! Tests against aws-lc and num-bigint, on every tier of the machine.

mod arithmetic;
mod batch;
mod blinding;
mod campaign;
mod keys;
mod private;
mod public;

use std::sync::LazyLock;

use aws_lc_rs::rsa::KeySize;
use num_bigint::BigUint;

use self::keys::{Numbers, generate};
use super::{PrivateKey, PrivateParts, rsa2048};
use crate::random::RandomFailed;
use crate::{Kernels, Tier};

/// A few keys of 2,048 bits, generated once.
static KEYS_2048: LazyLock<Vec<Numbers>> =
    LazyLock::new(|| (0..5).map(|_| generate(KeySize::Rsa2048)).collect());
static KEYS_3072: LazyLock<Vec<Numbers>> =
    LazyLock::new(|| (0..2).map(|_| generate(KeySize::Rsa3072)).collect());
static KEYS_4096: LazyLock<Vec<Numbers>> =
    LazyLock::new(|| (0..1).map(|_| generate(KeySize::Rsa4096)).collect());

/// Every tier that this machine has.
fn tiers() -> impl Iterator<Item = Kernels> {
    Tier::ALL.into_iter().filter(|tier| tier.is_available()).map(|tier| Kernels::with_tier(tier).unwrap())
}

/// The fastest.
fn best() -> Kernels {
    Kernels::select().unwrap()
}

impl Numbers {
    fn parts(&self) -> PrivateParts<'_> {
        let [n, e, _, p, q, dp, dq, q_inverse] = &self.integers[..] else { panic!("eight numbers") };
        PrivateParts { modulus: n, public_exponent: e, p, q, dp, dq, q_inverse }
    }

    fn number(&self, place: usize) -> BigUint {
        BigUint::from_bytes_be(&self.integers[place])
    }

    fn n(&self) -> BigUint {
        self.number(0)
    }

    /// `m^d mod n`, slowly.
    fn raised<const OCTETS: usize>(&self, message: &[u8; OCTETS]) -> [u8; OCTETS] {
        octets(&BigUint::from_bytes_be(message).modpow(&self.number(2), &self.n()))
    }

    fn prepared<const HALF: usize, const FULL: usize, const OCTETS: usize>(
        &self,
        kernels: Kernels,
    ) -> PrivateKey<HALF, FULL, OCTETS> {
        PrivateKey::new(kernels, &self.parts()).unwrap()
    }
}

fn keys_2048(kernels: Kernels) -> Vec<rsa2048::PrivateKey> {
    KEYS_2048.iter().map(|numbers| numbers.prepared(kernels)).collect()
}

/// Big-endian, of this length.
fn octets<const OCTETS: usize>(number: &BigUint) -> [u8; OCTETS] {
    let bytes = number.to_bytes_be();
    let mut octets = [0; OCTETS];
    octets[OCTETS - bytes.len()..].copy_from_slice(&bytes);
    octets
}

/// Octets that look random and are the same every time.
fn seeded(seed: u64) -> impl FnMut(&mut [u8]) -> Result<(), RandomFailed> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |octets: &mut [u8]| {
        for octet in octets {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *octet = state.to_le_bytes()[7];
        }
        Ok(())
    }
}

/// A message below every modulus of this length.
fn message<const OCTETS: usize>(seed: u64) -> [u8; OCTETS] {
    let mut octets = [0; OCTETS];
    seeded(seed)(&mut octets).unwrap();
    octets[0] &= 0x7f;
    octets
}
