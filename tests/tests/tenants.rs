//! What one tenant's work does to another's.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what must hold by failing")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use keylane_api::control::KeySelector;
use keylane_api::{Input, Scheme};
use keylane_tests::engine::SLOT;
use keylane_tests::process::Guarded;
use keylane_tests::signing::{tls13, transcript, verifies};
use keylane_tests::{Options, Token};

/// I10. Generating keys takes the keeper seconds; the first signature of a key needs none of it.
#[test]
fn a_first_signature_does_not_wait_for_keys_that_are_generated() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    engine.keylane(&["key", "generate", "--slot", SLOT, "--label", "cold", "--algorithm", "p-256"]);
    let mut generating: Vec<Guarded> = (0..6)
        .map(|number| {
            let label = format!("slow-{number}");
            let arguments = ["key", "generate", "--slot", SLOT, "--label", &label, "--algorithm", "rsa-4096"];
            let mut command = token.keylane(&arguments);
            Guarded::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()))
        })
        .collect();
    let deadline = Instant::now() + Duration::from_mins(2);
    let client = engine.client();
    let selector = KeySelector::Label { slot: Some(SLOT.to_owned()), label: "cold".to_owned() };
    let key = client.key(&selector, deadline).expect("the key is there");
    let message = tls13(&transcript(1, 1));
    let signature = client.sign(&key, Scheme::EcdsaP256Sha256, Input::Message(&message), deadline);
    let signature = signature.expect("signs");
    let done = generating.iter_mut().all(|one| one.0.try_wait().expect("a child").is_some());
    assert!(!done, "it waited for all of them");
    assert!(verifies(key.public(), Scheme::EcdsaP256Sha256, &message, signature.raw()));
    for mut one in generating {
        assert!(one.wait(Duration::from_mins(2)).success());
    }
    engine.terminate();
}
