//! Throw-away keys and certificates of one measurement.

use keylane_api::Algorithm;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, RsaKeySize};

use super::SERVER_NAME;
use crate::failure::Failure;

/// The authority that the clients trust. Its key is RSA, whatever the server's is: nothing verifies faster, and the
/// clients compete with the server for the machine.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: String,
}

/// A server's private key and its certificate.
pub struct Identity {
    /// PEM.
    pub certificate: String,
    /// The private key.
    key: KeyPair,
}

impl Authority {
    /// Makes an authority.
    pub fn new() -> Result<Self, Failure> {
        let make = || {
            let mut params = CertificateParams::new([])?;
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            let key = generate(Algorithm::Rsa2048)?;
            let root = params.self_signed(&key)?.pem();
            Ok(Self { issuer: Issuer::new(params, key), root })
        };
        make().map_err(Failure::crypto::<rcgen::Error>("a certificate authority"))
    }

    /// Its certificate, PEM.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Makes a key, and a certificate for it.
    pub fn issue(&self, algorithm: Algorithm) -> Result<Identity, Failure> {
        let make = || {
            let key = generate(algorithm)?;
            let params = CertificateParams::new([SERVER_NAME.to_owned()])?;
            Ok(Identity { certificate: params.signed_by(&key, &self.issuer)?.pem(), key })
        };
        make().map_err(Failure::crypto::<rcgen::Error>("a server's key and certificate"))
    }
}

impl Identity {
    /// The private key, PKCS#8 in PEM.
    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }
}

fn generate(algorithm: Algorithm) -> Result<KeyPair, rcgen::Error> {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
    match algorithm {
        Algorithm::Rsa2048 => rsa(RsaKeySize::_2048),
        Algorithm::Rsa3072 => rsa(RsaKeySize::_3072),
        Algorithm::Rsa4096 => rsa(RsaKeySize::_4096),
        Algorithm::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        Algorithm::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        Algorithm::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        _ => Err(rcgen::Error::UnsupportedSignatureAlgorithm),
    }
}
