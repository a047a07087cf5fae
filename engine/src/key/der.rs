//! Which structure a DER file is, and the numbers in it, borrowed from the file.

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, Sequence, Tag, Tagged};
use keylane_api::reference::KeyReference;
use pkcs1::RsaPrivateKeyRef;
use pkcs8::PrivateKeyInfoRef;

use super::material::{EC, ED25519, P256, P384, RSA};
use super::refusal::KeyRefusal;
use crate::os::keypair::Curve;

/// A private key as its file spells it.
pub(super) enum Key<'a> {
    Rsa(RsaNumbers<'a>),
    Ec {
        curve: Curve,
        scalar: &'a [u8],
        /// As the structure, and the one around it, say.
        publics: [Option<&'a [u8]>; 2],
    },
    Ed25519 {
        seed: &'a [u8],
        public: Option<&'a [u8]>,
    },
}

/// Numbers of an RSA key, without leading zeros.
pub(super) struct RsaNumbers<'a> {
    /// n, e, d, p, q, dp, dq, qinv.
    pub private: [&'a [u8]; 8],
    /// DER `RSAPublicKey` (RFC 8017 §A.1.1), if the file has one beside the private key.
    pub public: Option<&'a [u8]>,
}

/// Reads a private key of any supported structure.
pub(super) fn parse(file: &[u8]) -> Result<Key<'_>, KeyRefusal> {
    match Shape::of(file).ok_or(KeyRefusal::NotAKey)? {
        Shape::Pkcs8 => pkcs8(file),
        Shape::Pkcs1 => Ok(Key::Rsa(RsaNumbers { private: pkcs1(file)?, public: None })),
        Shape::Sec1 => sec1(file, None, None),
        Shape::Encrypted => Err(KeyRefusal::Encrypted),
        Shape::Pkcs12 => Err(KeyRefusal::Pkcs12),
        Shape::PublicKey => Err(KeyRefusal::NotPrivate("a public key")),
        Shape::Certificate => Err(KeyRefusal::NotPrivate("a certificate or a request for one")),
    }
}

/// The structures that are told apart, by the first two elements of their sequence.
enum Shape {
    /// INTEGER 0 or 1, `AlgorithmIdentifier` (RFC 5958 §2).
    Pkcs8,
    /// INTEGER 0 or 1, INTEGER, seven more (RFC 8017 §A.1.2).
    Pkcs1,
    /// INTEGER 1, OCTET STRING (RFC 5915 §3).
    Sec1,
    /// `AlgorithmIdentifier`, OCTET STRING (RFC 5958 §3).
    Encrypted,
    /// INTEGER 3, `ContentInfo` (RFC 7292 §4).
    Pkcs12,
    /// `AlgorithmIdentifier`, BIT STRING; or RSA's two INTEGERs alone.
    PublicKey,
    /// SEQUENCE, `AlgorithmIdentifier`.
    Certificate,
}

impl Shape {
    fn of(file: &[u8]) -> Option<Self> {
        let elements = AnyRef::from_der(file).ok()?.sequence(|reader| {
            let (first, second) = (AnyRef::decode(reader)?, AnyRef::decode(reader)?);
            let more = !reader.is_finished();
            reader.drain(reader.remaining_len())?;
            Ok::<_, der::Error>((first, second.tag(), more))
        });
        let (first, second, more) = elements.ok()?;
        match (first.tag(), second) {
            (Tag::Integer, Tag::Sequence) if first.value() == [3] => Some(Self::Pkcs12),
            (Tag::Integer, Tag::Sequence) => Some(Self::Pkcs8),
            (Tag::Integer, Tag::Integer) if more => Some(Self::Pkcs1),
            (Tag::Integer, Tag::OctetString) => Some(Self::Sec1),
            (Tag::Integer, Tag::Integer) | (Tag::Sequence, Tag::BitString) => Some(Self::PublicKey),
            (Tag::Sequence, Tag::OctetString) => Some(Self::Encrypted),
            (Tag::Sequence, Tag::Sequence) => Some(Self::Certificate),
            _ => None,
        }
    }
}

