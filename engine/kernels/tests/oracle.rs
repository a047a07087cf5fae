//! Jobs made of arbitrary octets, on every tier of this machine, against aws-lc and plain integers. Property tests below and
//! the fuzz target `fuzz/fuzz_targets/kernels.rs` share it.

#![allow(clippy::unwrap_used, reason = "an oracle fails by panicking")]

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey as Peer};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    UnparsedPublicKey,
};
use keylane_kernels::{Fault, Kernels, RandomFailed, Tier, ed25519, p256, p384, rsa, x25519};
use num_bigint::BigUint;

/// Most jobs that octets are cut into.
const JOBS_MAX: usize = 20;

/// Runs the kernel that the first octet names on jobs made of the others.
///
/// # Panics
/// When a kernel answers otherwise than its oracle.
pub fn run(octets: &[u8]) {
    let Some((kind, octets)) = octets.split_first() else { return };
    for kernels in Tier::ALL.into_iter().filter_map(|tier| Kernels::with_tier(tier).ok()) {
        match kind % 5 {
            0 => ed25519_signatures(kernels, octets),
            1 => p256_signatures(kernels, octets),
            2 => p384_signatures(kernels, octets),
            3 => x25519_secrets(kernels, octets),
            _ => rsa_powers(kernels, octets),
        }
    }
}

fn jobs<const LEN: usize>(octets: &[u8]) -> &[[u8; LEN]] {
    let (jobs, _) = octets.as_chunks();
    &jobs[..jobs.len().min(JOBS_MAX)]
}

fn random(octets: &mut [u8]) -> Result<(), RandomFailed> {
    aws_lc_rs::rand::fill(octets).map_err(|_| RandomFailed)
}

/// A job is 32 octets of seed and 8 of message.
fn ed25519_signatures(kernels: Kernels, octets: &[u8]) {
    let inputs = jobs::<40>(octets);
    if inputs.is_empty() {
        return;
    }
    let key = |job: &[u8; 40]| ed25519::Key::new(kernels, job.first_chunk().unwrap(), &mut random).unwrap();
    let keys: Vec<_> = inputs.iter().map(key).collect();
    let jobs: Vec<_> =
        keys.iter().zip(inputs).map(|(key, job)| ed25519::Job { key, message: &job[32..] }).collect();
    let mut work = Box::new(ed25519::Workspace::default());
    let mut results: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
    ed25519::sign(kernels, &jobs, &mut work, &mut results);
    let mut checked: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
    ed25519::check(kernels, &jobs, &mut random, &mut work, &results, &mut checked);
    for (input, outcome) in inputs.iter().zip(checked) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&input[..32]).unwrap();
        assert_eq!(outcome.unwrap().get(), pair.sign(&input[32..]).as_ref());
    }
}

macro_rules! curve {
    ($name:ident, $curve:ident, $octets:literal, $digest:ident, $signing:ident, $verifying:ident) => {
        /// A job is a private key and a digest.
        fn $name(kernels: Kernels, octets: &[u8]) {
            let inputs = jobs::<{ 2 * $octets }>(octets);
            // Numbers that are no private key are refused.
            let keyed: Vec<_> = inputs
                .iter()
                .filter_map(|input| {
                    let key = $curve::SigningKey::new(input.first_chunk().unwrap());
                    let public = public(&$signing, &input[..$octets]);
                    assert_eq!(key.is_ok(), public.is_some(), "what is a private key");
                    Some((input, key.ok()?, public?))
                })
                .collect();
            let jobs: Vec<_> = keyed
                .iter()
                .map(|(input, key, _)| $curve::Job { key, digest: input.last_chunk().unwrap() })
                .collect();
            if jobs.is_empty() {
                return;
            }
            let mut work = Box::new($curve::Workspace::new());
            let mut results: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
            $curve::sign(kernels, &jobs, &mut random, &mut work, &mut results);
            let mut checked: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
            $curve::check(kernels, &jobs, &mut work, &mut results, &mut checked);
            for ((input, _, public), outcome) in keyed.iter().zip(checked) {
                let digest = digest::Digest::import_less_safe(&input[$octets..], &digest::$digest).unwrap();
                let public = UnparsedPublicKey::new(&$verifying, public);
                public.verify_digest(&digest, outcome.unwrap().get()).unwrap();
            }
        }
    };
}

curve!(p256_signatures, p256, 32, SHA256, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256_SHA256_FIXED);
curve!(p384_signatures, p384, 48, SHA384, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED);

