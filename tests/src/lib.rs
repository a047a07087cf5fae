//! What the end-to-end tests share: a temporary token, a real engine process on it, real keys and certificates.
//!
//! Nothing here is a mock. The engine is the `keylane` binary of the same build; keys come from the engine or from
//! aws-lc; clients are `keylane-api`, rustls, and the programs that users run.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "tests say what must hold by failing"
)]

pub mod engine;
pub mod keys;
pub mod process;
pub mod scan;
pub mod signing;

pub use engine::{Engine, Options, Token};
