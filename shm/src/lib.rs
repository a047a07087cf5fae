//! Shared memory between an engine and clients that it does not trust. Knows nothing of what travels in it.
//!
//! Invariants, in the order in which the modules keep them:
//!
//! - Every atomic comes from `sync`, so that loom sees each of them.
//! - Shared bytes are reached only as atomics made from raw pointers; no `&[u8]` ever covers them (`memory`).
//! - A side believes its own cursors only in private memory, and the peer's only after checking them, in release
//!   builds too (`cursor`).
//! - Each word of an entry is read at most once (`ring`): what was validated is what is used.
//! - The engine makes every region and never maps one that it received; sizes are sealed before a descriptor leaves,
//!   and what only the engine may write is sealed against everybody else's writing (`region`).
//! - Nobody sleeps on work that was published before (`channel`, `flags`; `docs/MEMORY_ORDERING.md`).
//! - The engine neither reads nor writes a descriptor that a client holds too (`bell`, `park`).
//! - A forked child neither touches nor waits for what its parent left it (`fork`).

mod sync;

mod cursor;
mod fault;
mod geometry;
mod memory;
mod ring;

mod channel;
mod flags;
mod futex;

#[cfg(not(loom))]
mod bell;
#[cfg(not(loom))]
mod fork;
#[cfg(loom)]
pub mod model;
#[cfg(not(loom))]
mod park;
#[cfg(not(loom))]
mod region;

#[cfg(not(loom))]
pub use bell::Bell;
pub use channel::{ClientChannel, EngineChannel, Woken};
pub use fault::{CursorFault, RingFault};
pub use flags::{ClientFlags, EngineFlags};
#[cfg(not(loom))]
pub use fork::{Own, PerProcess, generation};
pub use geometry::{Geometry, GeometryError};
#[cfg(not(loom))]
pub use park::Parker;
#[cfg(not(loom))]
pub use region::{ChannelDescriptors, RegionError};
pub use ring::{Consumer, Front, Producer};
