//! Messages that a TLS key signs, and the verification of what comes back, by aws-lc.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use keylane_api::{Algorithm, Scheme};

/// Octets before the `RSAPublicKey` in the `SubjectPublicKeyInfo` of an RSA key of 2048 to 4096 bits.
pub const RSA_PREFIX: usize = 24;

/// The input of a TLS 1.3 server's CertificateVerify over this transcript hash (RFC 8446 §4.4.3).
pub fn tls13(transcript: &[u8; 32]) -> Vec<u8> {
    let mut message = vec![0x20; 64];
    message.extend_from_slice(b"TLS 1.3, server CertificateVerify\0");
    message.extend_from_slice(transcript);
    message
}

/// A transcript hash that names who asks and for the how-manieth time: no two are alike.
pub fn transcript(who: u64, count: u64) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&who.to_le_bytes());
    hash[8..16].copy_from_slice(&count.to_le_bytes());
    hash
}

/// Whether `raw` is the signature of `message` under the key `public`, a DER `SubjectPublicKeyInfo`.
///
/// # Panics
/// On a scheme that the tests do not know.
pub fn verifies(public: &[u8], scheme: Scheme, message: &[u8], raw: &[u8]) -> bool {
    let (algorithm, key): (&'static dyn VerificationAlgorithm, &[u8]) = match scheme {
        Scheme::EcdsaP256Sha256 => (&signature::ECDSA_P256_SHA256_FIXED, &public[public.len() - 65..]),
        Scheme::EcdsaP384Sha384 => (&signature::ECDSA_P384_SHA384_FIXED, &public[public.len() - 97..]),
        Scheme::Ed25519 => (&signature::ED25519, &public[public.len() - 32..]),
        Scheme::RsaPssSha256 => (&signature::RSA_PSS_2048_8192_SHA256, &public[RSA_PREFIX..]),
        Scheme::RsaPssSha384 => (&signature::RSA_PSS_2048_8192_SHA384, &public[RSA_PREFIX..]),
        Scheme::RsaPssSha512 => (&signature::RSA_PSS_2048_8192_SHA512, &public[RSA_PREFIX..]),
        Scheme::RsaPkcs1Sha256 => (&signature::RSA_PKCS1_2048_8192_SHA256, &public[RSA_PREFIX..]),
        Scheme::RsaPkcs1Sha384 => (&signature::RSA_PKCS1_2048_8192_SHA384, &public[RSA_PREFIX..]),
        Scheme::RsaPkcs1Sha512 => (&signature::RSA_PKCS1_2048_8192_SHA512, &public[RSA_PREFIX..]),
        other => panic!("{other:?}"),
    };
    UnparsedPublicKey::new(algorithm, key).verify(message, raw).is_ok()
}

/// The scheme in which a key of this algorithm signs in TLS 1.3, the preferred one.
pub fn tls13_scheme(algorithm: Algorithm) -> Scheme {
    algorithm.schemes()[0]
}
