//! ECDSA over the NIST curves, eight keys per vector. The public interface is in [`p256`](crate::p256) and
//! [`p384`](crate::p384); the curve is a type parameter of everything here, the digits of an element are another.
//!
//! # In reading order
//!
//! - `modulus`, `field`: arithmetic modulo four primes, with `constants` and tables that `build.rs` generates;
//! - `curve`, `point`, `comb`: multiples of the base point, with a `tag` that says of which scalar;
//! - `safegcd`, `inverse`: inverses of a batch;
//! - `key`, `public`, `convert`, `nonce`, `work`: what goes in;
//! - `sign` and `check`; `api` puts them into the interface of a curve, which proves
//!   itself with `answers`.

#![allow(
    clippy::needless_range_loop,
    clippy::type_complexity,
    reason = "streams and digits are counted in step over several arrays, and iterators hide that from LLVM's unroller"
)]

pub(crate) mod answers;
pub(crate) mod api;
mod check;
pub(crate) mod comb;
mod constants;
mod convert;
pub(crate) mod curve;
#[cfg(any(test, feature = "faults"))]
mod faults;
mod field;
mod inverse;
pub(crate) mod key;
mod modulus;
mod nonce;
mod point;
pub(crate) mod public;
mod safegcd;
mod sign;
mod tag;
pub(crate) mod work;

#[cfg(test)]
mod tests;

pub use key::KeyError;
pub use sign::WIDE_NONCE_LEN;
pub use work::BATCH_MAX;
