//! Multi-buffer private-key operations: eight different keys per vector, in radix 2^52, on AVX-512-IFMA, with a portable
//! implementation of the same source for every other machine.
//!
//! # What holds
//!
//! - No branch, table address or division depends on a secret (`docs/SOUNDNESS.md` lists the exceptions and why each is
//!   safe).
//! - A kernel returns [`Unchecked`]; only the check beside it turns that into [`Checked`], and it uses nothing that the
//!   kernel could have spoilt alone.
//! - The hot path allocates nothing: the caller owns every workspace, and whatever held a secret is erased.
//!
//! # In reading order
//!
//! 1. [`tier`]: which implementation runs here, chosen once by [`Kernels::select`] and proven by known answers;
//! 2. `lanes`: the eight lanes, as a trait with one implementation per tier. A kernel is written once, over the trait;
//! 3. [`outcome`]: what an operation gives;
//! 4. [`random`]: where randomness comes from, once per batch;
//! 5. `sha512`: eight messages at once;
//! 6. `field25519`, `edwards25519`: the field of 2^255 − 19 and the group over it, with its comb, for [`ed25519`] and
//!    [`x25519`];
//! 7. [`ecdsa`]: the NIST curves, for [`p256`] and [`p384`];
//! 8. [`rsa`]: powers by the Chinese remainder theorem.

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "tests compute with small numbers, or mean the low bits"
    )
)]
#![allow(clippy::inline_always, reason = "a vector must not cross a call: see `lanes`")]

pub mod ecdsa;
pub mod ed25519;
mod edwards25519;
mod field25519;
mod lanes;
pub mod outcome;
pub mod p256;
pub mod p384;
pub mod random;
pub mod rsa;
mod sha512;
pub mod tier;
pub mod x25519;

pub use lanes::Block;
pub use outcome::{Checked, Fault, Unchecked};
pub use random::{Random, RandomFailed};
pub use tier::{Kernels, Refused, Tier};
