//! What a server can do with a key reference while no engine runs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests state invariants by failing")]

mod common;

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::Identity;
use keylane_api::Algorithm;
use keylane_api::reference::ReferenceError;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use rustls::{Error, InconsistentKeys, ServerConfig, SignatureScheme};

/// A provider whose engine is away.
fn provider() -> CryptoProvider {
    let nowhere = Path::new("/nonexistent/keylane.sock");
    keylane_rustls::builder().socket(nowhere).deadline(Duration::from_millis(20)).provider()
}

fn load(pem: &str) -> Result<Arc<dyn SigningKey>, Error> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    provider().key_provider.load_private_key(key)
}

fn configure(certificate: &Identity, key_pem: &str) -> Result<ServerConfig, Error> {
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
    ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.certificate.der().clone()], key)
}

/// The cause that a failed signature carries.
fn cause_of(error: &Error) -> &keylane_api::Error {
    let Error::Other(other) = error else { panic!("{error:?}") };
    other.0.downcast_ref().unwrap()
}

#[test]
fn certificates_match_without_an_engine() {
    for algorithm in Algorithm::ALL {
        let site = Identity::new(algorithm);
        configure(&site, &site.reference()).unwrap_or_else(|error| panic!("{algorithm:?}: {error}"));
    }
}

#[test]
fn another_keys_certificate_is_refused() {
    let (site, other) = (Identity::new(Algorithm::P256), Identity::new(Algorithm::P256));
    let error = configure(&other, &site.reference()).unwrap_err();
    assert_eq!(error, Error::InconsistentKeys(InconsistentKeys::KeyMismatch));
}

#[test]
fn survives_sniffing_of_der() {
    let pem = Identity::new(Algorithm::P384).reference();
    let parsed = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let sniffed = PrivateKeyDer::try_from(parsed.secret_der().to_vec()).unwrap();
    assert!(matches!(sniffed, PrivateKeyDer::Pkcs8(_)));
    assert_eq!(parsed, sniffed);
}

#[test]
fn ordinary_keys_pass_through() {
    let site = Identity::new(Algorithm::P256);
    configure(&site, &site.key.serialize_pem()).unwrap();
    let key = load(&site.key.serialize_pem()).unwrap();
    let signer = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
    assert!(!signer.sign(b"no engine needed").unwrap().is_empty());
}

#[test]
fn a_malformed_reference_keeps_its_cause() {
    let pem = Identity::new(Algorithm::P256).reference();
    let mut der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap().secret_der().to_vec();
    let at = der.windows(7).position(|window| window == b"pkcs11:").unwrap();
    der[at] = b'q';
    let key = PrivateKeyDer::try_from(der).unwrap();
    let Error::Other(other) = provider().key_provider.load_private_key(key).unwrap_err() else { panic!() };
    assert!(matches!(other.0.downcast_ref(), Some(ReferenceError::Uri(_))), "{other}");
}

#[test]
fn offers_every_scheme_of_its_key() {
    use SignatureScheme as S;
    let rsa = [
        S::RSA_PSS_SHA256,
        S::RSA_PSS_SHA384,
        S::RSA_PSS_SHA512,
        S::RSA_PKCS1_SHA256,
        S::RSA_PKCS1_SHA384,
        S::RSA_PKCS1_SHA512,
    ];
    for (algorithm, schemes) in [
        (Algorithm::Rsa2048, rsa.as_slice()),
        (Algorithm::P256, &[S::ECDSA_NISTP256_SHA256]),
        (Algorithm::P384, &[S::ECDSA_NISTP384_SHA384]),
        (Algorithm::Ed25519, &[S::ED25519]),
    ] {
        let key = load(&Identity::new(algorithm).reference()).unwrap();
        let everything: Vec<_> = (0..=u16::MAX).map(S::from).collect();
        let mut left = everything.clone();
        for &scheme in schemes {
            assert_eq!(key.choose_scheme(&[scheme]).unwrap().scheme(), scheme);
            assert_eq!(key.choose_scheme(&left).unwrap().scheme(), scheme, "in this order of preference");
            left.retain(|&other| other != scheme);
        }
        assert!(key.choose_scheme(&left).is_none(), "{algorithm:?} signs in nothing else");
    }
}

#[test]
fn an_absent_engine_is_a_typed_error() {
    let key = load(&Identity::new(Algorithm::P256).reference()).unwrap();
    let signer = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
    let error = signer.sign(b"nobody listens").unwrap_err();
    let cause = cause_of(&error);
    assert!(matches!(cause, keylane_api::Error::EngineGone(_)), "{cause:?}");
    assert!(cause.source().is_some());
    assert!(error.to_string().contains("/nonexistent/keylane.sock"), "names the remedy's place: {error}");
}
