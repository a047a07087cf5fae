//! What aws-lc-rs does not offer, straight from aws-lc.

mod memory;

pub(super) use memory::use_secret_memory;
