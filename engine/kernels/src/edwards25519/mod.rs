//! The group of edwards25519 (RFC 7748 §4.1): multiples of its base point by a comb, and numbers modulo its order.

pub(crate) mod comb;
pub(crate) mod faults;
pub(crate) mod point;
pub(crate) mod scalar;
pub(crate) mod tables;

#[cfg(test)]
mod tables_tests;
