//! A client that does to its descriptors what Linux lets it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::disallowed_types, reason = "a flag between a test's own threads")]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use keylane_shm::{
    Bell, ClientChannel, ClientFlags, EngineChannel, EngineFlags, Geometry, Parker, RegionError,
};
use memmap2::MmapOptions;
use raw::Stop;
use rustix::fs::{
    FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, fallocate, fchmod, fcntl_add_seals, fcntl_getfl,
    fcntl_setfl, fstat, ftruncate, memfd_create, open,
};
use rustix::io::{Errno, FdFlags, fcntl_getfd, pwrite, read, write};
use rustix::mm::{MprotectFlags, mprotect};

mod raw;

fn geometry() -> Geometry {
    Geometry::new(8, 64, 64).unwrap()
}

/// A descriptor of each kind of region that leaves the engine, and whether a client may write there. The engine's
/// ends live as long as the closure runs.
fn for_each_region(check: impl Fn(&OwnedFd, bool)) {
    let (_channel, descriptors) = EngineChannel::create(geometry()).unwrap();
    let (_flags, page) = EngineFlags::create(3).unwrap();
    check(&descriptors.submission, true);
    check(&descriptors.completion, false);
    check(&page, false);
}

#[test]
fn no_region_changes_its_size_or_its_seals() {
    for_each_region(|fd, _| {
        let bytes = fstat(fd).unwrap().st_size.cast_unsigned();
        for size in [0, 1, bytes - 1, bytes + 1, 1 << 30] {
            assert!(ftruncate(fd, size).is_err(), "{size}");
        }
        assert!(fallocate(fd, FallocateFlags::empty(), bytes, 4096).is_err());
        assert!(write_at(fd, bytes).is_err(), "a write does not grow it");
        for seal in [SealFlags::WRITE, SealFlags::FUTURE_WRITE, SealFlags::SHRINK] {
            assert_eq!(fcntl_add_seals(fd, seal), Err(Errno::PERM));
        }
        assert_eq!(fstat(fd).unwrap().st_size.cast_unsigned(), bytes);
    });
}

#[test]
fn no_region_becomes_executable() {
    if memfd_create("probe", MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL).is_err() {
        eprintln!("Linux before 6.3 has no seal for it");
        return;
    }
    for_each_region(|fd, _| {
        assert_eq!(fstat(fd).unwrap().st_mode & 0o111, 0);
        assert_eq!(fchmod(fd, Mode::RWXU), Err(Errno::PERM));
    });
}

#[test]
fn no_descriptor_survives_an_exec_unasked() {
    for_each_region(|fd, _| assert!(fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC)));
    let (bell, parker) = (Bell::new().unwrap(), Parker::new().unwrap());
    for fd in [bell.as_fd(), bell.try_clone().unwrap().as_fd(), parker.as_fd()] {
        assert!(fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC));
    }
}

#[test]
fn nobody_but_the_engine_writes_what_the_engine_writes() {
    for_each_region(|fd, writable| {
        assert_eq!(write_at(fd, 0).is_ok(), writable);
        assert_eq!(MmapOptions::new().map_raw(fd.as_raw_fd()).is_ok(), writable);
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        assert_eq!(fallocate(fd, hole, 0, 4096).is_ok(), writable);
        let mapping = MmapOptions::new().map_raw_read_only(fd.as_raw_fd()).unwrap();
        let writing = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the range is that of a mapping of this test, which nothing else uses.
        let protected = unsafe { mprotect(mapping.as_mut_ptr().cast(), mapping.len(), writing) };
        assert_eq!(protected.is_ok(), writable);
    });
}

/// A descriptor opens its region again under `/proc`, for whoever the region's mode lets.
#[test]
fn the_engines_region_of_a_channel_is_opened_again_by_nobody_but_its_owner() {
    let (_channel, descriptors) = EngineChannel::create(geometry()).unwrap();
    assert_eq!(fstat(&descriptors.completion).unwrap().st_mode & 0o777, 0);
    let (_flags, page) = EngineFlags::create(3).unwrap();
    // Not even by the owner: what everybody reads is sealed.
    let reopened = open(format!("/proc/self/fd/{}", page.as_raw_fd()), OFlags::RDWR, Mode::empty()).unwrap();
    assert!(write_at(&reopened, 0).is_err());
}

/// I2. A client that keeps its descriptors keeps a page of each region, not the rings.
#[test]
fn the_memory_of_a_retired_channel_is_given_back_whoever_holds_it() {
    let geometry = Geometry::new(1024, 256, 640).unwrap();
    let (mut channel, descriptors) = EngineChannel::create(geometry).unwrap();
    let regions = [&descriptors.submission, &descriptors.completion];
    let held = |fd: &OwnedFd| fstat(fd).unwrap().st_blocks * 512;
    let mapped = regions.map(|fd| MmapOptions::new().populate().map_raw_read_only(fd.as_raw_fd()).unwrap());
    assert!(regions.into_iter().all(|fd| held(fd) >= 1024 * 256));
    channel.retire();
    let page = i64::try_from(rustix::param::page_size()).unwrap();
    assert_eq!(regions.map(held), [page; 2]);
    drop(mapped);
}

