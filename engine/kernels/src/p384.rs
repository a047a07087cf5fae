//! ECDSA on NIST P-384 with digests of 48 octets (FIPS 186-5 §6.4): [`sign`] a batch, [`check`] it.

crate::ecdsa::api::interface!(P384, 8, 48);
