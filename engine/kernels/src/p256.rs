//! ECDSA on NIST P-256 with digests of 32 octets (FIPS 186-5 §6.4): [`sign`] a batch, [`check`] it.

crate::ecdsa::api::interface!(P256, 5, 32);
