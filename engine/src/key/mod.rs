//! Private keys on their way into the token: [`import()`] from a file, [`generate()`], and [`Material`], the form in which
//! the store wraps them.
//!
//! Key bytes stay in secret memory: buffers are [`SecretBytes`](crate::os::secret::SecretBytes), aws-lc's heap is
//! secret, parsers borrow from their input, and callers run on a secret stack.
//!
//! An import goes through `pem` (armour), `der` (which structure it is), then `rsa` with `weak`, or `curve` (is it a
//! key that can be trusted to be what it says). A [`KeyRefusal`] names what is wrong and what to do about it.

mod curve;
mod der;
mod generate;
mod import;
mod material;
mod pem;
mod refusal;
mod rsa;
mod weak;

#[cfg(test)]
mod tests;

pub use generate::{KeyError, generate};
pub use import::import;
pub use material::{Material, Part};
pub use refusal::KeyRefusal;
