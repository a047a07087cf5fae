//! The Keylane engine.

pub mod admin;
pub mod limits;
