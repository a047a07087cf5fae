//! How a program talks to the Keylane engine: the wire types that both sides share, and the client.
//!
//! Invariants kept here: every wire type is plain old data of fixed size whose bytes are pinned by golden tests;
//! whoever receives one copies it first and validates the copy ([`wire`]); a status says who is to blame and whether
//! to try again ([`Status`]); a client never waits past its deadline.
//!
//! Reading order: [`wire`] (entries of the rings), [`Status`], [`Scheme`], [`control`] (messages of the socket),
//! [`mod@reference`] (the file that stands for a private key), [`config`] (where the engine is), [`client`],
//! [`mod@error`], [`mod@signature`].
#![forbid(unsafe_code)]

pub mod client;
pub mod config;
pub mod control;
pub mod error;
mod public;
pub mod reference;
mod scheme;
pub mod signature;
mod status;
pub mod wire;

pub use client::{Call, Channel, ChannelOptions, Client, Input, Key, Ticket};
pub use config::Config;
pub use error::Error;
pub use scheme::{Algorithm, Scheme};
pub use signature::Signature;
pub use status::{Blame, Retry, Status, UnknownCode};
