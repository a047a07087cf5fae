//! The operating system, behind safe interfaces: the only place of the engine with `unsafe` code.

pub mod reactor;

mod epoll;
mod uring;
