//! The operating system, behind safe interfaces: the only place of the engine with `unsafe` code.
//!
//! Secret memory, from the bottom: `arena` maps it, `heap` parts it, [`secret`] owns the process's one arena, [`awslc`]
//! makes aws-lc allocate from it. [`reactor`] is how the control thread waits.

pub mod awslc;
pub mod reactor;
pub mod secret;

mod arena;
mod epoll;
mod heap;
mod uring;
