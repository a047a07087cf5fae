//! Stacks inside secret memory.
//!
//! Whatever touches a key leaves copies in stack frames: its own, the compiler's, aws-lc's. Code that handles keys
//! therefore runs on a stack which is secret memory itself. Buffers on such a stack work with every system call that
//! copies (read, write, epoll, private futexes, io_uring without registered buffers); they do not work where Linux
//! pins the caller's pages (O_DIRECT, vmsplice, registered buffers, shared futexes). A child of fork(2) has no such
//! stack: code that runs on one must not fork.

use std::ptr::NonNull;

use corosensei::stack::{Stack, StackPointer};
use rustix::mm::MprotectFlags;

use super::heap::SLAB_BYTES;
use super::registers;
use super::secret::{SecretMemoryError, memory};

/// Inaccessible bytes below the stack. More than any frame of aws-lc, whose C code probes no pages.
const GUARD_BYTES: usize = SLAB_BYTES;

/// A stack in secret memory, with a guard below. Erased when dropped.
#[derive(Debug)]
pub struct SecretStack {
    limit: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the block belongs to this value alone; which thread runs on it does not matter.
unsafe impl Send for SecretStack {}

impl SecretStack {
    /// A stack of `bytes`, rounded up to 16 KiB.
    pub fn new(bytes: usize) -> Result<Self, SecretMemoryError> {
        let bytes = bytes.max(1).next_multiple_of(SLAB_BYTES) + GUARD_BYTES;
        let stack = Self { limit: memory()?.allocate(bytes)?, bytes };
        stack.guard(MprotectFlags::empty()).map_err(SecretMemoryError::Map)?;
        Ok(stack)
    }

    /// Runs `f` on this stack and returns what it returns. A panic of `f` goes on in the caller.
    ///
    /// `f` and its result cross the caller's own stack: they may own secret memory, but hold no key bytes themselves.
    pub fn run<R>(&mut self, f: impl FnOnce() -> R) -> R {
        corosensei::on_stack(Borrowed(self), || {
            let _wipe = registers::WipeOnDrop;
            f()
        })
    }

    fn guard(&self, access: MprotectFlags) -> rustix::io::Result<()> {
        // SAFETY: the lowest slab of our own block, which nobody uses as anything but a guard.
        unsafe { rustix::mm::mprotect(self.limit.as_ptr().cast(), GUARD_BYTES, access) }
    }
}

impl Drop for SecretStack {
    fn drop(&mut self) {
        // A guard that cannot be opened again cannot be erased either: its block stays taken.
        if let (Ok(()), Ok(memory)) = (self.guard(MprotectFlags::READ | MprotectFlags::WRITE), memory()) {
            // SAFETY: the block came from this heap, and nothing runs on it any more.
            unsafe { memory.heap().free(self.limit) };
        }
    }
}

/// The stack while something runs on it.
struct Borrowed<'a>(&'a mut SecretStack);

// SAFETY: the lowest GUARD_BYTES are inaccessible, at least one slab above is writable, and both ends are aligned to
// slabs; the borrow keeps everybody else off the stack.
unsafe impl Stack for Borrowed<'_> {
    fn base(&self) -> StackPointer {
        self.limit().saturating_add(self.0.bytes)
    }

    fn limit(&self) -> StackPointer {
        self.0.limit.addr()
    }
}

/// Runs `f` on a stack of `bytes` in secret memory, which is erased afterwards. See [`SecretStack::run`].
pub fn on_secret_stack<R>(bytes: usize, f: impl FnOnce() -> R) -> Result<R, SecretMemoryError> {
    Ok(SecretStack::new(bytes)?.run(f))
}

#[cfg(test)]
mod tests;
