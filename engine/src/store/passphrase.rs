//! Argon2id (RFC 9106): what makes guessing a passphrase expensive.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::seal::KEK_BYTES;
use crate::os::bignum::NoRoom;
use crate::os::secret::{SecretBytes, SecretMemoryError};

const SALT_BYTES: usize = 16;
/// What a new store is made with: 256 MiB, three passes; about a second.
const MEMORY_KIB: u32 = 256 << 10;
const PASSES: u32 = 3;
/// The least that RFC 9106 §4 recommends anywhere. An edited store must not make a guess cheap.
const MEMORY_KIB_MIN: u32 = 64 << 10;
const PASSES_MIN: u32 = 3;
/// Nor must it take all memory, or for ever.
const MEMORY_KIB_MAX: u32 = 4 << 20;
const PASSES_MAX: u32 = 64;

/// Parameters of a derivation, stored beside what it opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cost {
    pub memory_kib: u32,
    pub passes: u32,
    salt: [u8; SALT_BYTES],
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum CostError {
    /// Outside the bounds.
    #[error("parameters out of bounds")]
    Bounds,
    /// The operating system has no memory for it.
    #[error("no memory")]
    OrdinaryMemory,
    #[error(transparent)]
    Memory(#[from] SecretMemoryError),
}

impl Cost {
    /// For a new passphrase.
    pub(super) fn draw() -> Result<Self, NoRoom> {
        let mut salt = [0; SALT_BYTES];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| NoRoom)?;
        Ok(Self { memory_kib: MEMORY_KIB, passes: PASSES, salt })
    }

    /// The key that `passphrase` stands for. Works in ordinary memory, which is erased: it holds no part of the
    /// passphrase, and 256 MiB are more than may be locked.
    pub(super) fn derive(&self, passphrase: &[u8]) -> Result<SecretBytes, CostError> {
        let bounds = (MEMORY_KIB_MIN..=MEMORY_KIB_MAX).contains(&self.memory_kib)
            && (PASSES_MIN..=PASSES_MAX).contains(&self.passes);
        if !bounds {
            return Err(CostError::Bounds);
        }
        let params =
            Params::new(self.memory_kib, self.passes, 1, Some(KEK_BYTES)).map_err(|_| CostError::Bounds)?;
        let mut memory = Vec::new();
        memory.try_reserve_exact(params.block_count()).map_err(|_| CostError::OrdinaryMemory)?;
        memory.resize(params.block_count(), Block::default());
        let mut key = SecretBytes::zeroed(KEK_BYTES)?;
        let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let derived = hash.hash_password_into_with_memory(passphrase, &self.salt, &mut key, &mut memory);
        memory.zeroize();
        derived.map_err(|_| CostError::Bounds)?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cost, CostError, MEMORY_KIB_MAX, MEMORY_KIB_MIN, PASSES_MAX, PASSES_MIN};

    fn cost(memory_kib: u32, passes: u32) -> Cost {
        Cost { memory_kib, passes, salt: [1; 16] }
    }

    #[test]
    fn every_input_matters() {
        let key = |passphrase: &[u8], cost: &Cost| cost.derive(passphrase).unwrap();
        let base = cost(MEMORY_KIB_MIN, PASSES_MIN);
        let expected = key(b"secret", &base);
        assert_eq!(key(b"secret", &base), expected);
        assert_ne!(key(b"Secret", &base), expected);
        assert_ne!(key(b"secret", &Cost { salt: [2; 16], ..base.clone() }), expected);
        assert_ne!(key(b"secret", &cost(MEMORY_KIB_MIN + 8, PASSES_MIN)), expected);
    }

    #[test]
    fn cheap_and_ruinous_parameters_are_refused() {
        for (memory_kib, passes) in [
            (MEMORY_KIB_MIN - 1, PASSES_MIN),
            (MEMORY_KIB_MIN, PASSES_MIN - 1),
            (MEMORY_KIB_MAX + 1, PASSES_MIN),
            (MEMORY_KIB_MIN, PASSES_MAX + 1),
        ] {
            let refused = cost(memory_kib, passes).derive(b"secret");
            assert!(matches!(refused, Err(CostError::Bounds)), "{memory_kib} KiB, {passes} passes");
        }
    }
}
