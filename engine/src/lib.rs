//! The Keylane engine: a token whose private-key operations travel through shared memory.
//!
//! # The path of one signature
//!
//! A server thread writes a submission entry into its ring and moves a cursor. The [`worker`] that owns the channel
//! sees the cursor, copies the entry out of shared memory once, and validates the copy ([`pipeline::intake`]). The
//! handle in it becomes a key of the session, policy consents to the very octets that will be signed, and a record is
//! reserved in the audit log ([`pipeline::admit`]). The operation joins others of its algorithm, from whatever process
//! ([`pipeline::batch`]); each gets its key's prepared context, pinned ([`pipeline::lookup`]), is computed
//! ([`pipeline::execute`]) and checked ([`pipeline::check`]). Only what carries the evidence of a check can be sent. The
//! audit record is filled ([`pipeline::audit`]), then the signature is pushed into the completion ring, the cursor
//! released, and the client woken if it sleeps ([`pipeline::complete`]).
//!
//! Around the workers: the [`control`] thread answers sockets and writes the audit log without ever waiting; the
//! [`keeper`] thread is the one that waits, for disks, hashes and keys, and holds the [`store`]; the [`preparer`] thread
//! makes the contexts of keys that are used for the first time.
//!
//! # Invariants
//!
//! Private keys lie in secret memory only ([`os::secret`]), also while they are used: key-handling threads run on
//! stacks in secret memory ([`threads`]). Nothing in the data plane blocks, panics, allocates or trusts its peer.
//! Bounds are constants ([`limits`]).
#![deny(unsafe_code)]

pub mod admin;
pub mod audit;
pub mod bells;
pub mod cli;
pub mod config;
pub mod contexts;
pub mod control;
pub mod counters;
pub mod crypto;
pub mod directory;
pub mod engine;
pub mod keeper;
pub mod key;
pub mod limits;
pub mod mailbox;
pub mod messages;
#[expect(
    unsafe_code,
    reason = "the room for system calls and foreign functions; each block says why it is sound"
)]
pub mod os;
pub mod pipeline;
pub mod policy;
pub mod preparer;
pub mod seat;
pub mod sessions;
pub mod store;
pub mod threads;
pub mod unlock;
pub mod worker;
