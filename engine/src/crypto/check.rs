//! Checking a signature before anybody sees it.
//!
//! Nothing that made the signature takes part: the message is hashed again, and the key's numbers are copies of their
//! own.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use keylane_api::Scheme;

use super::context::{Checker, KeyContext};
use super::{Unchecked, digest};
use crate::os::awslc;
use crate::os::registers::WipeOnDrop;
use crate::policy::Input;

/// Evidence that a signature was computed and is right. [`KeyContext::check`] makes it, and
/// [`MultiBuffer::check`](super::MultiBuffer::check) of what the kernels' own check gives; nothing else does.
#[derive(Debug)]
pub struct Checked {
    length: usize,
}

impl Checked {
    /// For a signature of so many octets that has passed the kernels' check.
    pub(super) fn by_kernels(length: usize) -> Self {
        Self { length }
    }

    /// Octets of the signature.
    pub fn length(&self) -> usize {
        self.length
    }
}

/// Why a signature must not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckFailed {
    /// It is no signature of this input by this key.
    #[error("a computed signature is wrong: faulty memory or processor, or a damaged key context")]
    Wrong,
    /// The numbers that the check relies on have changed since the context was prepared.
    #[error("the key's context is damaged")]
    DamagedContext,
    /// Secret memory had no room for the check.
    #[error("secret memory is full")]
    OutOfMemory,
}

impl KeyContext {
    /// Checks the signature at the beginning of `signature`, of which `unchecked` is the evidence.
    ///
    /// - RSA: sᵉ mod n carries the padded digest, with copies of n and e.
    /// - ECDSA: x(w·G) = r for w = s⁻¹(z + r·d), with a copy of d.
    /// - Ed25519: \[S\]B = R + \[h\]A, with a copy of A.
    #[expect(clippy::needless_pass_by_value, reason = "the evidence is used up")]
    pub fn check(
        &self,
        scheme: Scheme,
        input: Input<'_>,
        signature: &[u8],
        unchecked: Unchecked,
    ) -> Result<Checked, CheckFailed> {
        let _wipe = WipeOnDrop;
        awslc::forget_ran_out();
        let Unchecked { length } = unchecked;
        let signature = signature.get(..length).ok_or(CheckFailed::Wrong)?;
        if self.checker.accepts(scheme, input, signature)? {
            Ok(Checked { length })
        } else if awslc::ran_out() {
            Err(CheckFailed::OutOfMemory)
        } else {
            Err(CheckFailed::Wrong)
        }
    }
}

impl Checker {
    fn accepts(&self, scheme: Scheme, input: Input<'_>, signature: &[u8]) -> Result<bool, CheckFailed> {
        match self {
            Self::Ed25519(numbers) => {
                let (_, public) = numbers.get().ok_or(CheckFailed::DamagedContext)?;
                let Input::Message(message) = input else { return Err(CheckFailed::Wrong) };
                Ok(UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok())
            }
            Self::Ecdsa(curve, numbers) => {
                let (private, _) = numbers.get().ok_or(CheckFailed::DamagedContext)?;
                let digest = digest::of(scheme, input).ok_or(CheckFailed::Wrong)?;
                Ok(curve.nonce_matches(private, digest.as_ref(), signature))
            }
            Self::Rsa(public) => {
                let digest = digest::of(scheme, input).ok_or(CheckFailed::Wrong)?;
                Ok(public.verify(scheme, digest.as_ref(), signature))
            }
        }
    }
}
