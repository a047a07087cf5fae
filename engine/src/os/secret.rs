//! The process's secret memory, and bytes in it.
//!
//! There is one arena per process, mapped by [`init`] or, with defaults, at first use. It has a fixed size: what does
//! not fit is refused with [`SecretMemoryError::Exhausted`]. Everything given back is erased at once.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::io::Errno;
use rustix::process::Resource;
use subtle::ConstantTimeEq;

mod boxed;

pub use boxed::SecretBox;

use super::arena::Arena;
use super::awslc;
use super::heap::Heap;

/// Secret memory that an engine takes if the limits of its process allow, in bytes.
const BYTES_WANTED: usize = 64 << 20;
/// The least with which an engine is worth starting: stacks of a few workers and some hundred keys.
const BYTES_LEAST: usize = 4 << 20;
/// Part of RLIMIT_MEMLOCK that is left to others, such as io_uring on old kernels, in bytes.
const MEMLOCK_LEFT: usize = 512 << 10;

/// How well secret memory is protected; the better is the greater.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum Protection {
    /// Locked against swapping, left out of core dumps, zero in children. Root can still read it.
    Mlock,
    /// `memfd_secret(2)`: out of Linux's own mappings too; no debugger, core dump, swap or child reaches it.
    MemfdSecret,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mlock => "mlock",
            Self::MemfdSecret => "memfd_secret",
        })
    }
}

/// What [`init`] is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct SecretOptions {
    /// Size in bytes; by default as much as `RLIMIT_MEMLOCK` allows, at most 64 MiB.
    pub bytes: Option<usize>,
    /// Refuse anything less.
    pub require: Option<Protection>,
}

/// State of the process's secret memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The protection that Linux granted.
    pub protection: Protection,
    /// Size in bytes.
    pub bytes: usize,
    /// Bytes in use, in steps of 16 KiB.
    pub used_bytes: usize,
}

/// Why there is no secret memory, or no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretMemoryError {
    /// The process may not lock so much memory.
    #[error(
        "secret memory needs {} KiB of locked memory, but RLIMIT_MEMLOCK is {} KiB: raise it (LimitMEMLOCK= in \
         systemd, `ulimit -l` in a shell, --ulimit memlock= in a container) or lower secret_memory_mib",
        .needed >> 10, .limit >> 10
    )]
    MemlockTooSmall {
        /// Bytes asked for.
        needed: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// More than the machine can spare.
    #[error(
        "secret memory of {} MiB would take more than half of this machine's memory ({} MiB at most): lower \
         secret_memory_mib",
        .needed >> 20, .most >> 20
    )]
    TooLarge {
        /// Bytes asked for.
        needed: usize,
        /// Most that is accepted, in bytes.
        most: usize,
    },
    /// Less protection than required.
    #[error(
        "secret memory is protected by {reached} only, but {required} is required: use Linux 5.14 or newer with \
         secretmem.enable=1, or lower require_protection"
    )]
    Protection {
        /// What was asked for.
        required: Protection,
        /// What Linux granted.
        reached: Protection,
    },
    /// All of it is in use.
    #[error(
        "secret memory is full: {requested} bytes do not fit into its {} KiB; raise secret_memory_mib, and with it \
         LimitMEMLOCK= or `ulimit -l`",
        .bytes >> 10
    )]
    Exhausted {
        /// Bytes asked for.
        requested: usize,
        /// Size of secret memory in bytes.
        bytes: usize,
    },
    /// aws-lc already allocates elsewhere: its keys would be in ordinary memory.
    #[error(
        "aws-lc allocated memory before secret memory was set up; secret memory must be initialised first"
    )]
    AllocatorTooLate,
    /// Linux refused to map it.
    #[error("secret memory cannot be mapped: {0}")]
    Map(Errno),
}

impl SecretMemoryError {
    pub(super) fn memlock(needed: usize) -> Self {
        Self::MemlockTooSmall { needed, limit: memlock_limit() }
    }
}

/// The arena and the heap over it.
pub(super) struct SecretMemory {
    arena: Arena,
    heap: Heap,
    /// Whether all that aws-lc allocates is in here.
    aws_lc: OnceLock<bool>,
}

static MEMORY: OnceLock<SecretMemory> = OnceLock::new();
static SETTING_UP: Mutex<()> = Mutex::new(());

