use proptest::prelude::*;

use super::{
    AlgorithmIdentifier, KeyReference, OID, OID_OCTETS, OneAsymmetricKey, PEM_LABEL, ReferenceError, UriError,
};
use crate::Algorithm;
use crate::control::{KeyId, KeySelector};
use der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use der::{Encode, Tag};

/// `SubjectPublicKeyInfo` of a P-256 key, up to the coordinates.
const P256_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

const GOLDEN: &str = "\
-----BEGIN PRIVATE KEY-----
MIHIAgEBMBYGFGmC0oukquvysr7hmc2o6uug1dhrBE1wa2NzMTE6dG9rZW49d2Vi
O29iamVjdD13d3clMkYlQzMlQTQ7aWQ9JTAwJTAwJTAwJTAwJTAwJTAwJTAxJTAy
O3R5cGU9cHJpdmF0ZYFcADBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEJCQkJC
QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJC
QkJCQkJCQkJCQkI=
-----END PRIVATE KEY-----
";

fn public() -> Vec<u8> {
    [P256_PREFIX.as_slice(), &[0x42; 64]].concat()
}

fn reference(slot: &str, label: &str, key: u64) -> KeyReference {
    KeyReference::new(slot, label, KeyId(key), &public()).unwrap()
}

fn read_pem(pem: &str) -> KeyReference {
    let (label, der) = pem_rfc7468::decode_vec(pem.as_bytes()).unwrap();
    assert_eq!(label, PEM_LABEL);
    KeyReference::from_der(&der).unwrap().unwrap()
}

const URI: &str = "pkcs11:token=web;object=www%2F%C3%A4;id=%00%00%00%00%00%00%01%02;type=private";

/// Reads a key with our algorithm and these parts.
fn forged(version: u8, uri: &str, public: Option<&[u8]>) -> Result<Option<KeyReference>, ReferenceError> {
    let key = OneAsymmetricKey {
        version,
        algorithm: AlgorithmIdentifier { oid: AnyRef::new(Tag::ObjectIdentifier, &OID_OCTETS).unwrap() },
        private_key: OctetStringRef::new(uri.as_bytes()).unwrap(),
        public_key: public.map(|public| BitStringRef::from_bytes(public).unwrap()),
    };
    KeyReference::from_der(&key.to_der().unwrap())
}

#[test]
fn golden() {
    let made = reference("web", "www/ä", 0x0102);
    assert_eq!(made.uri(), URI);
    assert_eq!(made.to_pem().unwrap(), GOLDEN);

    let read = read_pem(GOLDEN);
    assert_eq!(read, made);
    assert_eq!((read.slot(), read.label(), read.key()), ("web", "www/ä", KeyId(0x0102)));
    assert_eq!((read.algorithm(), read.public()), (Algorithm::P256, public().as_slice()));
    assert_eq!(read.selector(), KeySelector::Label { slot: Some("web".into()), label: "www/ä".into() });
}

#[test]
fn oid_is_the_recorded_uuid() {
    let arc: u128 = 0xa90b_48ab_5f26_4fb0_999a_a356_b415_6c6b;
    assert_eq!(OID, format!("2.25.{arc}"));
    // X.690 §8.19: 40 · 2 + 25, then seven bits an octet, the high bit on all but the last.
    let (first, rest) = OID_OCTETS.split_first().unwrap();
    assert_eq!(*first, 40 * 2 + 25);
    assert_eq!(rest.iter().fold(0, |sum: u128, octet| sum << 7 | u128::from(octet & 0x7f)), arc);
    assert!(rest.iter().rev().skip(1).all(|octet| octet & 0x80 != 0) && rest[rest.len() - 1] & 0x80 == 0);
}

#[test]
fn other_keys_are_none() {
    let ed25519_of_rfc_8410 = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    let mut marked = reference("web", "a", 1).to_der().unwrap();
    let oid = marked.windows(20).position(|window| window == OID_OCTETS).unwrap();
    marked[oid + 19] ^= 1;
    for other in [[ed25519_of_rfc_8410.as_slice(), &[7; 32]].concat(), marked, Vec::new()] {
        assert!(KeyReference::from_der(&other).unwrap().is_none(), "{other:02x?}");
    }
}

