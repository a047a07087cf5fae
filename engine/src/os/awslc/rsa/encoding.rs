//! Encoded messages: what an RSA kernel raises to a power.

use aws_lc_sys as sys;
use keylane_api::Scheme;

use super::{Hash, PublicKey};

/// DER of `DigestInfo` in front of the digest (RFC 8017 §9.2, note 1).
const SHA256: [u8; 19] = *b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
/// See [`SHA256`].
const SHA384: [u8; 19] = *b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30";
/// See [`SHA256`].
const SHA512: [u8; 19] = *b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40";

impl PublicKey {
    /// Encodes a digest for `scheme` into the modulus' length of octets: EMSA-PSS with a fresh salt as long as the digest
    /// (RFC 8017 §9.1.1), or EMSA-PKCS1-v1_5 (§9.2). `None` when the scheme takes no such digest, the lengths do not fit, or
    /// memory or randomness ran out.
    pub fn encode(&self, scheme: Scheme, digest: &[u8], out: &mut [u8]) -> Option<()> {
        let hash = Hash::of(scheme, digest)?;
        if scheme.is_pss() { self.encode_pss(&hash, out) } else { encode_pkcs1(digest, out) }
    }

    /// Whether `encoded` is an encoding of this digest.
    pub fn is_encoding(&self, scheme: Scheme, digest: &[u8], encoded: &[u8]) -> bool {
        let Some(hash) = Hash::of(scheme, digest) else { return false };
        if scheme.is_pss() {
            return self.is_pss_encoding(&hash, encoded);
        }
        let mut expected = [0; 512];
        let Some(expected) = expected.get_mut(..encoded.len()) else { return false };
        encode_pkcs1(digest, expected).is_some() && expected == encoded
    }

    fn encode_pss(&self, hash: &Hash<'_>, out: &mut [u8]) -> Option<()> {
        let salt = i32::try_from(hash.digest.len()).ok()?;
        if out.len() != self.octets() {
            return None;
        }
        // SAFETY: a valid key, of whose modulus' length `out` is; a digest of the hash function's length.
        let done = unsafe {
            sys::RSA_padding_add_PKCS1_PSS_mgf1(
                self.0.as_ptr(),
                out.as_mut_ptr(),
                hash.digest.as_ptr(),
                hash.md,
                hash.md,
                salt,
            )
        };
        (done == 1).then_some(())
    }

    fn is_pss_encoding(&self, hash: &Hash<'_>, encoded: &[u8]) -> bool {
        let Ok(salt) = i32::try_from(hash.digest.len()) else { return false };
        if encoded.len() != self.octets() {
            return false;
        }
        // SAFETY: as in `encode_pss`.
        let verified = unsafe {
            sys::RSA_verify_PKCS1_PSS_mgf1(
                self.0.as_ptr(),
                hash.digest.as_ptr(),
                hash.md,
                hash.md,
                encoded.as_ptr(),
                salt,
            )
        };
        verified == 1
    }

    /// Octets of the modulus.
    fn octets(&self) -> usize {
        // SAFETY: a valid key.
        unsafe { sys::RSA_size(self.0.as_ptr()) as usize }
    }
}

/// 00 01 ff … ff 00 ‖ `DigestInfo`, with at least eight ff.
fn encode_pkcs1(digest: &[u8], out: &mut [u8]) -> Option<()> {
    let prefix = match digest.len() {
        32 => SHA256,
        48 => SHA384,
        64 => SHA512,
        _ => return None,
    };
    let info = out.len().checked_sub(prefix.len() + digest.len()).filter(|&info| info >= 11)?;
    let (padding, rest) = out.split_at_mut(info);
    padding.fill(0xff);
    padding[0] = 0;
    padding[1] = 1;
    padding[info - 1] = 0;
    let (to_prefix, to_digest) = rest.split_at_mut(prefix.len());
    to_prefix.copy_from_slice(&prefix);
    to_digest.copy_from_slice(digest);
    Some(())
}
