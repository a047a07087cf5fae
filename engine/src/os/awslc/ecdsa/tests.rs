use aws_lc_rs::digest::{Algorithm as Hash, Digest, SHA256, SHA384};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
};
use keylane_api::Algorithm;

use super::*;
use crate::key::{Material, Part, generate};

/// A curve, a key on it, and what aws-lc signs with it.
struct Case {
    curve: &'static Curve,
    key: Material,
    hash: &'static Hash,
    signing: &'static EcdsaSigningAlgorithm,
}

impl Case {
    fn all() -> [Self; 2] {
        [
            Self {
                curve: Curve::p256().unwrap(),
                key: generate(Algorithm::P256).unwrap(),
                hash: &SHA256,
                signing: &ECDSA_P256_SHA256_FIXED_SIGNING,
            },
            Self {
                curve: Curve::p384().unwrap(),
                key: generate(Algorithm::P384).unwrap(),
                hash: &SHA384,
                signing: &ECDSA_P384_SHA384_FIXED_SIGNING,
            },
        ]
    }

    fn d(&self) -> &[u8] {
        self.key.part(Part::Scalar)
    }

    /// r and s of a signature of `digest`.
    fn sign(&self, digest: &[u8]) -> [Vec<u8>; 2] {
        let point = self.key.part(Part::Point);
        let pair = EcdsaKeyPair::from_private_key_and_public_key(self.signing, self.d(), point).unwrap();
        let digest = Digest::import_less_safe(digest, self.hash).unwrap();
        let signature = pair.sign_digest(&digest).unwrap();
        let (r, s) = signature.as_ref().split_at(self.curve.octets);
        [r.to_vec(), s.to_vec()]
    }

    fn matches(&self, digest: &[u8], r: &[u8], s: &[u8]) -> bool {
        self.curve.nonce_matches(self.d(), digest, &[r, s].concat())
    }

    /// A digest that no hash function makes: every octet the same.
    fn digest(&self, octet: u8) -> Vec<u8> {
        vec![octet; self.curve.octets]
    }

    /// n − `octets`.
    fn negative(&self, octets: &[u8]) -> Vec<u8> {
        let scratch = Scratch::new().unwrap();
        let number = scratch.number(octets).unwrap();
        // SAFETY: valid numbers.
        done(unsafe { sys::BN_sub(number, self.curve.order, number) }).unwrap();
        let mut negative = vec![0; self.curve.octets];
        // SAFETY: a valid number and writable octets.
        done(unsafe { sys::BN_bn2bin_padded(negative.as_mut_ptr(), negative.len(), number) }).unwrap();
        negative
    }
}

#[test]
fn right_signatures_match_and_wrong_ones_do_not() {
    for case in Case::all() {
        // The last is above n, and counts modulo it.
        for octet in [0, 1, 0x77, 0xff] {
            let mut digest = case.digest(octet);
            let [r, s] = case.sign(&digest);
            assert!(case.matches(&digest, &r, &s));
            digest[9] ^= 1;
            assert!(!case.matches(&digest, &r, &s));
            digest[9] ^= 1;
            let mut d = case.d().to_vec();
            d[7] ^= 1;
            assert!(!case.curve.nonce_matches(&d, &digest, &[r, s].concat()));
        }
    }
}

/// r and s are in [1, n−1]; what is right only modulo n is no signature.
#[test]
fn numbers_outside_their_range_do_not_match() {
    for case in Case::all() {
        let digest = case.digest(3);
        let [r, s] = case.sign(&digest);
        for bad in [case.digest(0), case.negative(&[]), case.digest(0xff)] {
            assert!(!case.matches(&digest, &bad, &s));
            assert!(!case.matches(&digest, &r, &bad));
        }
        assert!(!case.matches(&digest, &r, &[]));
        assert!(!case.matches(&digest, &r[1..], &s));
        assert!(!case.matches(&digest[1..], &r, &s));
        assert!(!case.curve.nonce_matches(&case.d()[1..], &digest, &[r, s].concat()));
    }
}

/// −s is as good as s: it implies the nonce −k, whose point has the same x.
#[test]
fn the_other_sign_of_s_matches() {
    for case in Case::all() {
        let digest = case.digest(3);
        let [r, s] = case.sign(&digest);
        assert!(case.matches(&digest, &r, &case.negative(&s)));
        assert!(!case.matches(&digest, &case.negative(&r), &s));
    }
}

/// z = −r·d implies the nonce zero, which has no point.
#[test]
fn a_nonce_of_zero_does_not_match() {
    for case in Case::all() {
        let [r, s] = case.sign(&case.digest(3));
        let mut one = case.digest(0);
        one[case.curve.octets - 1] = 1;
        assert!(!case.curve.nonce_matches(&one, &case.negative(&r), &[r.as_slice(), &s].concat()));
    }
}
