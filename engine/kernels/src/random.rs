//! Where randomness comes from: outside, in bulk, once per batch.
//!
//! A kernel draws everything that a batch needs in one call, because a generator's cost is mostly per call (FIPS DRBG:
//! 0.4 µs for 48 octets alone, 15 ns in bulk), and keeps nothing of it for the next batch.

/// The source of randomness failed; nothing was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness failed")]
pub struct RandomFailed;

impl From<RandomFailed> for crate::Fault {
    fn from(_: RandomFailed) -> Self {
        Self::Random
    }
}

/// Fills the whole slice with octets that nobody can predict, or says that it could not.
///
/// Any `FnMut(&mut [u8]) -> Result<(), RandomFailed>` is one.
pub trait Random {
    /// Fills `octets`.
    fn fill(&mut self, octets: &mut [u8]) -> Result<(), RandomFailed>;
}

impl<F: FnMut(&mut [u8]) -> Result<(), RandomFailed>> Random for F {
    fn fill(&mut self, octets: &mut [u8]) -> Result<(), RandomFailed> {
        self(octets)
    }
}