fn write_at(fd: &OwnedFd, offset: u64) -> Result<usize, Errno> {
    pwrite(fd, &[0; 8], offset)
}

#[test]
fn file_flags_of_a_region_mean_nothing_to_the_engine() {
    let (mut engine, descriptors) = EngineChannel::create(geometry()).unwrap();
    for fd in [&descriptors.submission, &descriptors.completion] {
        for flags in [OFlags::NONBLOCK, OFlags::APPEND, OFlags::NOATIME, OFlags::empty()] {
            fcntl_setfl(fd, flags).unwrap();
        }
    }
    let mut client = ClientChannel::map(geometry(), descriptors).unwrap();
    client.submissions().push(&[5]).unwrap();
    client.submissions().publish();
    let mut out = [0];
    assert!(engine.submissions().pop(&mut out).unwrap());
    assert_eq!(out, [5]);
}

#[test]
fn regions_without_the_seals_are_not_accepted() {
    let lines = 3 * 128;
    let unsealed = memfd_create("unsealed", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&unsealed, lines).unwrap();
    let sealed = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL | SealFlags::FUTURE_WRITE;
    let refused = ClientFlags::map(unsealed.try_clone().unwrap());
    assert!(matches!(refused, Err(RegionError::Unsealed { missing }) if missing == sealed.bits()));
    fcntl_add_seals(&unsealed, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    let refused = ClientFlags::map(unsealed.try_clone().unwrap());
    let missing_now = (SealFlags::SEAL | SealFlags::FUTURE_WRITE).bits();
    assert!(matches!(refused, Err(RegionError::Unsealed { missing }) if missing == missing_now));
    fcntl_add_seals(&unsealed, sealed).unwrap();
    assert!(ClientFlags::map(unsealed).is_ok());
}

#[test]
fn a_bell_in_any_state_neither_blocks_the_worker_nor_silences_others() {
    let (hostile, honest) = (Bell::new().unwrap(), Bell::new().unwrap());
    let mut parker = Parker::new().unwrap();
    parker.add(hostile.as_fd(), 1).unwrap();
    parker.add(honest.as_fd(), 2).unwrap();
    let mut edges = || {
        honest.ring().unwrap();
        let mut edges = Vec::new();
        parker.park(Some(Duration::from_secs(20)), |token| edges.push(token)).unwrap();
        edges.sort_unstable();
        edges
    };
    fcntl_setfl(&hostile, fcntl_getfl(&hostile).unwrap() - OFlags::NONBLOCK).unwrap();
    assert_eq!(edges(), [2], "blocking");
    write(&hostile, &(u64::MAX - 1).to_ne_bytes()).unwrap();
    assert_eq!(edges(), [1, 2], "full: whoever writes it next would block");
    read(&hostile, &mut [0; 8]).unwrap();
    assert_eq!(edges(), [2], "drained: whoever reads it next would block");
    hostile.ring().unwrap();
    assert_eq!(edges(), [1, 2], "its edges go on");
}

#[test]
fn a_full_bell_does_not_fail_an_honest_ring() {
    let bell = Bell::new().unwrap();
    write(&bell, &(u64::MAX - 1).to_ne_bytes()).unwrap();
    bell.ring().unwrap();
}

#[test]
fn a_flood_does_not_starve_another_bell() {
    let (flood, quiet) = (Bell::new().unwrap(), Bell::new().unwrap());
    let mut parker = Parker::new().unwrap();
    parker.add(flood.as_fd(), 1).unwrap();
    parker.add(quiet.as_fd(), 2).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                flood.ring().unwrap();
            }
        });
        let _stop = Stop(&done);
        for _ in 0..1_000 {
            quiet.ring().unwrap();
            let mut heard = false;
            let mut parks = 0;
            while !heard {
                let mut edges = 0;
                parker
                    .park(Some(Duration::from_secs(20)), |token| {
                        heard |= token == 2;
                        edges += 1;
                    })
                    .unwrap();
                assert!(edges <= 2, "one edge a bell, however often it rang");
                parks += 1;
                assert!(parks <= 2, "epoll serves bells in turn");
            }
        }
    });
}

#[test]
fn a_bell_closed_by_the_worker_first_is_heard_no_more() {
    let bell = Bell::new().unwrap();
    let clients = bell.try_clone().unwrap();
    let mut parker = Parker::new().unwrap();
    parker.add(bell.as_fd(), 1).unwrap();
    parker.remove(bell.as_fd()).unwrap();
    drop(bell);
    clients.ring().unwrap();
    parker.park(Some(Duration::ZERO), |token| panic!("heard {token}")).unwrap();
}
