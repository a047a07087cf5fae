//! Signing, by aws-lc.

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, Signature,
};
use keylane_api::Scheme;

use super::context::{KeyContext, Signer};
use super::digest;
use crate::os::awslc;
use crate::os::registers::WipeOnDrop;
use crate::policy::Input;

/// Evidence that a signature was computed, of which nobody knows yet whether it is right.
#[derive(Debug)]
#[must_use = "a result that is not checked must not leave"]
pub struct Unchecked {
    pub(super) length: usize,
}

impl Unchecked {
    /// Octets of the signature.
    pub fn length(&self) -> usize {
        self.length
    }
}

/// Why there is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// The key has no such scheme, or the scheme takes no such input. Policy refuses these earlier.
    #[error("the scheme fits neither the key nor the input")]
    Unfit,
    /// Less room than the signature needs.
    #[error("no room for the signature")]
    NoRoom,
    /// aws-lc found no room in secret memory.
    #[error("secret memory is full")]
    OutOfMemory,
    /// aws-lc computed no result, or one that did not pass its own check.
    #[error("aws-lc computed no signature")]
    Failed,
}

impl ExecuteError {
    /// The cause of a failure of aws-lc, which does not tell.
    pub(super) fn of_aws_lc() -> Self {
        if awslc::ran_out() { Self::OutOfMemory } else { Self::Failed }
    }
}

impl KeyContext {
    /// Signs `input` into the beginning of `out`: modulus length for RSA, r ‖ s for ECDSA, R ‖ S for Ed25519.
    ///
    /// Each call draws a fresh nonce or salt, Ed25519 excepted, whose nonce is a function of key and message.
    pub fn sign(&self, scheme: Scheme, input: Input<'_>, out: &mut [u8]) -> Result<Unchecked, ExecuteError> {
        let _wipe = WipeOnDrop;
        awslc::forget_ran_out();
        if !scheme.fits(self.algorithm()) {
            return Err(ExecuteError::Unfit);
        }
        let length = self.algorithm().signature_bytes();
        let out = out.get_mut(..length).ok_or(ExecuteError::NoRoom)?;
        self.signer.sign(scheme, input, out)?;
        #[cfg(test)]
        self.inject_fault(out);
        Ok(Unchecked { length })
    }
}

impl Signer {
    fn sign(&self, scheme: Scheme, input: Input<'_>, out: &mut [u8]) -> Result<(), ExecuteError> {
        match (self, input) {
            (Self::Ed25519(pair), Input::Message(message)) => {
                give(&pair.try_sign(message).map_err(|_| ExecuteError::of_aws_lc())?, out)
            }
            (Self::Ed25519(_), Input::Digest(_)) => Err(ExecuteError::Unfit),
            (Self::Ecdsa(pair), _) => {
                give(&pair.sign_digest(&hashed(scheme, input)?).map_err(|_| ExecuteError::of_aws_lc())?, out)
            }
            (Self::Rsa(pair), _) => {
                let encoding = encoding(scheme).ok_or(ExecuteError::Unfit)?;
                let signed = pair.sign_digest(encoding, &hashed(scheme, input)?, out);
                signed.map_err(|_| ExecuteError::of_aws_lc())
            }
        }
    }
}

/// Copies a signature of the expected length out.
fn give(signature: &Signature, out: &mut [u8]) -> Result<(), ExecuteError> {
    if signature.as_ref().len() != out.len() {
        return Err(ExecuteError::Failed);
    }
    out.copy_from_slice(signature.as_ref());
    Ok(())
}

fn hashed(scheme: Scheme, input: Input<'_>) -> Result<Digest, ExecuteError> {
    digest::of(scheme, input).ok_or(ExecuteError::Unfit)
}

/// The padding of an RSA scheme; PSS with a salt as long as the digest.
fn encoding(scheme: Scheme) -> Option<&'static dyn RsaEncoding> {
    match scheme {
        Scheme::RsaPkcs1Sha256 => Some(&RSA_PKCS1_SHA256),
        Scheme::RsaPkcs1Sha384 => Some(&RSA_PKCS1_SHA384),
        Scheme::RsaPkcs1Sha512 => Some(&RSA_PKCS1_SHA512),
        Scheme::RsaPssSha256 => Some(&RSA_PSS_SHA256),
        Scheme::RsaPssSha384 => Some(&RSA_PSS_SHA384),
        Scheme::RsaPssSha512 => Some(&RSA_PSS_SHA512),
        _ => None,
    }
}
