//! ECDSA over big integers: affine, slow, and written without a look at the kernels.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, UnparsedPublicKey,
};
use num_bigint::BigUint;

/// One curve's parameters.
pub(crate) struct Oracle {
    pub(crate) p: BigUint,
    pub(crate) n: BigUint,
    pub(crate) base: (BigUint, BigUint),
    pub(crate) octets: usize,
    algorithm: &'static EcdsaVerificationAlgorithm,
}

fn number(hex: &str) -> BigUint {
    BigUint::parse_bytes(hex.as_bytes(), 16).unwrap()
}

impl Oracle {
    /// SP 800-186 §3.2.1.3.
    pub(crate) fn p256() -> Self {
        Self {
            p: (BigUint::from(1u32) << 256) - (BigUint::from(1u32) << 224)
                + (BigUint::from(1u32) << 192)
                + (BigUint::from(1u32) << 96)
                - 1u32,
            n: number("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
            base: (
                number("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
                number("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
            ),
            octets: 32,
            algorithm: &ECDSA_P256_SHA256_FIXED,
        }
    }

    /// SP 800-186 §3.2.1.4.
    pub(crate) fn p384() -> Self {
        let one = BigUint::from(1u32);
        Self {
            p: (&one << 384) - (&one << 128) - (&one << 96) + (&one << 32) - 1u32,
            n: number(
                "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
            ),
            base: (
                number(
                    "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
                ),
                number(
                    "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
                ),
            ),
            octets: 48,
            algorithm: &ECDSA_P384_SHA384_FIXED,
        }
    }

    /// The sum of two points, equal or not; `None` is the point at infinity.
    pub(crate) fn add(
        &self,
        a: Option<&(BigUint, BigUint)>,
        b: Option<&(BigUint, BigUint)>,
    ) -> Option<(BigUint, BigUint)> {
        let p = &self.p;
        let (Some((x1, y1)), Some((x2, y2))) = (a, b) else { return a.or(b).cloned() };
        let slope = if x1 == x2 {
            if (y1 + y2) % p == BigUint::ZERO {
                return None;
            }
            (x1 * x1 * 3u32 + p - 3u32) * (y1 * 2u32).modinv(p).unwrap()
        } else {
            (y2 + p - y1) * ((x2 + p - x1) % p).modinv(p).unwrap()
        };
        let x = (&slope * &slope + p + p - x1 - x2) % p;
        let y = (slope * ((x1 + p - &x) % p) + p - y1) % p;
        Some((x, y))
    }

    /// scalar·G, by doubling and adding.
    pub(crate) fn multiply(&self, scalar: &BigUint) -> Option<(BigUint, BigUint)> {
        let mut sum = None;
        for bit in (0..scalar.bits()).rev() {
            sum = self.add(sum.as_ref(), sum.as_ref());
            if scalar.bit(bit) {
                sum = self.add(sum.as_ref(), Some(&self.base));
            }
        }
        sum
    }

    /// r ‖ s with this nonce or its opposite, whichever is odd.
    pub(crate) fn sign(&self, private: &BigUint, digest: &[u8], nonce: &BigUint) -> Vec<u8> {
        let k = nonce % &self.n;
        let k = if k.bit(0) { k } else { &self.n - k };
        let r = self.multiply(&k).unwrap().0 % &self.n;
        let s = k.modinv(&self.n).unwrap() * (BigUint::from_bytes_be(digest) + &r * private) % &self.n;
        [self.encode(&r), self.encode(&s)].concat()
    }

    /// 04 ‖ x ‖ y.
    pub(crate) fn public(&self, private: &BigUint) -> Vec<u8> {
        let (x, y) = self.multiply(private).unwrap();
        [vec![4], self.encode(&x), self.encode(&y)].concat()
    }

    /// As long as a scalar.
    pub(crate) fn encode(&self, number: &BigUint) -> Vec<u8> {
        let octets = number.to_bytes_be();
        [vec![0; self.octets - octets.len()], octets].concat()
    }

    /// What aws-lc says about a signature of this message's digest.
    pub(crate) fn verifies(&self, public: &[u8], message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm, public).verify(message, signature).is_ok()
    }

    /// The digest that goes with the curve.
    pub(crate) fn digest(&self, message: &[u8]) -> Vec<u8> {
        let algorithm =
            if self.octets == 32 { &aws_lc_rs::digest::SHA256 } else { &aws_lc_rs::digest::SHA384 };
        aws_lc_rs::digest::digest(algorithm, message).as_ref().to_vec()
    }
}

/// Reproducible octets: SHA-512 of a label and a counter, as often as needed.
pub(crate) fn octets(label: &str, number: usize, len: usize) -> Vec<u8> {
    (0..len.div_ceil(64))
        .flat_map(|part| {
            let text = format!("{label} {number} {part}");
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, text.as_bytes()).as_ref().to_vec()
        })
        .take(len)
        .collect()
}
