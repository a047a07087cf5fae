//! What aws-lc-rs does not offer, straight from aws-lc.

pub mod ecdsa;
pub mod rsa;

mod memory;

pub(super) use memory::use_secret_memory;
pub use memory::{forget_ran_out, ran_out};
