//! Random octets for clients.

use super::ExecuteError;

/// Fills `out` from aws-lc's generator of this thread (CTR_DRBG, reseeded from Linux, of forks and VM restores aware).
pub fn random(out: &mut [u8]) -> Result<(), ExecuteError> {
    aws_lc_rs::rand::fill(out).map_err(|_| ExecuteError::of_aws_lc())
}
