//! No wrong result leaves, whatever was damaged.

use std::collections::BTreeMap;

use super::*;
use crate::os::heap_record::record;

/// The check of a signature that is already there.
fn checked(
    context: &KeyContext,
    scheme: Scheme,
    input: Input<'_>,
    signature: &[u8],
) -> Result<(), CheckFailed> {
    let mut room = [0; 512];
    let unchecked = context.sign(scheme, input, &mut room).unwrap();
    context.check(scheme, input, signature, unchecked).map(drop)
}

#[test]
fn every_changed_octet_of_a_signature_is_found() {
    for (algorithm, scheme) in every_scheme() {
        if algorithm.is_rsa() && algorithm != Algorithm::Rsa2048 {
            continue;
        }
        let context = KeyContext::prepare(&keys(algorithm)[0], None).unwrap();
        let input = Input::Message(b"message");
        let mut signature = signed(&context, scheme, input);
        assert_eq!(checked(&context, scheme, input, &signature), Ok(()));
        for index in 0..signature.len() {
            signature[index] ^= 1 << (index % 8);
            assert_eq!(
                checked(&context, scheme, input, &signature),
                Err(CheckFailed::Wrong),
                "{scheme:?} {index}"
            );
            signature[index] ^= 1 << (index % 8);
        }
        for constant in [0, 0xff] {
            let all = vec![constant; signature.len()];
            assert_eq!(checked(&context, scheme, input, &all), Err(CheckFailed::Wrong), "{scheme:?}");
        }
        let other = Input::Message(b"another message");
        assert_eq!(checked(&context, scheme, other, &signature), Err(CheckFailed::Wrong));
        assert_eq!(checked(&context, scheme, input, &signature[1..]), Err(CheckFailed::Wrong));
    }
}

/// Right for another key, or made right but changed on its way: both are wrong here.
#[test]
fn wrong_signers_and_injected_faults_are_found() {
    for (algorithm, scheme) in every_scheme() {
        let [ours, theirs] = keys(algorithm);
        let input = Input::Message(b"message");
        let mut room = [0; 512];
        let mismatched = KeyContext::mismatched(ours, theirs).unwrap();
        let unchecked = mismatched.sign(scheme, input, &mut room).unwrap();
        let got = mismatched.check(scheme, input, &room, unchecked);
        assert_eq!(got.unwrap_err(), CheckFailed::Wrong, "{scheme:?}");

        let context = KeyContext::prepare(ours, None).unwrap();
        context.fail_next(1);
        let unchecked = context.sign(scheme, input, &mut room).unwrap();
        assert_eq!(context.check(scheme, input, &room, unchecked).unwrap_err(), CheckFailed::Wrong);
        // The pipeline tries once more: a passing fault costs a computation, nothing else.
        let again = signed(&context, scheme, input);
        assert!(is_valid(ours, scheme, b"message", &again));
    }
}

/// What became of the flips of one bit in every word of key data that a context holds.
#[derive(Debug, Default)]
struct Campaign {
    words: usize,
    no_result: usize,
    caught: usize,
    without_effect: usize,
}

/// Flips a bit in every word of every block of secret memory that belongs to a prepared context, aws-lc's forms of the
/// key and the check's copies alike, and signs. Pointers, counters and lengths are left alone: damage there is a crash,
/// which reveals nothing.
fn damage_everything(algorithm: Algorithm, scheme: Scheme) -> Campaign {
    let material = &keys(algorithm)[0];
    let input = Input::Message(b"message");
    let mut campaign = Campaign::default();
    let mut room = [0; 512];
    for index in 0.. {
        // A fresh context each time: aws-lc squares a damaged blinding factor, which no second flip repairs.
        let (context, mut words) = record(|| KeyContext::prepare(material, None).unwrap());
        let Some(word) = words.get_mut(index) else { break };
        if !word.is_number() {
            continue;
        }
        campaign.words += 1;
        word.flip(index % 64);
        match context.sign(scheme, input, &mut room) {
            Err(_) => campaign.no_result += 1,
            Ok(unchecked) => match context.check(scheme, input, &room, unchecked) {
                Err(_) => campaign.caught += 1,
                Ok(evidence) => {
                    let signature = &room[..evidence.length()];
                    assert!(is_valid(material, scheme, b"message", signature), "a wrong signature left");
                    campaign.without_effect += 1;
                }
            },
        }
        // So that what is dropped is whole.
        word.flip(index % 64);
    }
    campaign
}

#[test]
fn no_damaged_context_lets_a_wrong_signature_out() {
    let schemes = [
        (Algorithm::Rsa2048, Scheme::RsaPkcs1Sha256),
        (Algorithm::Rsa2048, Scheme::RsaPssSha256),
        (Algorithm::P256, Scheme::EcdsaP256Sha256),
        (Algorithm::P384, Scheme::EcdsaP384Sha384),
        (Algorithm::Ed25519, Scheme::Ed25519),
    ];
    let results: BTreeMap<_, _> = schemes
        .into_iter()
        .map(|(algorithm, scheme)| (scheme as u16, damage_everything(algorithm, scheme)))
        .collect();
    for (scheme, campaign) in &results {
        println!("{scheme:04x} {campaign:?}");
        assert!(campaign.caught > 0, "{scheme:04x}: nothing was damaged that a check would see");
    }
    // aws-lc compares s^e with the padded message itself, and gives no result when the CRT went wrong.
    assert!(results[&(Scheme::RsaPkcs1Sha256 as u16)].no_result > 0);
}

/// The check's own copy of an ECDSA or Ed25519 key has a checksum, so that its damage is told from a wrong result.
#[test]
fn damage_of_the_checks_numbers_is_named() {
    // What the arena and aws-lc allocate when they start is no part of the numbers.
    drop(numbers::Numbers::new(&[1], &[2]).unwrap());
    for algorithm in [Algorithm::P256, Algorithm::P384, Algorithm::Ed25519] {
        let (numbers, words) = record(|| numbers::Numbers::new(b"a private number", &[9; 48]).unwrap());
        assert_eq!(numbers.get().unwrap(), (&b"a private number"[..], &[9; 48][..]));
        for mut word in words.into_iter().take((16 + 48 + 32) / 8) {
            word.flip(5);
            assert!(numbers.get().is_none(), "{algorithm:?}");
            word.flip(5);
            assert!(numbers.get().is_some());
        }
    }
}
