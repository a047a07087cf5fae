//! Key references: the file that stands where a server expects its private key.
//!
//! A reference says where the private key is and carries its public half, so that a server loads it, and matches its
//! certificate with it, while no engine runs. It holds nothing secret. Its form is a `OneAsymmetricKey` (RFC 5958),
//! the second version of PKCS#8, under the PEM label `PRIVATE KEY`, so that it passes through whatever carries private
//! keys around:
//!
//! | field | content |
//! |---|---|
//! | `version` | 1 (v2, as a public key is present) |
//! | `privateKeyAlgorithm` | [`OID`], no parameters |
//! | `privateKey` | a `pkcs11:` URI (RFC 7512) with the attributes `token` (the slot's name), `object` (the key's label), `id` (the [`KeyId`], eight octets, big-endian) and `type=private` |
//! | `publicKey` | DER `SubjectPublicKeyInfo`: the algorithm must travel along, since `privateKeyAlgorithm` is ours |
//!
//! Anything else under this algorithm is refused: attributes, parameters, other versions, octets behind the end.

use der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use der::{Decode, Encode, Reader, Sequence, SliceReader, Tag, Tagged};
use pem_rfc7468::LineEnding;

use crate::Algorithm;
use crate::control::{KeyId, KeySelector};

mod uri;
use uri::Uri;
pub use uri::UriError;

#[cfg(test)]
mod tests;

/// The algorithm that marks a reference, as dotted decimals: the UUID a90b48ab-5f26-4fb0-999a-a356b4156c6b under 2.25
/// (ITU-T X.667 §7), which nobody needs to register. `docs/adr/0002-key-reference-oid.md` records it.
pub const OID: &str = "2.25.224698120464049309922950061084453989483";

/// The contents octets of [`OID`]. Compared as they are: the arc has 128 bits, more than OID libraries take.
const OID_OCTETS: [u8; 20] = [
    0x69, 0x82, 0xd2, 0x8b, 0xa4, 0xaa, 0xeb, 0xf2, 0xb2, 0xbe, 0xe1, 0x99, 0xcd, 0xa8, 0xea, 0xeb, 0xa0,
    0xd5, 0xd8, 0x6b,
];

/// PEM label of every PKCS#8 key (RFC 7468 §10).
const PEM_LABEL: &str = "PRIVATE KEY";

/// `version` of a `OneAsymmetricKey` with a public key (RFC 5958 §2).
const VERSION_2: u8 = 1;

/// A private key that is in an engine: where, and its public half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReference {
    uri: Uri,
    public: Vec<u8>,
    algorithm: Algorithm,
}

impl KeyReference {
    /// Refers to the key `label` in `slot`, whose public half is the DER `SubjectPublicKeyInfo` `public`.
    ///
    /// # Errors
    /// A name is empty, or the public key is of no kind that an engine holds.
    pub fn new(slot: &str, label: &str, key: KeyId, public: &[u8]) -> Result<Self, ReferenceError> {
        Self::from_parts(Uri::new(slot, label, key)?, public)
    }

    fn from_parts(uri: Uri, public: &[u8]) -> Result<Self, ReferenceError> {
        let algorithm = Algorithm::of_public(public).ok_or(ReferenceError::PublicKey)?;
        Ok(Self { uri, public: public.to_vec(), algorithm })
    }

    /// Name of the slot that holds the key.
    pub fn slot(&self) -> &str {
        &self.uri.token
    }

    /// The key's label in its slot.
    pub fn label(&self) -> &str {
        &self.uri.object
    }

    /// The key's identity in the token when the reference was made. A key restored from elsewhere has another.
    pub fn key(&self) -> KeyId {
        self.uri.id
    }

    /// The public half, DER `SubjectPublicKeyInfo`.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// What the key is.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `pkcs11:` URI, for programs that take one.
    pub fn uri(&self) -> String {
        self.uri.to_string()
    }

