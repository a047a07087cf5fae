//! aws-lc's allocator, directed into secret memory.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::super::heap::erase;
use super::super::secret::memory;

/// aws-lc's own allocator puts the size before each block (`OPENSSL_MALLOC_PREFIX` in crypto/mem.c).
const PREFIX_BYTES: usize = 8;

/// Whether a hook has run since it was set.
static USED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static RAN_OUT: Cell<bool> = const { Cell::new(false) };
}

/// Sets aws-lc's allocation functions, which can be done once; says whether it was early enough.
///
/// The probe: a thread's first random byte makes aws-lc allocate the thread's generator. If nothing is allocated here,
/// this thread used aws-lc before.
pub(in crate::os) fn use_secret_memory() -> bool {
    // SAFETY: the three functions have the C library's semantics and live as long as the process.
    let set = unsafe { aws_lc_sys::CRYPTO_set_mem_functions(Some(malloc), Some(realloc), Some(free)) };
    let mut byte = 0u8;
    // SAFETY: one writable byte.
    let drawn = unsafe { aws_lc_sys::RAND_bytes(&raw mut byte, 1) };
    set == 1 && drawn == 1 && USED.load(Relaxed)
}

/// Whether aws-lc was refused memory on this thread since [`forget_ran_out`]. Its own errors do not say so: they look
/// like those of a wrong key.
pub fn ran_out() -> bool {
    RAN_OUT.get()
}

/// Begins anew for [`ran_out`].
pub fn forget_ran_out() {
    RAN_OUT.set(false);
}

unsafe extern "C" fn malloc(bytes: usize, _file: *const c_char, _line: c_int) -> *mut c_void {
    USED.store(true, Relaxed);
    let block = memory().ok().and_then(|memory| memory.heap().allocate(bytes));
    if block.is_none() {
        RAN_OUT.set(true);
    }
    block.map_or(ptr::null_mut(), |block| block.as_ptr().cast())
}

unsafe extern "C" fn free(block: *mut c_void, _file: *const c_char, _line: c_int) {
    let Some(block) = NonNull::new(block.cast::<u8>()) else { return };
    match memory() {
        // SAFETY: aws-lc gives back, once, a block of this heap.
        Ok(memory) if memory.heap().contains(block.as_ptr()) => unsafe { memory.heap().free(block) },
        // SAFETY: what is not of this heap, aws-lc allocated before the hooks were set.
        _ => unsafe { free_earlier(block) },
    }
}

unsafe extern "C" fn realloc(
    block: *mut c_void,
    bytes: usize,
    file: *const c_char,
    line: c_int,
) -> *mut c_void {
    let Some(old) = NonNull::new(block.cast::<u8>()) else {
        // SAFETY: no precondition.
        return unsafe { malloc(bytes, file, line) };
    };
    let old_bytes = match memory() {
        Ok(memory) if memory.heap().contains(old.as_ptr()) => memory.heap().block_bytes(old),
        // SAFETY: as in `free`.
        _ => unsafe { earlier_bytes(old) },
    };
    if bytes <= old_bytes {
        return block;
    }
    // SAFETY: no precondition.
    let new = unsafe { malloc(bytes, file, line) };
    if !new.is_null() {
        // SAFETY: both blocks have at least `old_bytes`, and a new block overlaps no other.
        unsafe { ptr::copy_nonoverlapping(old.as_ptr(), new.cast::<u8>(), old_bytes) };
        // SAFETY: realloc(3) gives the old block up when it succeeds.
        unsafe { free(block, file, line) };
    }
    new
}

/// Where aws-lc's own allocator keeps the size of `block`.
fn prefix(block: NonNull<u8>) -> *mut usize {
    block.as_ptr().wrapping_sub(PREFIX_BYTES).cast()
}

/// Size of a block of aws-lc's own allocator.
///
/// # Safety
/// `block` is such a block.
unsafe fn earlier_bytes(block: NonNull<u8>) -> usize {
    // SAFETY: the size stands before the block, aligned like what malloc(3) returns.
    unsafe { prefix(block).read() }
}

/// Erases and frees a block of aws-lc's own allocator, as that would.
///
/// # Safety
/// `block` is such a block, and nobody uses it any more.
unsafe fn free_earlier(block: NonNull<u8>) {
    // SAFETY: the caller's promise.
    let bytes = unsafe { earlier_bytes(block) };
    // SAFETY: the block is the caller's to give up.
    unsafe { erase(block, bytes) };
    // SAFETY: malloc(3) returned the address of the prefix.
    unsafe { libc::free(prefix(block).cast()) };
}

#[cfg(test)]
mod tests;
