//! Making, sealing and receiving the memory that a channel or the flag page lies in.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::fs::{
    FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, fallocate, fchmod, fcntl_add_seals, fcntl_get_seals,
    fstat, memfd_create, open,
};
use rustix::io::{Errno, pwrite};

use crate::channel::{ClientChannel, EngineChannel};
use crate::flags::{ClientFlags, EngineFlags};
use crate::geometry::{CHANNEL_LINES_FIRST, Geometry};
use crate::memory::{Layout, Line, Memory};

/// Nobody changes the size, nor these seals.
const SIZED: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);
/// And nobody writes who has not mapped it yet. Neither can the engine give the pages back then, so this is for what
/// lives as long as the engine.
const ENGINE_WRITES: SealFlags = SIZED.union(SealFlags::FUTURE_WRITE);

/// What the engine hands to the client with a channel.
#[derive(Debug)]
pub struct ChannelDescriptors {
    /// Region that the client writes.
    pub submission: OwnedFd,
    /// Region that the engine writes.
    pub completion: OwnedFd,
}

impl EngineChannel {
    /// Makes both regions of a channel, maps them and seals them.
    ///
    /// # Errors
    /// Which step failed, and what Linux said.
    pub fn create(geometry: Geometry) -> Result<(Self, ChannelDescriptors), RegionError> {
        let layout = geometry.submission().layout();
        let submission = allocate(c"keylane-submissions", layout, &CHANNEL_LINES_FIRST)?;
        let client = map_reading(&submission, layout)?;
        seal(&submission, SIZED)?;

        let layout = geometry.completion().layout();
        let writable = allocate(c"keylane-completions", layout, &CHANNEL_LINES_FIRST)?;
        let engine = map_writing(&writable, layout)?;
        seal(&writable, SIZED)?;
        let completion = for_reading_only(&writable)?;

        let channel = Self::new(geometry, Arc::new(client), Arc::new(engine));
        Ok((channel, ChannelDescriptors { submission, completion }))
    }
}

impl ClientChannel {
    /// Maps a channel received from the engine. A forked child does not inherit the mappings.
    ///
    /// # Errors
    /// The regions are not what the geometry says, can still change, or cannot be mapped.
    pub fn map(geometry: Geometry, descriptors: ChannelDescriptors) -> Result<Self, RegionError> {
        let ChannelDescriptors { submission, completion } = descriptors;
        let layout = geometry.submission().layout();
        expect_bytes(&submission, layout.bytes())?;
        expect_seals(&submission, SIZED)?;
        let client = keep_from_children(map_writing(&submission, layout)?)?;

        let layout = geometry.completion().layout();
        expect_bytes(&completion, layout.bytes())?;
        expect_seals(&completion, SIZED)?;
        let engine = keep_from_children(map_reading(&completion, layout)?)?;

        Ok(Self::new(geometry, Arc::new(client), Arc::new(engine)))
    }
}

impl EngineFlags {
    /// Makes a page with a sleep word for each of `workers`. Copies of the descriptor go to every client.
    ///
    /// # Errors
    /// Which step failed, and what Linux said.
    pub fn create(workers: usize) -> Result<(Self, OwnedFd), RegionError> {
        let layout = Layout { lines: workers, words: 0 };
        let fd = allocate(c"keylane-flags", layout, &[])?;
        let page = map_writing(&fd, layout)?;
        seal(&fd, ENGINE_WRITES)?;
        Ok((Self::new(Arc::new(page)), fd))
    }
}

impl ClientFlags {
    /// Maps a flag page received from the engine. A forked child does not inherit the mapping.
    ///
    /// # Errors
    /// The page holds no word, can still change, or cannot be mapped.
    #[expect(clippy::needless_pass_by_value, reason = "the mapping replaces the descriptor")]
    pub fn map(fd: OwnedFd) -> Result<Self, RegionError> {
        expect_seals(&fd, ENGINE_WRITES)?;
        let layout = Layout { lines: bytes_of(&fd)? / size_of::<Line>(), words: 0 };
        let page = keep_from_children(map_reading(&fd, layout)?)?;
        Ok(Self::new(Arc::new(page)))
    }
}