    /// What to ask an engine for. By name, so that the reference survives a restored token; whoever resolves it must
    /// compare the public key that comes back with [`Self::public`].
    pub fn selector(&self) -> KeySelector {
        KeySelector::Label { slot: Some(self.uri.token.clone()), label: self.uri.object.clone() }
    }

    /// The reference in DER.
    ///
    /// # Errors
    /// Names too long for DER (256 MiB).
    pub fn to_der(&self) -> Result<Vec<u8>, ReferenceError> {
        let uri = self.uri.to_string();
        let key = OneAsymmetricKey {
            version: VERSION_2,
            algorithm: AlgorithmIdentifier { oid: AnyRef::new(Tag::ObjectIdentifier, &OID_OCTETS)? },
            private_key: OctetStringRef::new(uri.as_bytes())?,
            public_key: Some(BitStringRef::from_bytes(&self.public)?),
        };
        Ok(key.to_der()?)
    }

    /// The reference as a PEM file.
    ///
    /// # Errors
    /// As [`Self::to_der`].
    pub fn to_pem(&self) -> Result<String, ReferenceError> {
        Ok(pem_rfc7468::encode_string(PEM_LABEL, LineEnding::LF, &self.to_der()?)?)
    }

    /// Reads a PKCS#8 key in DER: `None` when it is not a reference but some other key.
    ///
    /// # Errors
    /// It is marked as a reference, but malformed.
    pub fn from_der(der: &[u8]) -> Result<Option<Self>, ReferenceError> {
        if !is_marked(der) {
            return Ok(None);
        }
        let key = OneAsymmetricKey::from_der(der)?;
        if key.version != VERSION_2 {
            return Err(ReferenceError::Version(key.version));
        }
        let public = key.public_key.and_then(|bits| bits.as_bytes()).ok_or(ReferenceError::PublicKey)?;
        Self::from_parts(Uri::parse(key.private_key.as_bytes())?, public).map(Some)
    }
}

/// RFC 5958 §2 without attributes.
#[derive(Sequence)]
struct OneAsymmetricKey<'a> {
    version: u8,
    algorithm: AlgorithmIdentifier<'a>,
    private_key: &'a OctetStringRef,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    public_key: Option<BitStringRef<'a>>,
}

/// RFC 5280 §4.1.1.2 without parameters, and with an identifier of any length.
#[derive(Sequence)]
struct AlgorithmIdentifier<'a> {
    oid: AnyRef<'a>,
}

/// Whether this PKCS#8 key, of any version, names our algorithm.
fn is_marked(der: &[u8]) -> bool {
    let algorithm = |reader: &mut SliceReader<'_>| {
        let _version = u8::decode(reader)?;
        let oid = AnyRef::decode(reader)?.sequence(|reader| {
            let oid = AnyRef::decode(reader)?;
            reader.drain(reader.remaining_len())?;
            Ok::<_, der::Error>(oid.tag() == Tag::ObjectIdentifier && oid.value() == OID_OCTETS)
        });
        reader.drain(reader.remaining_len())?;
        oid
    };
    SliceReader::new(der).and_then(|mut reader| reader.sequence(algorithm)).unwrap_or(false)
}

/// A key reference that cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Not the expected DER.
    #[error("malformed key reference: {0}")]
    Der(#[from] der::Error),
    /// Cannot be put into PEM.
    #[error("key reference does not fit into PEM: {0}")]
    Pem(#[from] pem_rfc7468::Error),
    /// A version of PKCS#8 that carries no public key.
    #[error("key reference is PKCS#8 version {0}, not 1 (v2); make it anew with `keylane key reference`")]
    Version(u8),
    /// The URI does not say where the key is.
    #[error("key reference with a malformed PKCS#11 URI: {0}")]
    Uri(#[from] UriError),
    /// The public key is missing, malformed or of a kind that no engine holds.
    #[error(
        "key reference without the public key of a supported algorithm; make it anew with `keylane key reference`"
    )]
    PublicKey,
}
