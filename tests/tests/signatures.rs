//! Every algorithm and scheme through the real engine, verified by aws-lc; and what a key's policy refuses.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what must hold by failing")]

use std::time::{Duration, Instant};

use keylane_api::control::KeySelector;
use keylane_api::{Algorithm, Client, Error, Input, Key, Scheme, Status};
use keylane_tests::engine::SLOT;
use keylane_tests::signing::{tls13, tls13_scheme, transcript, verifies};
use keylane_tests::{Options, Token, engine, keys};

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn key(client: &Client, label: &str) -> Key {
    let selector = KeySelector::Label { slot: Some(SLOT.to_owned()), label: label.to_owned() };
    client.key(&selector, deadline()).expect("the key is there")
}

fn status(outcome: Result<keylane_api::Signature, Error>) -> Status {
    match outcome {
        Ok(_) => Status::Ok,
        Err(Error::Refused { status, .. }) => status,
        Err(other) => panic!("not an answer of the engine: {other}"),
    }
}

#[test]
fn imported_and_generated_keys_of_every_algorithm_sign_in_every_scheme() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    let client = engine.client();
    for algorithm in Algorithm::ALL {
        let name = algorithm.name();
        let pem = keys::pem(name);
        let file = token.directory().join("key.pem");
        keys::write_secret(&file, &pem);
        let imported = format!("imported-{name}");
        let allow = ["--allow", "tls13-server,tls12-server,sign,raw-digest"];
        engine.keylane(
            &[&["key", "import", "--slot", SLOT, "--label", &imported], &allow[..], &[engine::path(&file)]]
                .concat(),
        );
        let generated = format!("generated-{name}");
        engine.keylane(
            &[&["key", "generate", "--slot", SLOT, "--label", &generated, "--algorithm", name], &allow[..]]
                .concat(),
        );
        for label in [&imported, &generated] {
            let key = key(&client, label);
            assert_eq!(key.algorithm(), algorithm);
            for &scheme in algorithm.schemes() {
                let message = format!("any message in {scheme:?}");
                let outcome = client.sign(&key, scheme, Input::Message(message.as_bytes()), deadline());
                let signature = outcome.unwrap_or_else(|error| panic!("{label} {scheme:?}: {error}"));
                assert!(
                    verifies(key.public(), scheme, message.as_bytes(), signature.raw()),
                    "{label} {scheme:?}"
                );
            }
        }
        assert_eq!(key(&client, &imported).public(), keys::public(&pem));
    }
    let status = engine.status();
    assert_eq!(status["workers"][0]["check_failures"], 0);
    engine.terminate();
}

#[test]
fn a_default_key_signs_tls_server_messages_and_nothing_else() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    let client = engine.client();
    for algorithm in [Algorithm::Rsa2048, Algorithm::P256, Algorithm::Ed25519] {
        let label = algorithm.name();
        engine.keylane(&["key", "generate", "--slot", SLOT, "--label", label, "--algorithm", label]);
        let key = key(&client, label);
        let scheme = tls13_scheme(algorithm);
        let message = tls13(&transcript(1, 2));
        let sign = |scheme, input| status(client.sign(&key, scheme, input, deadline()));
        assert_eq!(sign(scheme, Input::Message(&message)), Status::Ok, "{label}");
        for wrong in [&b"GET / HTTP/1.1"[..], &[], &message[1..], &message[..message.len() - 1]] {
            assert_eq!(sign(scheme, Input::Message(wrong)), Status::NotTlsServerMessage, "{label}");
        }
        let mut client_side = message.clone();
        client_side[73..79].copy_from_slice(b"client");
        assert_eq!(sign(scheme, Input::Message(&client_side)), Status::NotTlsServerMessage);
        if let Some(octets) = scheme.digest_bytes() {
            assert_eq!(sign(scheme, Input::Digest(&[7; 64][..octets])), Status::RawDigestDenied, "{label}");
        }
        if algorithm.is_rsa() {
            assert_ne!(
                sign(Scheme::RsaPkcs1Sha256, Input::Message(&message)),
                Status::Ok,
                "TLS 1.3 is PSS only"
            );
        }
    }
}

#[test]
fn a_deleted_key_and_a_revoked_grant_end_for_running_clients() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    for label in ["stays", "goes"] {
        engine.keylane(&["key", "generate", "--slot", SLOT, "--label", label, "--algorithm", "p-256"]);
    }
    let client = engine.client();
    let (stays, goes) = (key(&client, "stays"), key(&client, "goes"));
    let message = tls13(&transcript(0, 0));
    let sign = |key: &Key| client.sign(key, Scheme::EcdsaP256Sha256, Input::Message(&message), deadline());
    assert!(sign(&stays).is_ok() && sign(&goes).is_ok());
    engine.keylane(&["key", "delete", "--slot", SLOT, "goes"]);
    assert_eq!(status(sign(&goes)), Status::NotFound);
    assert!(sign(&stays).is_ok());
    engine.keylane(&["grant", "revoke", "1"]);
    assert!(sign(&stays).is_err());
}
