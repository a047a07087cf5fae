//! Which algorithm a public key is of.

use der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use der::{Decode, Sequence};
use spki::SubjectPublicKeyInfoRef;

use crate::Algorithm;

/// `rsaEncryption`, RFC 8017 §A.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-ecPublicKey`, RFC 5480 §2.1.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `secp256r1`, RFC 5480 §2.1.1.1.
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// `secp384r1`, RFC 5480 §2.1.1.1.
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// `id-Ed25519`, RFC 8410 §3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

impl Algorithm {
    /// The algorithm of a public key, given as DER `SubjectPublicKeyInfo` (RFC 5280 §4.1); `None` when it is malformed
    /// or of a kind that no engine holds. Looks at shape and size only: a point may still be off its curve.
    pub fn of_public(spki: &[u8]) -> Option<Self> {
        let info = SubjectPublicKeyInfoRef::from_der(spki).ok()?;
        let key = info.subject_public_key.as_bytes()?;
        let parameters = info.algorithm.parameters;
        match info.algorithm.oid {
            RSA if parameters.is_some_and(AnyRef::is_null) => of_rsa(key),
            EC => of_point(parameters?.decode_as().ok()?, key),
            ED25519 if parameters.is_none() && key.len() == 32 => Some(Self::Ed25519),
            _ => None,
        }
    }
}

/// RFC 8017 §A.1.1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// By the size of the modulus.
fn of_rsa(key: &[u8]) -> Option<Algorithm> {
    let octets = RsaPublicKey::from_der(key).ok()?.modulus.as_bytes();
    // Every supported size is whole octets: the top bit must be set.
    let bits = (*octets.first()? >= 0x80).then_some(octets.len() * 8)?;
    match bits {
        2048 => Some(Algorithm::Rsa2048),
        3072 => Some(Algorithm::Rsa3072),
        4096 => Some(Algorithm::Rsa4096),
        _ => None,
    }
}

/// By the curve of an uncompressed point (RFC 5480 §2.2).
fn of_point(curve: ObjectIdentifier, point: &[u8]) -> Option<Algorithm> {
    let (algorithm, octets) = match curve {
        P256 => (Algorithm::P256, 65),
        P384 => (Algorithm::P384, 97),
        _ => return None,
    };
    (point.len() == octets && point.first() == Some(&4)).then_some(algorithm)
}

#[cfg(test)]
mod tests {
    use der::Encode;
    use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
    use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

    use super::{EC, ED25519, P256, P384, RSA, RsaPublicKey};
    use crate::Algorithm;

    fn of(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, key: &[u8]) -> Option<Algorithm> {
        let subject_public_key = BitStringRef::from_bytes(key).unwrap();
        let algorithm = AlgorithmIdentifierRef { oid, parameters };
        Algorithm::of_public(&SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().unwrap())
    }

    fn of_rsa(top: u8, octets: usize) -> Option<Algorithm> {
        let mut modulus = vec![0xff; octets];
        modulus[0] = top;
        let modulus = UintRef::new(&modulus).unwrap();
        let key = RsaPublicKey { modulus, exponent: UintRef::new(&[1, 0, 1]).unwrap() };
        of(RSA, Some(AnyRef::NULL), &key.to_der().unwrap())
    }

    fn of_point(curve: ObjectIdentifier, first: u8, octets: usize) -> Option<Algorithm> {
        let mut point = vec![0x42; octets];
        point[0] = first;
        of(EC, Some((&curve).into()), &point)
    }

    #[test]
    fn every_algorithm_is_recognised() {
        let found = [
            of_rsa(0x80, 256),
            of_rsa(0xff, 384),
            of_rsa(0x80, 512),
            of_point(P256, 4, 65),
            of_point(P384, 4, 97),
            of(ED25519, None, &[1; 32]),
        ];
        assert_eq!(found, Algorithm::ALL.map(Some));
    }

    #[test]
    fn near_misses_are_not() {
        assert_eq!(of_rsa(0x7f, 256), None, "2047 bits");
        assert_eq!(of_rsa(0x80, 128), None, "1024 bits");
        assert_eq!(of(RSA, None, &[0x30, 0]), None, "RFC 3279 §2.3.1 wants NULL");
        assert_eq!(of_point(P256, 2, 33), None, "compressed");
        assert_eq!(of_point(P256, 4, 97), None, "another curve's length");
        assert_eq!(of_point(ED25519, 4, 65), None, "no curve");
        assert_eq!(of(ED25519, Some(AnyRef::NULL), &[1; 32]), None, "RFC 8410 §3 wants no parameters");
        assert_eq!(of(ED25519, None, &[1; 57]), None, "Ed448's length");
    }
}
