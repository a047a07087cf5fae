//! The operating system, behind safe interfaces: the only place of the engine with `unsafe` code.
//!
//! Secret memory, from the bottom: `arena` maps it, `heap` parts it, [`secret`] owns the process's one arena, [`awslc`]
//! makes aws-lc allocate from it, [`stack`] runs code on it, [`registers`] forgets what that code computed.
//! [`bignum`], [`kdf`] and [`keypair`] are aws-lc where aws-lc-rs would copy secrets to the ordinary heap. [`process`]
//! hardens the process around it. [`reactor`] is how the control thread waits, [`socket`] how it talks.

pub mod awslc;
pub mod bignum;
pub mod kdf;
pub mod keypair;
pub mod process;
pub mod reactor;
pub mod registers;
pub mod secret;
pub mod socket;
pub mod stack;

mod arena;
mod epoll;
mod heap;
mod uring;

#[cfg(test)]
pub(crate) use heap::record as heap_record;
#[cfg(test)]
pub(crate) mod own_process;