/// Maps secret memory and makes aws-lc allocate from it. To be called before anything else touches aws-lc.
///
/// A process has one arena: a later call keeps the size of the first and only checks `require`.
///
/// # Errors
/// As the variants of [`SecretMemoryError`] say.
pub fn init(options: SecretOptions) -> Result<Report, SecretMemoryError> {
    let memory = set_up(options.bytes)?;
    if memory.aws_lc.get() != Some(&true) {
        return Err(SecretMemoryError::AllocatorTooLate);
    }
    let reached = memory.arena.protection();
    match options.require {
        Some(required) if reached < required => Err(SecretMemoryError::Protection { required, reached }),
        _ => Ok(memory.report()),
    }
}

/// State of secret memory, which is set up with defaults if it was not yet.
pub fn report() -> Result<Report, SecretMemoryError> {
    Ok(memory()?.report())
}

pub(super) fn memory() -> Result<&'static SecretMemory, SecretMemoryError> {
    match MEMORY.get() {
        Some(memory) => Ok(memory),
        None => set_up(None),
    }
}

fn set_up(bytes: Option<usize>) -> Result<&'static SecretMemory, SecretMemoryError> {
    let _guard = SETTING_UP.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(memory) = MEMORY.get() {
        return Ok(memory);
    }
    let needed = bytes.unwrap_or_else(default_bytes);
    let most = half_of_memory();
    if needed > most {
        return Err(SecretMemoryError::TooLarge { needed, most });
    }
    let arena = Arena::map(needed)?;
    // SAFETY: the arena is fresh, so its bytes are zero and nobody uses them; it is aligned, and never unmapped.
    let heap = unsafe { Heap::new(arena.start(), arena.bytes()) };
    let memory = MEMORY.get_or_init(|| SecretMemory { arena, heap, aws_lc: OnceLock::new() });
    // The hook needs the memory in place, so its outcome is noted afterwards.
    memory.aws_lc.get_or_init(awslc::use_secret_memory);
    Ok(memory)
}

/// Size of secret memory if none is asked for: what fits under `RLIMIT_MEMLOCK`, within reason. Below the least, Linux decides: root needs no limit.
pub fn default_bytes() -> usize {
    memlock_limit().saturating_sub(MEMLOCK_LEFT).clamp(BYTES_LEAST, BYTES_WANTED)
}

fn memlock_limit() -> usize {
    let limit = rustix::process::getrlimit(Resource::Memlock).current;
    limit.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// All of it is present and locked from the start, so that a slip of some digits would take the machine down.
fn half_of_memory() -> usize {
    let info = rustix::system::sysinfo();
    let bytes = u128::from(info.totalram) * u128::from(info.mem_unit) / 2;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl SecretMemory {
    pub(super) fn heap(&self) -> &Heap {
        &self.heap
    }

    pub(super) fn allocate(&self, bytes: usize) -> Result<NonNull<u8>, SecretMemoryError> {
        let exhausted = SecretMemoryError::Exhausted { requested: bytes, bytes: self.arena.bytes() };
        self.heap.allocate(bytes).ok_or(exhausted)
    }

    fn report(&self) -> Report {
        Report {
            protection: self.arena.protection(),
            bytes: self.arena.bytes(),
            used_bytes: self.heap.used_bytes(),
        }
    }
}

/// Bytes in secret memory: of fixed length, erased when dropped, never printed.
pub struct SecretBytes {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the block belongs to this value alone, like a `Box<[u8]>`.
unsafe impl Send for SecretBytes {}
// SAFETY: as above.
unsafe impl Sync for SecretBytes {}

impl SecretBytes {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Result<Self, SecretMemoryError> {
        Ok(Self { start: memory()?.allocate(len)?, len })
    }

    /// A copy of `bytes`. Erasing the original is the caller's affair.
    pub fn copy_from(bytes: &[u8]) -> Result<Self, SecretMemoryError> {
        let mut copy = Self::zeroed(bytes.len())?;
        copy.copy_from_slice(bytes);
        Ok(copy)
    }

    /// A second copy.
    pub fn try_clone(&self) -> Result<Self, SecretMemoryError> {
        Self::copy_from(self)
    }

    /// Shortens to the first `len` bytes and erases the rest; does nothing if there are no more than that.
    pub fn truncate(&mut self, len: usize) {
        if let Some(rest) = self.get_mut(len..) {
            zeroize::Zeroize::zeroize(rest);
            self.len = len;
        }
    }
}

impl Deref for SecretBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the block has at least `len` initialised bytes and lives as long as `self`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for SecretBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes the access unique.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        if let Some(memory) = MEMORY.get() {
            // SAFETY: the block came from this heap in `zeroed` and nobody can reach it any more.
            unsafe { memory.heap.free(self.start) };
        }
    }
}

/// Constant time in the contents; the lengths are no secret.
impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests;
