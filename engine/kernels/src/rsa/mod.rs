//! RSA with 2,048, 3,072 and 4,096 bits: the private operation by the Chinese remainder theorem, blinded and checked, and
//! the public operation, on batches of mixed keys.
//!
//! Padding is the caller's: an operation takes an encoded message of the modulus' length and gives its power.
//!
//! # In reading order
//!
//! 1. `block`: ten digits times ten digits in registers;
//! 2. `number`, `montgomery`, `carry`: arithmetic on numbers of 20 to 80 digits;
//! 3. `power`: exponentiation; `crt`: an operation as two halves; `blinding`;
//! 4. `public`, `private`: prepared keys; `sign`, `check`: batches.

mod blinding;
mod block;
mod carry;
mod check;
mod checksum;
mod crt;
mod faults;
mod modulus;
mod montgomery;
mod number;
mod power;
mod private;
mod prove;
mod public;
mod sign;

pub use blinding::Blinding;
pub use check::check;
pub use private::{PrivateKey, PrivateParts};
pub(crate) use prove::proves;
pub use public::{PublicJob, PublicKey, PublicWorkspace, public};
pub use sign::{Job, Workspace, sign, sign_unblinded};

/// Operations of a batch, at most.
pub const BATCH_MAX: usize = 128;

/// The types of keys of 2,048 bits.
pub mod rsa2048 {
    /// A prepared private key.
    pub type PrivateKey = super::PrivateKey<2, 4, 256>;
    /// A prepared public key.
    pub type PublicKey = super::PublicKey<4, 256>;
    /// A private operation.
    pub type Job<'a> = super::Job<'a, 2, 4, 256>;
    /// A public operation.
    pub type PublicJob<'a> = super::PublicJob<'a, 4, 256>;
    /// A private key's blinding.
    pub type Blinding = super::Blinding<4>;
    /// Scratch.
    pub type Workspace = super::Workspace<2, 4>;
    /// Scratch of public operations.
    pub type PublicWorkspace = super::PublicWorkspace<4>;
}

/// The types of keys of 3,072 bits.
pub mod rsa3072 {
    /// A prepared private key.
    pub type PrivateKey = super::PrivateKey<3, 6, 384>;
    /// A prepared public key.
    pub type PublicKey = super::PublicKey<6, 384>;
    /// A private operation.
    pub type Job<'a> = super::Job<'a, 3, 6, 384>;
    /// A public operation.
    pub type PublicJob<'a> = super::PublicJob<'a, 6, 384>;
    /// A private key's blinding.
    pub type Blinding = super::Blinding<6>;
    /// Scratch.
    pub type Workspace = super::Workspace<3, 6>;
    /// Scratch of public operations.
    pub type PublicWorkspace = super::PublicWorkspace<6>;
}

/// The types of keys of 4,096 bits.
pub mod rsa4096 {
    /// A prepared private key.
    pub type PrivateKey = super::PrivateKey<4, 8, 512>;
    /// A prepared public key.
    pub type PublicKey = super::PublicKey<8, 512>;
    /// A private operation.
    pub type Job<'a> = super::Job<'a, 4, 8, 512>;
    /// A public operation.
    pub type PublicJob<'a> = super::PublicJob<'a, 8, 512>;
    /// A private key's blinding.
    pub type Blinding = super::Blinding<8>;
    /// Scratch.
    pub type Workspace = super::Workspace<4, 8>;
    /// Scratch of public operations.
    pub type PublicWorkspace = super::PublicWorkspace<8>;
}

/// Why numbers are not a key of these kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Another size, primes of different lengths, or a public exponent above 33 bits.
    #[error("no kernel is made for a key of this shape")]
    Unsupported,
    /// The numbers do not belong together.
    #[error("the numbers are no RSA key")]
    Inconsistent,
}

/// A batch that cannot be run; nothing was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// No job, or more than [`BATCH_MAX`].
    #[error("a batch has 1 to 128 jobs")]
    Fill,
    /// Not as many places for results as jobs.
    #[error("a batch has one result per job")]
    Lengths,
}

impl BatchError {
    fn unless(jobs: usize, results: usize) -> Result<(), Self> {
        if jobs == 0 || jobs > BATCH_MAX {
            return Err(Self::Fill);
        }
        if jobs == results { Ok(()) } else { Err(Self::Lengths) }
    }
}

/// Without leading zeros.
fn stripped(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|&&octet| octet == 0).count();
    &octets[zeros..]
}

#[cfg(test)]
mod tests;
