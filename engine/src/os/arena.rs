//! One bounded range of memory that neither swap, nor core dumps, nor children, nor debuggers get to see.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use rustix::fd::{AsFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

use super::secret::{Protection, SecretMemoryError};

/// Guard before and after the range, and its alignment, in bytes.
pub(super) const GUARD_BYTES: usize = 16 * 1024;

/// A mapped range between two inaccessible ones. It stays mapped as long as the process lives.
#[derive(Debug)]
pub(super) struct Arena {
    start: NonNull<u8>,
    bytes: usize,
    protection: Protection,
}

// SAFETY: an `Arena` is an address range that nobody unmaps; access to it is arranged by the heap on top.
unsafe impl Send for Arena {}
// SAFETY: as above; `&Arena` gives out addresses, never references.
unsafe impl Sync for Arena {}

impl Arena {
    /// Maps `bytes` (rounded up to [`GUARD_BYTES`]) with the best protection that Linux grants, every page present.
    pub(super) fn map(bytes: usize) -> Result<Self, SecretMemoryError> {
        let bytes = bytes.max(1).next_multiple_of(GUARD_BYTES);
        Self::map_file(bytes, memfd_secret(bytes))
    }

    /// Maps `file`, or locked memory if there is none.
    fn map_file(bytes: usize, file: Result<OwnedFd, Errno>) -> Result<Self, SecretMemoryError> {
        let reservation = Reservation::new(bytes).map_err(SecretMemoryError::Map)?;
        let start = reservation.inner().map_err(SecretMemoryError::Map)?;
        let protection = match file {
            Ok(fd) => map_secret_file(start, bytes, &fd).map(|()| Protection::MemfdSecret),
            Err(_) => map_locked(start, bytes).map(|()| Protection::Mlock),
        };
        let protection = protection.map_err(|errno| match errno {
            // What mmap(2) and mlock(2) answer beyond RLIMIT_MEMLOCK.
            Errno::AGAIN | Errno::NOMEM | Errno::PERM => SecretMemoryError::memlock(bytes),
            other => SecretMemoryError::Map(other),
        })?;
        reservation.keep();
        // SAFETY: the range was just mapped readable and writable, and nobody else knows it. Touching every page now
        // means that no later write can fail for want of memory.
        unsafe { ptr::write_bytes(start.as_ptr(), 0, bytes) };
        Ok(Self { start, bytes, protection })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn protection(&self) -> Protection {
        self.protection
    }
}

/// An inaccessible range of addresses with room for an arena and its guards; unmapped unless kept.
struct Reservation {
    start: *mut c_void,
    bytes: usize,
}

impl Reservation {
    fn new(inner: usize) -> Result<Self, Errno> {
        // Linux aligns to pages only: one guard more leaves room to align to GUARD_BYTES.
        let bytes = inner + 3 * GUARD_BYTES;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new anonymous mapping at an address of Linux's choice touches nothing that exists.
        let start = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), flags) }?;
        Ok(Self { start, bytes })
    }

    /// The aligned address behind the first guard.
    fn inner(&self) -> Result<NonNull<u8>, Errno> {
        let address = self.start.addr().next_multiple_of(GUARD_BYTES) + GUARD_BYTES;
        NonNull::new(self.start.cast::<u8>().with_addr(address)).ok_or(Errno::NOMEM)
    }

    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the range is ours and nothing in it was handed out.
        let unmapped = unsafe { rustix::mm::munmap(self.start, self.bytes) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

/// A file of memory that Linux removes from its own mappings (Linux ≥ 5.14, `secretmem.enable`).
fn memfd_secret(bytes: usize) -> Result<OwnedFd, Errno> {
    let flags = libc::c_ulong::from(libc::O_CLOEXEC.cast_unsigned());
    // SAFETY: memfd_secret(2) takes one integer and touches no memory of ours. rustix does not have it.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, flags) };
    let fd = i32::try_from(fd).ok().filter(|&fd| fd >= 0).ok_or(Errno::NOSYS)?;
    // SAFETY: Linux has just given us this descriptor; nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    rustix::fs::ftruncate(&fd, bytes as u64)?;
    Ok(fd)
}

/// Maps `fd` over the reserved range. The descriptor may be closed afterwards, so that nobody maps it again.
fn map_secret_file(start: NonNull<u8>, bytes: usize, fd: &impl AsFd) -> Result<(), Errno> {
    let flags = MapFlags::SHARED | MapFlags::FIXED;
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the range is our own reservation, which nobody uses yet.
    unsafe { rustix::mm::mmap(start.as_ptr().cast(), bytes, prot, flags, fd, 0) }?;
    advise(start, bytes, Advice::LinuxDontFork)
}

/// Opens the reserved range as ordinary memory, locked, out of dumps, and zero in children.
fn map_locked(start: NonNull<u8>, bytes: usize) -> Result<(), Errno> {
    let address = start.as_ptr().cast();
    // SAFETY: the range is our own reservation, which nobody uses yet.
    unsafe { rustix::mm::mprotect(address, bytes, MprotectFlags::READ | MprotectFlags::WRITE) }?;
    advise(start, bytes, Advice::LinuxDontDump)?;
    advise(start, bytes, Advice::LinuxWipeOnFork)?;
    // SAFETY: as above; locking changes no contents.
    unsafe { rustix::mm::mlock(address, bytes) }
}

fn advise(start: NonNull<u8>, bytes: usize, advice: Advice) -> Result<(), Errno> {
    // SAFETY: the range is our own, and none of the advice used here changes its contents in this process.
    unsafe { rustix::mm::madvise(start.as_ptr().cast(), bytes, advice) }
}

#[cfg(test)]
mod tests;
