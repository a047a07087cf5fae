//! All that touches rustls' traits for keys, in the shape of rustls 0.23.

use std::error::Error as StdError;
use std::sync::Arc;

use keylane_api::reference::KeyReference;
use keylane_api::{Algorithm, Client, Input, Key, Scheme};
use rustls::crypto::{KeyProvider, aws_lc_rs};
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, OtherError, SignatureAlgorithm, SignatureScheme};

use crate::engine::Engine;
use crate::waiting::waiting;

/// Loads a key reference as a key of the engine, and any other key as aws-lc-rs does.
impl KeyProvider for Engine {
    fn load_private_key(&self, key_der: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        match KeyReference::from_der(key_der.secret_der()).map_err(caused_by)? {
            Some(reference) => {
                let client = self.client().map_err(caused_by)?.clone();
                Ok(Arc::new(EngineKey { client, key: Key::of_reference(&reference) }))
            }
            None => aws_lc_rs::default_provider().key_provider.load_private_key(key_der),
        }
    }
}

/// A key that a reference stands for.
#[derive(Clone, Debug)]
struct EngineKey {
    client: Client,
    key: Key,
}

impl SigningKey for EngineKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let schemes = self.key.algorithm().schemes();
        let scheme = *schemes.iter().find(|&&scheme| offered.contains(&in_tls(scheme)))?;
        Some(Box::new(EngineSigner { key: self.clone(), scheme }))
    }

    /// As the reference has it: rustls compares it with the certificate.
    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.key.public()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.key.algorithm() {
            Algorithm::P256 | Algorithm::P384 => SignatureAlgorithm::ECDSA,
            Algorithm::Ed25519 => SignatureAlgorithm::ED25519,
            _ => SignatureAlgorithm::RSA,
        }
    }
}

/// Such a key, with the scheme that a handshake settled on.
#[derive(Debug)]
struct EngineSigner {
    key: EngineKey,
    scheme: Scheme,
}

impl Signer for EngineSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let EngineKey { client, key } = &self.key;
        let deadline = client.deadline();
        let signature = waiting(|| client.sign(key, self.scheme, Input::Message(message), deadline));
        Ok(signature.map_err(caused_by)?.into_tls())
    }

    fn scheme(&self) -> SignatureScheme {
        in_tls(self.scheme)
    }
}

fn in_tls(scheme: Scheme) -> SignatureScheme {
    SignatureScheme::from(scheme as u16)
}

/// Keeps the cause whole: whoever sees a handshake fail can downcast to it.
fn caused_by(cause: impl StdError + Send + Sync + 'static) -> Error {
    OtherError(Arc::new(cause)).into()
}
