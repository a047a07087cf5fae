//! Key algorithms and signature schemes, numbered as TLS numbers them (RFC 8446 §4.2.3).

use serde::{Deserialize, Serialize};

use crate::status::UnknownCode;

/// What a private key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSA, modulus of 2048 bits.
    Rsa2048,
    /// RSA, modulus of 3072 bits.
    Rsa3072,
    /// RSA, modulus of 4096 bits.
    Rsa4096,
    /// NIST P-256 (secp256r1).
    P256,
    /// NIST P-384 (secp384r1).
    P384,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 6] =
        [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::P256, Self::P384, Self::Ed25519];

    /// The name that the command line and reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::P256 => "p-256",
            Self::P384 => "p-384",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The algorithm of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Whether this is one of the RSA sizes.
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    /// Octets of a signature on the wire: RSA's modulus length, r ‖ s for ECDSA, R ‖ S for Ed25519.
    pub const fn signature_bytes(self) -> usize {
        match self {
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
            Self::Rsa4096 => 512,
            Self::P256 | Self::Ed25519 => 64,
            Self::P384 => 96,
        }
    }

    /// Schemes in which a key of this algorithm can sign, the preferred first.
    pub const fn schemes(self) -> &'static [Scheme] {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &[
                Scheme::RsaPssSha256,
                Scheme::RsaPssSha384,
                Scheme::RsaPssSha512,
                Scheme::RsaPkcs1Sha256,
                Scheme::RsaPkcs1Sha384,
                Scheme::RsaPkcs1Sha512,
            ],
            Self::P256 => &[Scheme::EcdsaP256Sha256],
            Self::P384 => &[Scheme::EcdsaP384Sha384],
            Self::Ed25519 => &[Scheme::Ed25519],
        }
    }
}

/// A signature scheme; the discriminant is TLS's `SignatureScheme` code point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
#[repr(u16)]
#[non_exhaustive]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256 = 0x0401,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384 = 0x0501,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512 = 0x0601,
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256 = 0x0403,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384 = 0x0503,
    /// RSASSA-PSS with SHA-256, salt of 32 octets.
    RsaPssSha256 = 0x0804,
    /// RSASSA-PSS with SHA-384, salt of 48 octets.
    RsaPssSha384 = 0x0805,
    /// RSASSA-PSS with SHA-512, salt of 64 octets.
    RsaPssSha512 = 0x0806,
    /// Ed25519, which signs the message itself.
    Ed25519 = 0x0807,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: [Self; 9] = [
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
        Self::EcdsaP256Sha256,
        Self::EcdsaP384Sha384,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::Ed25519,
    ];

    /// The name in IANA's registry of TLS signature schemes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsaPkcs1Sha256 => "rsa_pkcs1_sha256",
            Self::RsaPkcs1Sha384 => "rsa_pkcs1_sha384",
            Self::RsaPkcs1Sha512 => "rsa_pkcs1_sha512",
            Self::EcdsaP256Sha256 => "ecdsa_secp256r1_sha256",
            Self::EcdsaP384Sha384 => "ecdsa_secp384r1_sha384",
            Self::RsaPssSha256 => "rsa_pss_rsae_sha256",
            Self::RsaPssSha384 => "rsa_pss_rsae_sha384",
            Self::RsaPssSha512 => "rsa_pss_rsae_sha512",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The scheme with this TLS code point, if the engine knows it.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|&scheme| scheme as u16 == code)
    }

    /// Octets of the digest that the scheme signs; `None` for Ed25519, which takes no digest.
    pub const fn digest_bytes(self) -> Option<usize> {
        match self {
            Self::RsaPkcs1Sha256 | Self::RsaPssSha256 | Self::EcdsaP256Sha256 => Some(32),
            Self::RsaPkcs1Sha384 | Self::RsaPssSha384 | Self::EcdsaP384Sha384 => Some(48),
            Self::RsaPkcs1Sha512 | Self::RsaPssSha512 => Some(64),
            Self::Ed25519 => None,
        }
    }

    /// Whether the scheme is RSASSA-PSS.
    pub const fn is_pss(self) -> bool {
        matches!(self, Self::RsaPssSha256 | Self::RsaPssSha384 | Self::RsaPssSha512)
    }

    /// Whether a key of `algorithm` can sign in this scheme.
    pub fn fits(self, algorithm: Algorithm) -> bool {
        algorithm.schemes().contains(&self)
    }
}

/// In control messages as in submissions: by its code, which no later scheme changes.
impl From<Scheme> for u16 {
    fn from(scheme: Scheme) -> Self {
        scheme as Self
    }
}

impl TryFrom<u16> for Scheme {
    type Error = UnknownCode;

    fn try_from(code: u16) -> Result<Self, UnknownCode> {
        Self::from_code(code).ok_or(UnknownCode(code))
    }
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, Scheme};

    #[test]
    fn names_and_codes_round_trip() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::from_code(scheme as u16), Some(scheme));
            let keys = Algorithm::ALL.into_iter().filter(|&algorithm| scheme.fits(algorithm)).count();
            assert_eq!(keys, if matches!(scheme as u16 >> 8, 4..=8) && is_rsa(scheme) { 3 } else { 1 });
        }
        assert_eq!(Scheme::from_code(0x0201), None, "SHA-1 is not a scheme");
    }

    fn is_rsa(scheme: Scheme) -> bool {
        scheme.fits(Algorithm::Rsa2048)
    }
}
