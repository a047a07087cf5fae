//! The Keylane engine.
#![deny(unsafe_code)]

pub mod admin;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod key;
pub mod limits;
#[allow(unsafe_code)]
pub mod os;
pub mod policy;
pub mod unlock;
