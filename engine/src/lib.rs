//! The Keylane engine.

pub mod admin;
pub mod config;
pub mod limits;
pub mod os;
