//! What a key may be used for. The default is deny: a key signs what one of its uses covers, and nothing else.
//!
//! [`Policy::consent`] looks at the very octets that will be signed. A TLS role is not a label that the client claims:
//! the input must *be* the input of that signature ([`tls`]), so that whoever takes over a TLS server can make it
//! answer handshakes, which he could anyway, but cannot make it sign a certificate, a token or a client's login.

use keylane_api::{Algorithm, Scheme, Status};
use serde::{Deserialize, Serialize};

pub mod tls;

mod words;

pub use words::PolicyError;

/// What is to be signed.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A message; the engine hashes it.
    Message(&'a [u8]),
    /// A digest that the caller made. The engine cannot know of what.
    Digest(&'a [u8]),
}

/// One thing that a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
enum Use {
    /// TLS 1.3 server signatures.
    Tls13Server = 1,
    /// TLS 1.2 server key exchange signatures.
    Tls12Server = 2,
    /// Any message.
    Sign = 4,
    /// Any digest.
    RawDigest = 8,
}

impl Use {
    const ALL: [Self; 4] = [Self::Tls13Server, Self::Tls12Server, Self::Sign, Self::RawDigest];
}

/// The bit of a scheme in [`Policy`]; fixed for ever, because stores hold it.
const fn scheme_bit(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::RsaPkcs1Sha256 => 1,
        Scheme::RsaPkcs1Sha384 => 1 << 1,
        Scheme::RsaPkcs1Sha512 => 1 << 2,
        Scheme::EcdsaP256Sha256 => 1 << 3,
        Scheme::EcdsaP384Sha384 => 1 << 4,
        Scheme::RsaPssSha256 => 1 << 5,
        Scheme::RsaPssSha384 => 1 << 6,
        Scheme::RsaPssSha512 => 1 << 7,
        Scheme::Ed25519 => 1 << 8,
        // A scheme that policy does not know yet is denied.
        _ => 0,
    }
}

/// The uses of a key, and the schemes in which it may be used (none named: all that fit its algorithm).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(u16, u16)", try_from = "(u16, u16)")]
pub struct Policy {
    uses: u16,
    schemes: u16,
}

impl Policy {
    /// A TLS server's key: both TLS roles, no general signing.
    pub const DEFAULT: Self = Self { uses: Use::Tls13Server as u16 | Use::Tls12Server as u16, schemes: 0 };

    /// Whether a key of `algorithm` may sign `input` in `scheme`.
    ///
    /// # Errors
    /// The status says which rule refused.
    pub fn consent(self, algorithm: Algorithm, scheme: Scheme, input: Input<'_>) -> Result<(), Status> {
        if !scheme.fits(algorithm) || !self.allows_scheme(scheme) {
            return Err(Status::SchemeDenied);
        }
        match input {
            Input::Digest(digest) => self.consent_digest(scheme, digest),
            Input::Message(message) => self.consent_message(scheme, message),
        }
    }

    /// Schemes in which a key of `algorithm` can sign something under this policy, the preferred first.
    pub fn schemes(self, algorithm: Algorithm) -> Vec<Scheme> {
        algorithm.schemes().iter().copied().filter(|&scheme| self.has_use_for(scheme)).collect()
    }

    /// Whether the key signs anything that a client asks for: a general signing oracle, to be said wherever it is shown.
    pub fn is_general_signer(self) -> bool {
        self.allows(Use::Sign) || self.allows(Use::RawDigest)
    }

    fn allows(self, wanted: Use) -> bool {
        self.uses & wanted as u16 != 0
    }

    fn allows_scheme(self, scheme: Scheme) -> bool {
        self.schemes == 0 || self.schemes & scheme_bit(scheme) != 0
    }

    fn consent_digest(self, scheme: Scheme, digest: &[u8]) -> Result<(), Status> {
        if !self.allows(Use::RawDigest) {
            return Err(Status::RawDigestDenied);
        }
        match scheme.digest_bytes() {
            Some(bytes) if bytes == digest.len() => Ok(()),
            Some(_) => Err(Status::Malformed),
            None => Err(Status::SchemeDenied),
        }
    }

    fn consent_message(self, scheme: Scheme, message: &[u8]) -> Result<(), Status> {
        if self.allows(Use::Sign) {
            return Ok(());
        }
        if self.allows(Use::Tls13Server) && tls::is_tls13_server(message) {
            return if tls::tls13_has(scheme) { Ok(()) } else { Err(Status::SchemeDenied) };
        }
        if self.allows(Use::Tls12Server) && tls::is_tls12_server(message) {
            return Ok(());
        }
        let has_role = self.allows(Use::Tls13Server) || self.allows(Use::Tls12Server);
        Err(if has_role { Status::NotTlsServerMessage } else { Status::PolicyDenied })
    }

    fn has_use_for(self, scheme: Scheme) -> bool {
        self.allows_scheme(scheme)
            && Use::ALL.into_iter().filter(|&each| self.allows(each)).any(|each| match each {
                Use::Sign | Use::Tls12Server => true,
                Use::Tls13Server => tls::tls13_has(scheme),
                Use::RawDigest => scheme.digest_bytes().is_some(),
            })
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl From<Policy> for (u16, u16) {
    fn from(policy: Policy) -> Self {
        (policy.uses, policy.schemes)
    }
}

impl TryFrom<(u16, u16)> for Policy {
    type Error = PolicyError;

    /// What a store holds. Unknown bits are of a newer version, and not understood is not allowed.
    fn try_from((uses, schemes): (u16, u16)) -> Result<Self, PolicyError> {
        let known_uses = Use::ALL.into_iter().fold(0, |bits, each| bits | each as u16);
        let known_schemes = Scheme::ALL.into_iter().fold(0, |bits, scheme| bits | scheme_bit(scheme));
        if uses == 0 || uses & !known_uses != 0 || schemes & !known_schemes != 0 {
            return Err(PolicyError::Stored);
        }
        Ok(Self { uses, schemes })
    }
}

#[cfg(test)]
mod tests;