/// A memfd with all its pages present, its first lines holding `first` and everything else zero.
fn allocate(name: &std::ffi::CStr, layout: Layout, first: &[u32]) -> Result<OwnedFd, RegionError> {
    let fd = create_memfd(name).map_err(RegionError::Create)?;
    fallocate(&fd, FallocateFlags::empty(), 0, layout.bytes() as u64)
        .map_err(|source| RegionError::Allocate { bytes: layout.bytes(), source: source.into() })?;
    for (line, word) in first.iter().enumerate() {
        pwrite(&fd, &word.to_ne_bytes(), (line * size_of::<Line>()) as u64)
            .map_err(|source| RegionError::Allocate { bytes: layout.bytes(), source: source.into() })?;
    }
    Ok(fd)
}

/// The same region for whoever may only read it. Nobody else gets at it by its name in `/proc`, except its owner and
/// root.
fn for_reading_only(fd: &OwnedFd) -> Result<OwnedFd, RegionError> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let reading = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let reading = reading.map_err(|source| RegionError::Restrict(source.into()))?;
    fchmod(fd, Mode::empty()).map_err(|source| RegionError::Restrict(source.into()))?;
    Ok(reading)
}

fn create_memfd(name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3.
        Err(Errno::INVAL) => Ok(memfd_create(name, flags)?),
        made => Ok(made?),
    }
}

fn seal(fd: &OwnedFd, seals: SealFlags) -> Result<(), RegionError> {
    fcntl_add_seals(fd, seals).map_err(|source| RegionError::Seal(source.into()))
}

fn map_writing(fd: &OwnedFd, layout: Layout) -> Result<Memory, RegionError> {
    map(layout, |options| options.map_raw(fd))
}

fn map_reading(fd: &OwnedFd, layout: Layout) -> Result<Memory, RegionError> {
    map(layout, |options| options.map_raw_read_only(fd))
}

fn map(
    layout: Layout,
    with: impl FnOnce(&MmapOptions) -> io::Result<MmapRaw>,
) -> Result<Memory, RegionError> {
    let mapping = with(MmapOptions::new().len(layout.bytes()).populate()).map_err(RegionError::Map)?;
    Ok(Memory::new(mapping, layout))
}

fn keep_from_children(memory: Memory) -> Result<Memory, RegionError> {
    memory.advise(Advice::DontFork).map_err(RegionError::Map)?;
    Ok(memory)
}

fn bytes_of(fd: &OwnedFd) -> Result<usize, RegionError> {
    let stat = fstat(fd).map_err(|source| RegionError::Inspect(source.into()))?;
    // A size is not negative; what does not fit is not what anybody expects.
    Ok(usize::try_from(stat.st_size).unwrap_or(usize::MAX))
}

fn expect_bytes(fd: &OwnedFd, expected: usize) -> Result<(), RegionError> {
    match bytes_of(fd)? {
        bytes if bytes == expected => Ok(()),
        bytes => Err(RegionError::Size { bytes, expected }),
    }
}

fn expect_seals(fd: impl AsFd, expected: SealFlags) -> Result<(), RegionError> {
    let seals = seals_of(fd.as_fd())?;
    if seals.contains(expected) {
        Ok(())
    } else {
        Err(RegionError::Unsealed { missing: (expected - seals).bits() })
    }
}

/// Only a memfd has seals; anything else could be truncated under the mapping.
fn seals_of(fd: BorrowedFd<'_>) -> Result<SealFlags, RegionError> {
    fcntl_get_seals(fd).map_err(|source| RegionError::Inspect(source.into()))
}

/// Why a region was not made or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum RegionError {
    /// No memfd.
    #[error("cannot create a shared-memory region: {0}")]
    Create(#[source] io::Error),
    /// No memory for it.
    #[error("cannot allocate {bytes} octets of shared memory: {source}")]
    Allocate {
        /// Octets of the region.
        bytes: usize,
        /// What Linux said.
        source: io::Error,
    },
    /// Not mapped.
    #[error("cannot map a shared-memory region: {0}")]
    Map(#[source] io::Error),
    /// Not sealed.
    #[error("cannot seal a shared-memory region: {0}")]
    Seal(#[source] io::Error),
    /// No descriptor that can only read.
    #[error("cannot open a shared-memory region for reading only (is /proc mounted?): {0}")]
    Restrict(#[source] io::Error),
    /// What was received has no size or no seals: no memfd.
    #[error("a received descriptor is no shared-memory region: {0}")]
    Inspect(#[source] io::Error),
    /// What was received has another size.
    #[error("a received region has {bytes} octets instead of {expected}")]
    Size {
        /// Its size.
        bytes: usize,
        /// Size by its geometry.
        expected: usize,
    },
    /// What was received may still change.
    #[error("a received region lacks seals {missing:#x}")]
    Unsealed {
        /// Missing `F_SEAL_*` bits.
        missing: u32,
    },
}
