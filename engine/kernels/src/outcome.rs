//! What an operation gives: evidence, not octets.

/// A result that nobody may see yet.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a result that is not checked must not leave"]
pub struct Unchecked<T>(T);

/// A result that has passed its check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked<T>(T);

/// Why an operation has no result. The operation may be repeated with fresh randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The result did not pass its check: faulty memory or processor, or a damaged key.
    #[error("a computed result is wrong: faulty memory or processor, or a damaged key")]
    Wrong,
    /// The nonce was one of the few that this kernel does not use, or it gave r = 0 or s = 0; draw another one.
    #[error("the nonce cannot be used; draw another one")]
    Nonce,
    /// The peer's public value is one of the few of small order, so the shared secret would not be secret.
    #[error("the peer's public value has small order")]
    SmallOrder,
    /// The source of randomness failed.
    #[error("the source of randomness failed")]
    Random,
    /// The input is not below the modulus.
    #[error("the input is not below the key's modulus")]
    Range,
}

impl<T> Unchecked<T> {
    /// For the kernels, and for nobody else.
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    /// The result, for tests and benchmarks of the bare kernel: it must not leave the process.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// The check has passed.
    pub(crate) fn into_checked(self) -> Checked<T> {
        Checked(self.0)
    }
}

impl<T> Checked<T> {
    /// The result.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The result.
    pub fn into_inner(self) -> T {
        self.0
    }
}
