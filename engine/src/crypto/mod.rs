//! Signatures: by the multi-buffer kernels, a batch at a time, or on the scalar path, one at a time by aws-lc; checked by
//! other means than those that made them.
//!
//! A [`KeyContext`] is a prepared key. [`KeyContext::sign`] gives evidence of a result that nobody may see yet,
//! [`Unchecked`]; [`KeyContext::check`] turns it into [`Checked`]. A batch goes through [`MultiBuffer`], whose
//! [`check`](MultiBuffer::check) is the only other way to get one. What each check covers, and
//! what it costs, is told in `docs/SOUNDNESS.md`.
//!
//! Callers run on a stack inside secret memory ([`os::stack`](crate::os::stack)).

mod check;
mod context;
mod digest;
mod lane_key;
mod multi;
mod numbers;
mod sign;

pub use check::{CheckFailed, Checked};
pub use context::{KeyContext, PrepareError};
pub use multi::{MultiBuffer, Operation};
pub use sign::{ExecuteError, Unchecked};

#[cfg(test)]
mod tests;
