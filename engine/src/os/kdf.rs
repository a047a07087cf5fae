//! HKDF (RFC 5869) with SHA-256, without a copy of the secret on the ordinary heap, which the wrapper of aws-lc-rs makes.

use aws_lc_sys as sys;

use super::bignum::NoRoom;

/// Fills `out`, at most 8,160 octets, from `secret`, `salt` and `info`.
pub fn hkdf_sha256(secret: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), NoRoom> {
    // SAFETY: a constant of the library.
    let digest = unsafe { sys::EVP_sha256() };
    // SAFETY: every pointer comes with the length of its slice.
    let derived = unsafe {
        sys::HKDF(
            out.as_mut_ptr(),
            out.len(),
            digest,
            secret.as_ptr(),
            secret.len(),
            salt.as_ptr(),
            salt.len(),
            info.as_ptr(),
            info.len(),
        )
    };
    if derived == 1 { Ok(()) } else { Err(NoRoom) }
}

#[cfg(test)]
mod tests {
    use super::hkdf_sha256;

    /// RFC 5869 §A.1.
    #[test]
    fn first_test_case_of_the_rfc() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let mut out = [0; 42];
        hkdf_sha256(&[0x0b; 22], &salt, &info, &mut out).unwrap();
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(base16ct::lower::encode_string(&out), expected);
    }
}
