//! What `build.rs` has generated.

#![allow(clippy::unreadable_literal, clippy::large_stack_arrays, missing_docs, reason = "generated")]

pub(crate) mod p256 {
    include!(concat!(env!("OUT_DIR"), "/p256.rs"));
}

pub(crate) mod p384 {
    include!(concat!(env!("OUT_DIR"), "/p384.rs"));
}
