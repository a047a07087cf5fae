use aws_lc_rs::digest;
use aws_lc_rs::signature::{self as verify, UnparsedPublicKey, VerificationAlgorithm};
use keylane_api::{Algorithm, Scheme};

use super::*;
use crate::key::{Material, Part, generate};
use crate::policy::Input;

mod exhaustion;
mod faults;
mod multi;

/// Two keys of an algorithm, made once: RSA keys take their time.
fn keys(algorithm: Algorithm) -> &'static [Material; 2] {
    static KEYS: [std::sync::OnceLock<[Material; 2]>; Algorithm::ALL.len()] =
        [const { std::sync::OnceLock::new() }; 6];
    let index = Algorithm::ALL.iter().position(|&each| each == algorithm).unwrap();
    KEYS[index].get_or_init(|| [generate(algorithm).unwrap(), generate(algorithm).unwrap()])
}

/// Verification as a client does it, with nothing but the public key.
fn is_valid(material: &Material, scheme: Scheme, message: &[u8], signature: &[u8]) -> bool {
    let algorithm: &dyn VerificationAlgorithm = match scheme {
        Scheme::RsaPkcs1Sha256 => &verify::RSA_PKCS1_2048_8192_SHA256,
        Scheme::RsaPkcs1Sha384 => &verify::RSA_PKCS1_2048_8192_SHA384,
        Scheme::RsaPkcs1Sha512 => &verify::RSA_PKCS1_2048_8192_SHA512,
        Scheme::RsaPssSha256 => &verify::RSA_PSS_2048_8192_SHA256,
        Scheme::RsaPssSha384 => &verify::RSA_PSS_2048_8192_SHA384,
        Scheme::RsaPssSha512 => &verify::RSA_PSS_2048_8192_SHA512,
        Scheme::EcdsaP256Sha256 => &verify::ECDSA_P256_SHA256_FIXED,
        Scheme::EcdsaP384Sha384 => &verify::ECDSA_P384_SHA384_FIXED,
        Scheme::Ed25519 => &verify::ED25519,
        other => panic!("{other:?} has no verifier here"),
    };
    UnparsedPublicKey::new(algorithm, material.public_spki()).verify(message, signature).is_ok()
}

/// The digest that a caller would make.
fn digest_of(scheme: Scheme, message: &[u8]) -> Option<Vec<u8>> {
    let algorithm = match scheme.digest_bytes()? {
        32 => &digest::SHA256,
        48 => &digest::SHA384,
        _ => &digest::SHA512,
    };
    Some(digest::digest(algorithm, message).as_ref().to_vec())
}

fn every_scheme() -> impl Iterator<Item = (Algorithm, Scheme)> {
    let pairs = |algorithm: Algorithm| algorithm.schemes().iter().map(move |&scheme| (algorithm, scheme));
    Algorithm::ALL.into_iter().flat_map(pairs)
}

/// Signs and checks; the octets that would leave.
fn signed(context: &KeyContext, scheme: Scheme, input: Input<'_>) -> Vec<u8> {
    let mut room = [0xaa; 600];
    let unchecked = context.sign(scheme, input, &mut room).unwrap();
    let length = unchecked.length();
    let checked = context.check(scheme, input, &room, unchecked).unwrap();
    assert_eq!(checked.length(), length);
    assert!(room[length..].iter().all(|&octet| octet == 0xaa), "nothing is written behind the signature");
    room[..length].to_vec()
}

#[test]
fn signatures_verify_in_every_scheme() {
    for (algorithm, scheme) in every_scheme() {
        let material = &keys(algorithm)[0];
        let context = KeyContext::prepare(material, None).unwrap();
        assert_eq!(context.algorithm(), algorithm);
        for length in [0, 1, 130, 146, 4_000] {
            let message = vec![0x5a; length];
            let by_message = signed(&context, scheme, Input::Message(&message));
            assert_eq!(by_message.len(), algorithm.signature_bytes());
            assert!(is_valid(material, scheme, &message, &by_message), "{scheme:?} {length}");
            let Some(digest) = digest_of(scheme, &message) else { continue };
            let by_digest = signed(&context, scheme, Input::Digest(&digest));
            assert!(is_valid(material, scheme, &message, &by_digest), "{scheme:?} {length}");
        }
    }
}

#[test]
fn nonces_and_salts_are_fresh_and_the_others_are_not_needed() {
    for (algorithm, scheme) in every_scheme() {
        let context = KeyContext::prepare(&keys(algorithm)[0], None).unwrap();
        let [first, second] = [(); 2].map(|()| signed(&context, scheme, Input::Message(b"the same")));
        let is_deterministic = matches!(
            scheme,
            Scheme::Ed25519 | Scheme::RsaPkcs1Sha256 | Scheme::RsaPkcs1Sha384 | Scheme::RsaPkcs1Sha512
        );
        assert_eq!(first == second, is_deterministic, "{scheme:?}");
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    for (algorithm, scheme) in every_scheme() {
        let context = KeyContext::prepare(&keys(algorithm)[0], None).unwrap();
        let mut room = [0; 512];
        for other in Scheme::ALL.into_iter().filter(|other| !other.fits(algorithm)) {
            let got = context.sign(other, Input::Message(b"message"), &mut room);
            assert_eq!(got.unwrap_err(), ExecuteError::Unfit, "{algorithm:?} {other:?}");
        }
        let short = &mut room[..algorithm.signature_bytes() - 1];
        let got = context.sign(scheme, Input::Message(b"message"), short);
        assert_eq!(got.unwrap_err(), ExecuteError::NoRoom);
        for length in [0, 20, 31, 33, 65] {
            let got = context.sign(scheme, Input::Digest(&vec![0; length]), &mut room);
            assert_eq!(got.unwrap_err(), ExecuteError::Unfit, "{scheme:?} {length}");
        }
    }
}

/// A private number beside another key's public one is found when the context is prepared.
#[test]
fn halves_of_different_keys_are_refused() {
    for algorithm in Algorithm::ALL {
        let [ours, theirs] = keys(algorithm);
        let part = if algorithm.is_rsa() {
            Part::Modulus
        } else if algorithm == Algorithm::Ed25519 {
            Part::Public
        } else {
            Part::Point
        };
        let mut numbers = crate::os::secret::SecretBytes::copy_from(ours.numbers()).unwrap();
        let start = ours.part(part).as_ptr().addr() - ours.numbers().as_ptr().addr();
        numbers[start..start + ours.part(part).len()].copy_from_slice(theirs.part(part));
        let mixed = Material::from_numbers(algorithm, numbers).unwrap();
        assert_eq!(
            KeyContext::prepare(&mixed, None).unwrap_err(),
            PrepareError::Inconsistent,
            "{algorithm:?}"
        );
    }
}

#[test]
fn contexts_serve_many_threads_at_once() {
    for algorithm in [Algorithm::Rsa2048, Algorithm::P256, Algorithm::Ed25519] {
        let context = KeyContext::prepare(&keys(algorithm)[0], None).unwrap();
        let scheme = algorithm.schemes()[0];
        std::thread::scope(|scope| {
            for thread in 0u8..4 {
                let context = &context;
                scope.spawn(move || {
                    for round in 0u8..50 {
                        let message = [thread, round];
                        let signature = signed(context, scheme, Input::Message(&message));
                        assert!(is_valid(&keys(algorithm)[0], scheme, &message, &signature));
                    }
                });
            }
        });
    }
}
