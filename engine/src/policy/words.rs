//! How people write a policy: words separated by commas, as in `tls13-server,rsa-pss-sha256`.

use std::fmt;
use std::str::FromStr;

use keylane_api::Scheme;

use super::{Policy, Use, scheme_bit};

/// Why a policy cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A word that means nothing.
    #[error("{0:?} is no use and no scheme; known are {known}", known = known_words())]
    UnknownWord(String),
    /// Nothing is allowed.
    #[error("a policy names at least one use: {uses}", uses = known_uses())]
    NoUse,
    /// The store holds a policy of a newer version.
    #[error("the stored policy has uses that this version does not know; use the version that wrote it")]
    Stored,
}

const fn use_word(each: Use) -> &'static str {
    match each {
        Use::Tls13Server => "tls13-server",
        Use::Tls12Server => "tls12-server",
        Use::Sign => "sign",
        Use::RawDigest => "raw-digest",
    }
}

fn scheme_word(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::RsaPkcs1Sha256 => "rsa-pkcs1-sha256",
        Scheme::RsaPkcs1Sha384 => "rsa-pkcs1-sha384",
        Scheme::RsaPkcs1Sha512 => "rsa-pkcs1-sha512",
        Scheme::EcdsaP256Sha256 => "ecdsa-p256-sha256",
        Scheme::EcdsaP384Sha384 => "ecdsa-p384-sha384",
        Scheme::RsaPssSha256 => "rsa-pss-sha256",
        Scheme::RsaPssSha384 => "rsa-pss-sha384",
        Scheme::RsaPssSha512 => "rsa-pss-sha512",
        Scheme::Ed25519 => "ed25519",
        // Scheme::ALL has no other: the tests compare.
        _ => "",
    }
}

fn known_uses() -> String {
    Use::ALL.map(use_word).join(", ")
}

fn known_words() -> String {
    format!("{}, {}", known_uses(), Scheme::ALL.map(scheme_word).join(", "))
}

impl Policy {
    /// Reads a policy as `--allow` spells it. Order and repetition do not matter.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut policy = Self { uses: 0, schemes: 0 };
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let found_use = Use::ALL.into_iter().find(|&each| use_word(each) == word);
            let found_scheme = Scheme::ALL.into_iter().find(|&scheme| scheme_word(scheme) == word);
            match (found_use, found_scheme) {
                (Some(each), _) => policy.uses |= each as u16,
                (_, Some(scheme)) => policy.schemes |= scheme_bit(scheme),
                _ => return Err(PolicyError::UnknownWord(word.to_owned())),
            }
        }
        if policy.uses == 0 { Err(PolicyError::NoUse) } else { Ok(policy) }
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        Self::parse(text)
    }
}

/// What [`Policy::parse`] reads.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uses = Use::ALL.into_iter().filter(|&each| self.allows(each)).map(use_word);
        let named = |scheme: &Scheme| self.schemes & scheme_bit(*scheme) != 0;
        let schemes = Scheme::ALL.into_iter().filter(named).map(scheme_word);
        f.write_str(&uses.chain(schemes).collect::<Vec<_>>().join(","))
    }
}
