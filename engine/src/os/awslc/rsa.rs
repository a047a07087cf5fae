//! An RSA public key, for any scheme. (aws-lc-rs ties a parsed key to one scheme.)

use std::ptr::NonNull;

mod encoding;

use aws_lc_sys as sys;
use keylane_api::Scheme;

/// n and e, copied, and n's Montgomery constants.
#[derive(Debug)]
pub struct PublicKey(NonNull<sys::RSA>);

// SAFETY: aws-lc locks what it fills in lazily; an RSA object may be used by several threads.
unsafe impl Send for PublicKey {}
// SAFETY: as above.
unsafe impl Sync for PublicKey {}

impl PublicKey {
    /// The key with these big-endian numbers; `None` when aws-lc refuses them or secret memory has no room.
    pub fn new(n: &[u8], e: &[u8]) -> Option<Self> {
        let (n, e) = (Number::new(n)?, Number::new(e)?);
        // SAFETY: valid numbers, which aws-lc copies.
        NonNull::new(unsafe { sys::RSA_new_public_key(n.0.as_ptr(), e.0.as_ptr()) }).map(Self)
    }

    /// Whether `signature` is one of `digest` in `scheme` (RFC 8017 §8.1.2, with a salt as long as the digest, and
    /// §8.2.2): sᵉ modulo n is computed and its padding examined. False for a scheme that is not RSA's.
    pub fn verify(&self, scheme: Scheme, digest: &[u8], signature: &[u8]) -> bool {
        let Some(hash) = Hash::of(scheme, digest) else { return false };
        let verified = if scheme.is_pss() {
            self.verify_pss(&hash, signature)
        } else {
            self.verify_pkcs1(&hash, signature)
        };
        verified == 1
    }

    fn verify_pss(&self, hash: &Hash<'_>, signature: &[u8]) -> i32 {
        let salt = i32::try_from(hash.digest.len()).unwrap_or(-1);
        let (digest, digest_len) = (hash.digest.as_ptr(), hash.digest.len());
        let (signature, len) = (signature.as_ptr(), signature.len());
        // SAFETY: a valid key, constant hash functions, readable octets.
        unsafe {
            sys::RSA_verify_pss_mgf1(
                self.0.as_ptr(),
                digest,
                digest_len,
                hash.md,
                hash.md,
                salt,
                signature,
                len,
            )
        }
    }

    fn verify_pkcs1(&self, hash: &Hash<'_>, signature: &[u8]) -> i32 {
        let (digest, digest_len) = (hash.digest.as_ptr(), hash.digest.len());
        // SAFETY: a valid key, readable octets.
        unsafe {
            sys::RSA_verify(
                hash.nid,
                digest,
                digest_len,
                signature.as_ptr(),
                signature.len(),
                self.0.as_ptr(),
            )
        }
    }
}

impl Drop for PublicKey {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { sys::RSA_free(self.0.as_ptr()) };
    }
}

/// A digest and the function that made it.
struct Hash<'a> {
    digest: &'a [u8],
    nid: i32,
    md: *const sys::EVP_MD,
}

impl<'a> Hash<'a> {
    fn of(scheme: Scheme, digest: &'a [u8]) -> Option<Self> {
        if scheme.digest_bytes() != Some(digest.len()) {
            return None;
        }
        let (nid, md) = match digest.len() {
            // SAFETY: a constant of the library.
            32 => (sys::NID_sha256, unsafe { sys::EVP_sha256() }),
            // SAFETY: a constant of the library.
            48 => (sys::NID_sha384, unsafe { sys::EVP_sha384() }),
            // SAFETY: a constant of the library.
            64 => (sys::NID_sha512, unsafe { sys::EVP_sha512() }),
            _ => return None,
        };
        Some(Self { digest, nid, md })
    }
}

struct Number(NonNull<sys::BIGNUM>);

impl Number {
    fn new(octets: &[u8]) -> Option<Self> {
        // SAFETY: readable octets; a new number.
        NonNull::new(unsafe { sys::BN_bin2bn(octets.as_ptr(), octets.len(), std::ptr::null_mut()) }).map(Self)
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { sys::BN_free(self.0.as_ptr()) };
    }
}
