//! Keys, certificates and references to share between tests.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests state invariants by failing")]

use keylane_api::Algorithm;
use keylane_api::control::KeyId;
use keylane_api::reference::KeyReference;
use rcgen::{CertificateParams, KeyPair, PublicKeyData, RsaKeySize};

/// A key that the test holds, though a server only gets a reference to it.
pub struct Identity {
    pub key: KeyPair,
    pub certificate: rcgen::Certificate,
}

impl Identity {
    /// With a fresh key.
    pub fn new(algorithm: Algorithm) -> Self {
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        let key = match algorithm {
            Algorithm::Rsa2048 => rsa(RsaKeySize::_2048),
            Algorithm::Rsa3072 => rsa(RsaKeySize::_3072),
            Algorithm::Rsa4096 => rsa(RsaKeySize::_4096),
            Algorithm::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Algorithm::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Algorithm::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            _ => panic!("unknown algorithm {algorithm:?}"),
        };
        let key = key.unwrap();
        let certificate =
            CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        Self { key, certificate }
    }

    /// What `keylane key reference` would write for this key.
    pub fn reference(&self) -> String {
        let public = self.key.subject_public_key_info();
        KeyReference::new("web", "site", KeyId(1), &public).unwrap().to_pem().unwrap()
    }
}
