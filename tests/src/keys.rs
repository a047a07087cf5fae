//! Keys and certificates of tests.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyUsagePurpose, PublicKeyData,
    RsaKeySize,
};

/// Every kind of key, as `--algorithm` and reports spell it.
pub const ALGORITHMS: [&str; 6] = ["rsa-2048", "rsa-3072", "rsa-4096", "p-256", "p-384", "ed25519"];

/// A private key in PEM.
///
/// # Panics
/// On an unknown algorithm.
pub fn pem(algorithm: &str) -> String {
    match algorithm {
        "rsa-2048" => rsa_pem(RsaKeySize::_2048),
        "rsa-3072" => rsa_pem(RsaKeySize::_3072),
        "rsa-4096" => rsa_pem(RsaKeySize::_4096),
        "p-256" => curve_pem(&rcgen::PKCS_ECDSA_P256_SHA256),
        "p-384" => curve_pem(&rcgen::PKCS_ECDSA_P384_SHA384),
        "ed25519" => curve_pem(&rcgen::PKCS_ED25519),
        other => panic!("no such algorithm: {other}"),
    }
}

fn curve_pem(algorithm: &'static rcgen::SignatureAlgorithm) -> String {
    rcgen::KeyPair::generate_for(algorithm).expect("a key").serialize_pem()
}

fn rsa_pem(size: RsaKeySize) -> String {
    rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).expect("a key").serialize_pem()
}

/// Writes a file that only its owner may read.
///
/// # Panics
/// When it cannot.
pub fn write_secret(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .expect("a new file");
    file.write_all(text.as_bytes()).expect("room on the disk");
}

/// A public key in the form in which rcgen certifies it.
struct Public {
    bits: Vec<u8>,
    algorithm: &'static rcgen::SignatureAlgorithm,
}

impl Public {
    fn of(spki: &[u8]) -> Self {
        // The bits stand at the end; what stands before them tells the algorithm by its length.
        let (bits, algorithm) = match spki.len() {
            44 => (32, &rcgen::PKCS_ED25519),
            91 => (65, &rcgen::PKCS_ECDSA_P256_SHA256),
            120 => (97, &rcgen::PKCS_ECDSA_P384_SHA384),
            rsa if rsa > 290 => (rsa - crate::signing::RSA_PREFIX, &rcgen::PKCS_RSA_SHA256),
            other => panic!("no SubjectPublicKeyInfo has {other} octets"),
        };
        Self { bits: spki[spki.len() - bits..].to_vec(), algorithm }
    }
}

impl PublicKeyData for Public {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm
    }
}

/// A certificate authority that clients of a test trust.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// When aws-lc fails.
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // Another name than the certificates' own, or clients take those for self-signed.
        params.distinguished_name.push(DnType::CommonName, "Keylane test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Its certificate in PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Its certificate in DER.
    pub fn der(&self) -> rustls_pki_types::CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// A certificate for `localhost` and 127.0.0.1 over a public key, PEM.
    ///
    /// # Panics
    /// When `public` is no `SubjectPublicKeyInfo` of a key that the engine holds.
    pub fn certify(&self, public: &[u8]) -> String {
        let public = Public::of(public);
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("names");
        params.signed_by(&public, &self.issuer).expect("a certificate").pem()
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A certificate file beside other files of a test.
///
/// # Panics
/// When it cannot be written.
pub fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).expect("room on the disk");
    path
}

/// Public half of a PEM key, DER `SubjectPublicKeyInfo`.
///
/// # Panics
/// When it is no key.
pub fn public(pem: &str) -> Vec<u8> {
    rcgen::KeyPair::from_pem(pem).expect("a key").subject_public_key_info()
}
