//! The scalar path: one signature at a time, by aws-lc, checked by other means than those that made it.
//!
//! A [`KeyContext`] is a prepared key. [`KeyContext::sign`] gives evidence of a result that nobody may see yet,
//! [`Unchecked`]; [`KeyContext::check`] turns it into [`Checked`], the only way to get one. What each check covers, and
//! what it costs, is told in `docs/SOUNDNESS.md`.
//!
//! Callers run on a stack inside secret memory ([`os::stack`](crate::os::stack)).

mod check;
mod context;
mod digest;
mod numbers;
mod random;
mod sign;

pub use check::{CheckFailed, Checked};
pub use context::{KeyContext, PrepareError};
pub use random::random;
pub use sign::{ExecuteError, Unchecked};

#[cfg(test)]
mod tests;
