//! Signatures, as the engine gives them and as TLS wants them.

use der::asn1::UintRef;
use der::{Encode, Sequence};

use crate::Algorithm;

/// A signature that the engine made and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    algorithm: Algorithm,
    raw: Vec<u8>,
}

impl Signature {
    /// The signature `raw` of a key of this algorithm; `None` if it has another length than such signatures.
    pub fn new(algorithm: Algorithm, raw: Vec<u8>) -> Option<Self> {
        (raw.len() == algorithm.signature_bytes()).then_some(Self { algorithm, raw })
    }

    /// As it is on the wire: RSA's integer of the modulus's length, r ‖ s for ECDSA, R ‖ S for Ed25519.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// As X.509 and TLS carry it: ECDSA in DER, the others as they are.
    pub fn into_tls(self) -> Vec<u8> {
        match self.algorithm {
            Algorithm::P256 | Algorithm::P384 => ecdsa_der(&self.raw),
            _ => self.raw,
        }
    }
}

/// RFC 3279 §2.2.3.
#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// DER from r ‖ s, each of half the octets.
#[expect(clippy::expect_used, reason = "DER fails beyond 256 MiB only")]
fn ecdsa_der(raw: &[u8]) -> Vec<u8> {
    let (r, s) = raw.split_at(raw.len() / 2);
    let number = |octets| UintRef::new(octets).expect("an integer of a hundred octets");
    EcdsaSigValue { r: number(r), s: number(s) }.to_der().expect("two integers of a hundred octets")
}

#[cfg(test)]
mod tests {
    use super::Signature;
    use crate::Algorithm;

    fn tls(algorithm: Algorithm, raw: &[u8]) -> Vec<u8> {
        Signature::new(algorithm, raw.to_vec()).unwrap().into_tls()
    }

    fn hex(text: &str) -> Vec<u8> {
        base16ct::lower::decode_vec(text).unwrap()
    }

    /// RFC 6979 §A.2.5, P-256 with SHA-256, message "sample".
    #[test]
    fn integers_with_the_top_bit_get_a_zero() {
        let r = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
        let s = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
        let der = hex(&format!("3046022100{r}022100{s}"));
        assert_eq!(tls(Algorithm::P256, &hex(&format!("{r}{s}"))), der);
    }

    /// RFC 6979 §A.2.6, P-384 with SHA-384, message "test".
    #[test]
    fn p384_fits_the_short_form() {
        let r = "8203b63d3c853e8d77227fb377bcf7b7b772e97892a80f36ab775d509d7a5feb0542a7f0812998da8f1dd3ca3cf023db";
        let s = "ddd0760448d42d8a43af45af836fce4de8be06b485e9b61b827c2f13173923e06a739f040649a667bf3b828246baa5a5";
        let der = hex(&format!("3066023100{r}023100{s}"));
        assert_eq!(tls(Algorithm::P384, &hex(&format!("{r}{s}"))), der);
    }

    #[test]
    fn leading_zeros_are_dropped_and_zero_is_one_octet() {
        let mut raw = [0; 64];
        raw[31] = 0x7f;
        assert_eq!(tls(Algorithm::P256, &raw), hex("300602017f020100"));
        raw[30] = 0x00;
        raw[31] = 0x80;
        assert_eq!(tls(Algorithm::P256, &raw), hex("300702020080020100"));
    }

    #[test]
    fn other_algorithms_are_left_alone_and_lengths_checked() {
        for algorithm in [Algorithm::Rsa2048, Algorithm::Ed25519] {
            let raw = vec![0xab; algorithm.signature_bytes()];
            assert_eq!(tls(algorithm, &raw), raw);
        }
        for algorithm in Algorithm::ALL {
            assert_eq!(Signature::new(algorithm, vec![1; algorithm.signature_bytes() - 1]), None);
        }
    }
}