/// The public half of a private key, by aws-lc, if it is one.
fn public(algorithm: &'static EcdsaSigningAlgorithm, private: &[u8]) -> Option<Vec<u8>> {
    // RFC 5915: version and private key are all that must be there when the curve is known.
    let length = u8::try_from(private.len()).unwrap();
    let der = [&[0x30, length + 5, 2, 1, 1, 4, length], private].concat();
    let pair = EcdsaKeyPair::from_private_key_der(algorithm, &der).ok()?;
    Some(pair.public_key().as_ref().to_vec())
}

/// A job is a secret and a peer's public value.
fn x25519_secrets(kernels: Kernels, octets: &[u8]) {
    let inputs = jobs::<64>(octets);
    if inputs.is_empty() {
        return;
    }
    let job = |input: &'_ [u8; 64]| (*input.first_chunk().unwrap(), *input.last_chunk().unwrap());
    let pairs: Vec<([u8; 32], [u8; 32])> = inputs.iter().map(job).collect();
    let jobs: Vec<_> = pairs.iter().map(|(secret, peer)| x25519::Job { secret, peer }).collect();
    let secrets: Vec<_> = pairs.iter().map(|(secret, _)| secret).collect();
    let mut work = Box::new(x25519::Workspace::default());
    let (mut publics, mut shared): (Vec<_>, Vec<_>) =
        jobs.iter().map(|_| (Err(Fault::Wrong), Err(Fault::Wrong))).unzip();
    x25519::public(kernels, &secrets, &mut work, &mut publics);
    x25519::shared(kernels, &jobs, &mut work, &mut shared);
    for ((job, public), shared) in jobs.iter().zip(publics).zip(shared) {
        let private = PrivateKey::from_private_key(&agreement::X25519, job.secret).unwrap();
        assert_eq!(public.unwrap().expose(), private.compute_public_key().unwrap().as_ref());
        let peer = Peer::new(&agreement::X25519, job.peer);
        let expected = agreement::agree(&private, peer, (), |secret| Ok(secret.to_vec()));
        match shared {
            Ok(secret) => assert_eq!(secret.expose().as_slice(), expected.unwrap()),
            Err(fault) => assert!(fault == Fault::SmallOrder && expected.is_err(), "{fault:?}"),
        }
    }
}

/// A job is a modulus and a number, of 2,048 bits each.
fn rsa_powers(kernels: Kernels, octets: &[u8]) {
    let inputs = jobs::<512>(octets);
    let keyed: Vec<_> = inputs
        .iter()
        .map(|input| {
            let mut modulus = *input.first_chunk::<256>().unwrap();
            modulus[0] |= 0x80;
            modulus[255] |= 1;
            (modulus, rsa::rsa2048::PublicKey::new(kernels, &modulus, &[1, 0, 1]).unwrap(), input)
        })
        .collect();
    let jobs: Vec<_> = keyed
        .iter()
        .map(|(_, key, input)| rsa::rsa2048::PublicJob { key, input: input.last_chunk().unwrap() })
        .collect();
    if jobs.is_empty() {
        return;
    }
    let mut work = Box::new(rsa::rsa2048::PublicWorkspace::ZERO);
    let mut results: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
    rsa::public(kernels, &jobs, &mut work, &mut results).unwrap();
    for ((modulus, _, input), outcome) in keyed.iter().zip(results) {
        let (modulus, base) = (BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(&input[256..]));
        match outcome {
            Ok(power) => {
                assert_eq!(BigUint::from_bytes_be(&power), base.modpow(&BigUint::from(65_537_u32), &modulus));
            }
            Err(fault) => assert!(fault == Fault::Range && base >= modulus, "{fault:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Long runs of one octet, and noise between them: carries, borders and small numbers.
    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let run = (prop_oneof![Just(0), Just(0xff), any::<u8>()], 1..80_usize);
        let run = run.prop_map(|(octet, length)| vec![octet; length]);
        let part = prop_oneof![run, vec(any::<u8>(), 1..80)];
        vec(part, 0..30).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn kernels_answer_as_their_oracles_do(kind in 0..5_u8, octets in octets()) {
            super::run(&[&[kind][..], &octets].concat());
        }
    }

    #[test]
    fn the_corpus_replays() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/kernels");
        let mut replayed = 0;
        for file in fs::read_dir(corpus).unwrap() {
            super::run(&fs::read(file.unwrap().path()).unwrap());
            replayed += 1;
        }
        assert!(replayed > 0, "an empty corpus tests nothing");
    }
}
