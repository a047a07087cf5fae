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
//! 3. [`outcome`]: what an operation gives.

#![allow(clippy::inline_always, reason = "a vector must not cross a call: see `lanes`")]

mod lanes;
pub mod outcome;
pub mod tier;

pub use outcome::{Checked, Fault, Unchecked};
pub use tier::{Kernels, Refused, Tier};
