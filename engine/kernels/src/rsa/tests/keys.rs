//! RSA keys by aws-lc, as numbers. Included by the test of constant time too, so it knows nothing of the kernels.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};

/// A key's numbers, big-endian, and the key itself.
pub(crate) struct Numbers {
    pub(crate) pair: KeyPair,
    /// n, e, d, p, q, dp, dq, qInv.
    pub(crate) integers: Vec<Vec<u8>>,
}

/// Generates a key.
pub(crate) fn generate(size: KeySize) -> Numbers {
    let pair = KeyPair::generate(size).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    // PrivateKeyInfo ::= SEQUENCE { version, algorithm, privateKey OCTET STRING { RSAPrivateKey } }
    let (_, info, _) = element(der.as_ref());
    let (_, _, rest) = element(info);
    let (_, _, rest) = element(rest);
    let (_, octets, _) = element(rest);
    let (_, key, _) = element(octets);
    let mut integers = Vec::new();
    let mut rest = key;
    while !rest.is_empty() {
        let (_, value, after) = element(rest);
        integers.push(value.to_vec());
        rest = after;
    }
    integers.remove(0);
    Numbers { pair, integers }
}

/// Tag, value and what follows of a DER element.
fn element(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (header, length) = match usize::from(der[1]) {
        short if short < 0x80 => (2, short),
        long => {
            let octets = &der[2..2 + long - 0x80];
            (2 + octets.len(), octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)))
        }
    };
    (der[0], &der[header..header + length], &der[header + length..])
}

/// EMSA-PKCS1-v1_5 of a SHA-256 digest (RFC 8017, 9.2).
pub(crate) fn encoded<const OCTETS: usize>(message: &[u8]) -> [u8; OCTETS] {
    const PREFIX: [u8; 19] =
        [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message);
    let mut block = [0xff; OCTETS];
    block[..2].copy_from_slice(&[0, 1]);
    let tail = [&[0][..], &PREFIX, digest.as_ref()].concat();
    block[OCTETS - tail.len()..].copy_from_slice(&tail);
    block
}