fn pkcs8(file: &[u8]) -> Result<Key<'_>, KeyRefusal> {
    if !matches!(KeyReference::from_der(file), Ok(None)) {
        return Err(KeyRefusal::Reference);
    }
    let info = PrivateKeyInfoRef::from_der(file).map_err(|_| KeyRefusal::Damaged("PKCS#8"))?;
    let key = info.private_key.as_bytes();
    let public =
        info.public_key.map(|bits| bits.as_bytes().ok_or(KeyRefusal::Damaged("PKCS#8"))).transpose()?;
    match info.algorithm.oid {
        RSA => Ok(Key::Rsa(RsaNumbers { private: pkcs1(key)?, public })),
        EC => sec1(key, info.algorithm.parameters, public),
        ED25519 => {
            // RFC 8410 §7: an OCTET STRING inside the OCTET STRING.
            let seed = <&OctetStringRef>::from_der(key).map_err(|_| KeyRefusal::Damaged("Ed25519 key"))?;
            Ok(Key::Ed25519 { seed: seed.as_bytes(), public })
        }
        other => Err(KeyRefusal::Algorithm(name(other))),
    }
}

fn pkcs1(key: &[u8]) -> Result<[&[u8]; 8], KeyRefusal> {
    let key = RsaPrivateKeyRef::from_der(key).map_err(|_| KeyRefusal::Damaged("PKCS#1"))?;
    if key.other_prime_infos.is_some() {
        return Err(KeyRefusal::MultiPrime);
    }
    let numbers = [
        key.modulus,
        key.public_exponent,
        key.private_exponent,
        key.prime1,
        key.prime2,
        key.exponent1,
        key.exponent2,
        key.coefficient,
    ];
    Ok(numbers.map(|number| number.as_bytes()))
}

/// `ECPrivateKey`, RFC 5915 §3. The parameters stay open, so that explicit ones are refused by name.
#[derive(Sequence)]
struct EcPrivateKey<'a> {
    version: u8,
    private_key: &'a OctetStringRef,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    parameters: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    public_key: Option<BitStringRef<'a>>,
}

/// `outer` and `outer_public` are what the PKCS#8 around it says.
fn sec1<'a>(
    key: &'a [u8],
    outer: Option<AnyRef<'a>>,
    outer_public: Option<&'a [u8]>,
) -> Result<Key<'a>, KeyRefusal> {
    let damaged = || KeyRefusal::Damaged("SEC 1");
    let key = EcPrivateKey::from_der(key).map_err(|_| damaged())?;
    if key.version != 1 || (outer.is_some() && key.parameters.is_some() && outer != key.parameters) {
        return Err(damaged());
    }
    let curve = curve(outer.or(key.parameters).ok_or_else(damaged)?)?;
    let public = key.public_key.map(|bits| bits.as_bytes().ok_or_else(damaged)).transpose()?;
    Ok(Key::Ec { curve, scalar: key.private_key.as_bytes(), publics: [public, outer_public] })
}

fn curve(parameters: AnyRef<'_>) -> Result<Curve, KeyRefusal> {
    if parameters.tag() == Tag::Sequence {
        return Err(KeyRefusal::ExplicitCurve);
    }
    match parameters.decode_as().map_err(|_| KeyRefusal::Damaged("curve name"))? {
        P256 => Ok(Curve::P256),
        P384 => Ok(Curve::P384),
        other => Err(KeyRefusal::Curve(name(other))),
    }
}

/// What people call an identifier that is not supported.
fn name(oid: ObjectIdentifier) -> String {
    let dotted = oid.to_string();
    let known = match dotted.as_str() {
        "1.2.840.10040.4.1" => "DSA",
        "1.2.840.113549.1.1.7" => "RSAES-OAEP",
        "1.2.840.113549.1.1.10" => "RSASSA-PSS",
        "1.2.840.113549.1.3.1" => "Diffie-Hellman",
        "1.3.101.110" => "X25519",
        "1.3.101.111" => "X448",
        "1.3.101.113" => "Ed448",
        "1.3.132.0.10" => "secp256k1",
        "1.3.132.0.33" => "P-224",
        "1.3.132.0.35" => "P-521",
        _ => return dotted,
    };
    known.to_owned()
}
