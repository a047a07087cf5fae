//! A private key as raw numbers: what the store wraps and what kernels want, with nothing left to parse.

use der::Encode;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use keylane_api::Algorithm;
use pkcs1::RsaPublicKey;
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use crate::os::secret::{SecretBytes, SecretMemoryError};

/// `rsaEncryption`, RFC 8017 §A.1.
pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-ecPublicKey`, RFC 5480 §2.1.1.
pub(super) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `secp256r1`, RFC 5480 §2.1.1.1.
pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// `secp384r1`, RFC 5480 §2.1.1.1.
pub(super) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// `id-Ed25519`, RFC 8410 §3.
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// One number of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// RSA: n.
    Modulus,
    /// RSA: e, in eight octets.
    PublicExponent,
    /// RSA: d.
    PrivateExponent,
    /// RSA: p.
    Prime1,
    /// RSA: q.
    Prime2,
    /// RSA: d mod (p−1).
    Exponent1,
    /// RSA: d mod (q−1).
    Exponent2,
    /// RSA: q⁻¹ mod p.
    Coefficient,
    /// ECDSA: d.
    Scalar,
    /// ECDSA: Q = d·G, uncompressed (SEC 1 §2.3.3).
    Point,
    /// Ed25519: the 32 octets of RFC 8032 §5.1.5.
    Seed,
    /// Ed25519: the public key A.
    Public,
}

impl Part {
    /// The numbers of an RSA key, as they are laid out.
    pub(super) const RSA: [Self; 8] = [
        Self::Modulus,
        Self::PublicExponent,
        Self::PrivateExponent,
        Self::Prime1,
        Self::Prime2,
        Self::Exponent1,
        Self::Exponent2,
        Self::Coefficient,
    ];
}

/// The parts of a key, in order, each with its length in octets.
fn layout(algorithm: Algorithm) -> &'static [(Part, usize)] {
    const fn rsa(bits: usize) -> [(Part, usize); 8] {
        let (full, half) = (bits / 8, bits / 16);
        let lengths = [full, 8, full, half, half, half, half, half];
        let mut layout = [(Part::Modulus, 0); 8];
        let mut index = 0;
        while index < 8 {
            layout[index] = (Part::RSA[index], lengths[index]);
            index += 1;
        }
        layout
    }
    const RSA_2048: [(Part, usize); 8] = rsa(2048);
    const RSA_3072: [(Part, usize); 8] = rsa(3072);
    const RSA_4096: [(Part, usize); 8] = rsa(4096);
    match algorithm {
        Algorithm::Rsa2048 => &RSA_2048,
        Algorithm::Rsa3072 => &RSA_3072,
        Algorithm::Rsa4096 => &RSA_4096,
        Algorithm::P256 => &[(Part::Scalar, 32), (Part::Point, 65)],
        Algorithm::P384 => &[(Part::Scalar, 48), (Part::Point, 97)],
        Algorithm::Ed25519 => &[(Part::Seed, 32), (Part::Public, 32)],
        // `Algorithm` is open; what the engine does not know it cannot hold.
        _ => &[],
    }
}

/// A private key and its public half, as big-endian numbers of fixed widths, one behind the other:
///
/// | algorithm | numbers (octets) |
/// |---|---|
/// | RSA of k bits | n (k/8), e (8), d (k/8), p, q, dp, dq, qinv (k/16 each) |
/// | ECDSA | d (32, 48), Q uncompressed (65, 97) |
/// | Ed25519 | seed (32), A (32) |
#[derive(Debug)]
pub struct Material {
    /// What the key is.
    pub algorithm: Algorithm,
    numbers: SecretBytes,
}

impl Material {
    /// Room for the numbers of a key, all zero.
    pub(super) fn zeroed(algorithm: Algorithm) -> Result<Self, SecretMemoryError> {
        Ok(Self { algorithm, numbers: SecretBytes::zeroed(Self::octets(algorithm))? })
    }

    /// The key whose numbers these are; `None` when there are too many or too few octets.
    pub fn from_numbers(algorithm: Algorithm, numbers: SecretBytes) -> Option<Self> {
        (numbers.len() == Self::octets(algorithm)).then_some(Self { algorithm, numbers })
    }

    /// Octets of all numbers of a key.
    pub fn octets(algorithm: Algorithm) -> usize {
        layout(algorithm).iter().map(|(_, octets)| octets).sum()
    }

    /// All numbers, as they are wrapped.
    pub fn numbers(&self) -> &[u8] {
        &self.numbers
    }

    /// One number, big-endian; empty when keys of this algorithm have no such part.
    pub fn part(&self, part: Part) -> &[u8] {
        &self.numbers[self.range(part)]
    }

    /// The place of a number.
    pub(super) fn part_mut(&mut self, part: Part) -> &mut [u8] {
        let range = self.range(part);
        &mut self.numbers[range]
    }

    /// The places of the eight numbers of an RSA key, to be filled together.
    pub(super) fn rsa_mut(&mut self) -> [&mut [u8]; 8] {
        let mut rest: &mut [u8] = &mut self.numbers;
        Part::RSA.map(|part| {
            let octets =
                layout(self.algorithm).iter().find(|(found, _)| *found == part).map_or(0, |found| found.1);
            rest.split_off_mut(..octets).unwrap_or_default()
        })
    }

    /// Scalar and point of an ECDSA key, or seed and public key of an Ed25519 key.
    pub(super) fn halves_mut(&mut self) -> (&mut [u8], &mut [u8]) {
        let private = layout(self.algorithm).first().map_or(0, |first| first.1);
        self.numbers.split_at_mut(private)
    }

    fn range(&self, part: Part) -> std::ops::Range<usize> {
        let mut start = 0;
        for &(found, octets) in layout(self.algorithm) {
            if found == part {
                return start..start + octets;
            }
            start += octets;
        }
        0..0
    }

    /// The public half, DER `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
    ///
    /// # Panics
    /// Never: what is encoded is far below the limits of DER.
    pub fn public_spki(&self) -> Vec<u8> {
        let encoded = match self.algorithm {
            Algorithm::P256 => spki(EC, Some((&P256).into()), self.part(Part::Point)),
            Algorithm::P384 => spki(EC, Some((&P384).into()), self.part(Part::Point)),
            Algorithm::Ed25519 => spki(ED25519, None, self.part(Part::Public)),
            _ => self.rsa_public().and_then(|key| spki(RSA, Some(AnyRef::NULL), &key)),
        };
        #[expect(clippy::expect_used, reason = "DER lengths go to 256 MiB; these are below 1 KiB")]
        encoded.expect("a public key fits into DER")
    }

    fn rsa_public(&self) -> der::Result<Vec<u8>> {
        let modulus = UintRef::new(self.part(Part::Modulus))?;
        RsaPublicKey { modulus, public_exponent: UintRef::new(self.part(Part::PublicExponent))? }.to_der()
    }
}

fn spki(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, key: &[u8]) -> der::Result<Vec<u8>> {
    let subject_public_key = BitStringRef::from_bytes(key)?;
    let algorithm = AlgorithmIdentifierRef { oid, parameters };
    SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der()
}