#[test]
fn marked_but_malformed_says_why() {
    let public = public();
    assert_eq!(forged(1, URI, Some(&public)).unwrap().unwrap().uri(), URI);
    assert!(matches!(forged(0, URI, None), Err(ReferenceError::Version(0))));
    assert!(matches!(forged(1, URI, None), Err(ReferenceError::PublicKey)));
    assert!(matches!(forged(1, URI, Some(&public[1..])), Err(ReferenceError::PublicKey)));

    let mut trailing = reference("web", "a", 1).to_der().unwrap();
    trailing.push(0);
    assert!(matches!(KeyReference::from_der(&trailing), Err(ReferenceError::Der(_))));
}

#[test]
fn uri_says_why_it_is_refused() {
    for (from, to, expected) in [
        ("pkcs11:", "pkcs12:", UriError::Scheme),
        ("token=web;", "", UriError::Missing("token")),
        ("object=www%2F%C3%A4", "object=", UriError::Missing("object")),
        (";id=%00%00%00%00%00%00%01%02", "", UriError::Missing("id")),
        ("%01%02", "%01", UriError::Id),
        ("type=private", "type=public", UriError::Unknown),
        ("token=web", "token=web;model=x", UriError::Unknown),
        ("token=web", "token", UriError::Unknown),
        ("token=web", "token=web;token=web", UriError::Repeated),
        ("type=private", "type=private?pin-value=1", UriError::Encoding),
        ("%C3%A4", "%C3%G4", UriError::Encoding),
        ("%C3%A4", "%C3%C3", UriError::Encoding),
        ("web", "w b", UriError::Encoding),
        ("%C3%A4;id=%00%00%00%00%00%00%01%02;type=private", "%C", UriError::Encoding),
    ] {
        let uri = URI.replace(from, to);
        match forged(1, &uri, Some(&public())) {
            Err(ReferenceError::Uri(error)) => assert_eq!(error, expected, "{uri}"),
            other => panic!("{uri}: {other:?}"),
        }
    }
}

#[test]
fn uri_attributes_come_in_any_order() {
    let uri = "pkcs11:id=%00%00%00%00%00%00%01%02;object=www%2f%c3%a4;token=%77eb";
    assert_eq!(forged(1, uri, Some(&public())).unwrap().unwrap().uri(), URI);
}

#[test]
fn unusable_parts_are_refused() {
    let refused = |slot, label, public: &[u8]| KeyReference::new(slot, label, KeyId(1), public).unwrap_err();
    assert!(matches!(refused("", "a", &public()), ReferenceError::Uri(UriError::Missing("token"))));
    assert!(matches!(refused("a", "", &public()), ReferenceError::Uri(UriError::Missing("object"))));
    assert!(matches!(refused("a", "a", b""), ReferenceError::PublicKey));
    assert!(matches!(refused("a", "a", &public()[..90]), ReferenceError::PublicKey));
}

proptest! {
    #[test]
    fn every_reference_round_trips(slot in "\\PC{1,64}", label in "\\PC{1,64}", key: u64) {
        let made = reference(&slot, &label, key);
        prop_assert_eq!(&read_pem(&made.to_pem().unwrap()), &made);
        prop_assert!(made.uri().bytes().all(|octet| octet.is_ascii_graphic()));
    }

    #[test]
    fn decoding_never_panics(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = KeyReference::from_der(&octets);
        let _ = Algorithm::of_public(&octets);
    }

    #[test]
    fn decoding_a_damaged_reference_never_panics(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in any::<prop::sample::Index>(),
    ) {
        let mut der = reference("web", "www/ä", 0x0102).to_der().unwrap();
        for (at, octet) in damage {
            let at = at.index(der.len());
            der[at] = octet;
        }
        let _ = KeyReference::from_der(&der);
        let _ = KeyReference::from_der(&der[..length.index(der.len())]);
    }
}
