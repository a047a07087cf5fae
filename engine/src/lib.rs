//! The Keylane engine.

pub mod admin;
pub mod cli;
pub mod config;
pub mod limits;
pub mod os;
