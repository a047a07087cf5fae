use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use super::{Backend, Driver, Event, FileWrite, Interest, Reactor, ReactorError, WRITES_MAX, settle};
use crate::config::ControlBackend;
use crate::os::uring::Uring;

/// Every test runs on every driver that this machine grants.
fn on_each_driver(test: impl Fn(Reactor<u32>)) {
    test(Reactor::new(ControlBackend::Epoll).unwrap());
    match Reactor::new(ControlBackend::IoUring) {
        Ok(reactor) => test(reactor),
        Err(error) => eprintln!("epoll only: {error}"),
    }
}

const LONG: Duration = Duration::from_secs(10);

/// Waits for the first events, or for none within `timeout`.
fn wait(reactor: &mut Reactor<u32>, timeout: Duration) -> Vec<Event<u32>> {
    let (mut events, deadline) = (Vec::new(), Instant::now() + timeout);
    while events.is_empty() && Instant::now() < deadline {
        reactor.wait(Some(deadline - Instant::now()), &mut events).unwrap();
    }
    events
}

fn tokens(events: Vec<Event<u32>>) -> Vec<u32> {
    let ready = |event| match event {
        Event::Ready(token) => token,
        Event::Written(..) => panic!("nothing was written"),
    };
    events.into_iter().map(ready).collect()
}

/// No token: typed, because other crates compare `u32` with their own types.
const NOTHING: [u32; 0] = [];

/// Tokens that are ready now.
fn ready(reactor: &mut Reactor<u32>) -> Vec<u32> {
    tokens(wait(reactor, Duration::from_millis(20)))
}

fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (ours, theirs)
}

#[test]
fn each_change_is_one_event() {
    on_each_driver(|mut reactor| {
        let (mut ours, mut theirs) = pair();
        let _watch = reactor.watch(ours.as_fd(), Interest::Readable, 7).unwrap();
        assert_eq!(ready(&mut reactor), NOTHING, "{}", reactor.backend());
        for round in 0..3_u8 {
            theirs.write_all(&[round]).unwrap();
            assert_eq!(tokens(wait(&mut reactor, LONG)), [7]);
            assert_eq!(ready(&mut reactor), NOTHING, "edges, not levels");
        }
        let mut octets = [0; 8];
        assert_eq!(ours.read(&mut octets).unwrap(), 3);
        drop(theirs);
        assert_eq!(tokens(wait(&mut reactor, LONG)), [7], "a hang-up");
    });
}

#[test]
fn what_is_ready_before_the_watch_begins_is_reported() {
    on_each_driver(|mut reactor| {
        let (ours, mut theirs) = pair();
        theirs.write_all(b"early").unwrap();
        let _watch = reactor.watch(ours.as_fd(), Interest::Readable, 1).unwrap();
        assert_eq!(tokens(wait(&mut reactor, LONG)), [1]);
    });
}

#[test]
fn a_full_socket_becomes_writable_again() {
    on_each_driver(|mut reactor| {
        let (mut ours, mut theirs) = pair();
        let _watch = reactor.watch(ours.as_fd(), Interest::Duplex, 3).unwrap();
        assert_eq!(tokens(wait(&mut reactor, LONG)), [3], "writable from the beginning");
        let mut sent = 0;
        loop {
            match ours.write(&[0; 4096]) {
                Ok(octets) => sent += octets,
                Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        ready(&mut reactor);
        theirs.read_exact(&mut vec![0; sent]).unwrap();
        assert_eq!(tokens(wait(&mut reactor, LONG)).first(), Some(&3));
    });
}

#[test]
fn nothing_is_heard_of_a_watch_that_ended() {
    on_each_driver(|mut reactor| {
        let (ours, mut theirs) = pair();
        let watch = reactor.watch(ours.as_fd(), Interest::Readable, 1).unwrap();
        assert_eq!(ready(&mut reactor), NOTHING);
        theirs.write_all(b"x").unwrap();
        reactor.unwatch(watch, ours.as_fd());
        assert_eq!(ready(&mut reactor), NOTHING);

        // The next watch takes the same place, and must not inherit the former one's events.
        let (next, mut peer) = pair();
        let _watch = reactor.watch(next.as_fd(), Interest::Readable, 2).unwrap();
        theirs.write_all(b"x").unwrap();
        assert_eq!(ready(&mut reactor), NOTHING);
        peer.write_all(b"x").unwrap();
        assert_eq!(tokens(wait(&mut reactor, LONG)), [2]);
        drop((ours, next));
    });
}

#[test]
fn the_descriptor_of_a_watch_that_ended_is_closed_by_dropping_it() {
    on_each_driver(|mut reactor| {
        let (ours, mut theirs) = pair();
        let watch = reactor.watch(ours.as_fd(), Interest::Duplex, 1).unwrap();
        wait(&mut reactor, LONG);
        reactor.unwatch(watch, ours.as_fd());
        drop(ours);
        ready(&mut reactor);
        theirs.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0, "end of file");
    });
}

#[test]
fn hundreds_of_descriptors_come_and_go() {
    on_each_driver(|mut reactor| {
        for round in 0..3 {
            let mut pairs: Vec<_> = (0..400).map(|_| pair()).collect();
            let watches: Vec<_> = (0..)
                .zip(&pairs)
                .map(|(token, (ours, _))| reactor.watch(ours.as_fd(), Interest::Readable, token).unwrap())
                .collect();
            assert_eq!(ready(&mut reactor), NOTHING, "round {round}");
            for (_, theirs) in pairs.iter_mut().step_by(2) {
                theirs.write_all(b"x").unwrap();
            }
            let mut heard = BTreeSet::new();
            while heard.len() < 200 {
                heard.extend(tokens(wait(&mut reactor, LONG)));
            }
            assert_eq!(heard, (0..400).step_by(2).collect());
            for (watch, (ours, _)) in watches.into_iter().zip(&pairs) {
                reactor.unwatch(watch, ours.as_fd());
            }
        }
    });
}

#[test]
fn a_watch_outlives_a_completion_queue_that_is_full() {
    let Ok(uring) = Uring::sized(4, 4) else { return };
    let mut reactor = Reactor::from(Driver::IoUring(Box::new(uring)));
    let mut pairs: Vec<_> = (0..40).map(|_| pair()).collect();
    for (token, (ours, _)) in (0..).zip(&pairs) {
        let _watch = reactor.watch(ours.as_fd(), Interest::Readable, token).unwrap();
    }
    assert_eq!(ready(&mut reactor), NOTHING);
    for round in 0..5 {
        for (_, theirs) in &mut pairs {
            theirs.write_all(b"x").unwrap();
        }
        let mut heard = BTreeSet::new();
        while heard.len() < pairs.len() {
            let more = tokens(wait(&mut reactor, LONG));
            assert!(!more.is_empty(), "round {round}: only {heard:?}");
            heard.extend(more);
        }
    }
}

#[test]
fn a_wait_ends_with_its_timeout() {
    on_each_driver(|mut reactor| {
        let (begin, timeout) = (Instant::now(), Duration::from_millis(30));
        let mut events = Vec::new();
        reactor.wait(Some(timeout), &mut events).unwrap();
        assert!(events.is_empty() && begin.elapsed() >= timeout);
        reactor.wait(Some(Duration::ZERO), &mut events).unwrap();
        assert!(events.is_empty());
    });
}

#[test]
fn it_may_be_made_on_one_thread_and_used_on_another() {
    on_each_driver(|mut reactor| {
        let (ours, mut theirs) = pair();
        let _watch = reactor.watch(ours.as_fd(), Interest::Readable, 5).unwrap();
        theirs.write_all(b"x").unwrap();
        let elsewhere = std::thread::spawn(move || tokens(wait(&mut reactor, LONG)));
        assert_eq!(elsewhere.join().unwrap(), [5]);
    });
}

/// Waits for the outcomes of this many writes.
fn all_written(reactor: &mut Reactor<u32>, count: usize) -> Vec<(FileWrite, io::Result<()>)> {
    let mut events = Vec::new();
    while events.len() < count {
        let more = wait(reactor, LONG);
        assert!(!more.is_empty(), "{} of {count} writes", events.len());
        events.extend(more);
    }
    let outcome = |event| match event {
        Event::Written(write, outcome) => (write, outcome),
        Event::Ready(token) => panic!("nothing is watched, not even {token}"),
    };
    events.into_iter().map(outcome).collect()
}

/// Waits for the outcome of one write.
fn written(reactor: &mut Reactor<u32>) -> (FileWrite, io::Result<()>) {
    let mut all = all_written(reactor, 1);
    all.pop().unwrap()
}

fn file_write(file: &File, offset: u64, bytes: Vec<u8>) -> FileWrite {
    FileWrite { file: Arc::new(file.try_clone().unwrap()), offset, bytes }
}

#[test]
fn writes_reach_the_file_at_their_offsets() {
    on_each_driver(|mut reactor| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let file = File::create_new(&path).unwrap();
        let parts: Vec<Vec<u8>> = (1..=4_u8).map(|part| vec![part; 100_000]).collect();
        for (part, offset) in parts.iter().zip((0_u64..).step_by(100_000)) {
            reactor.write(file_write(&file, offset, part.clone())).unwrap();
        }
        for (write, outcome) in all_written(&mut reactor, parts.len()) {
            outcome.unwrap();
            assert_eq!(write.bytes, parts[usize::try_from(write.offset / 100_000).unwrap()]);
        }
        assert!(std::fs::read(&path).unwrap() == parts.concat());
    });
}

#[test]
fn an_empty_write_is_an_fsync() {
    on_each_driver(|mut reactor| {
        let file = tempfile::tempfile().unwrap();
        reactor.write(file_write(&file, 0, Vec::new())).unwrap();
        written(&mut reactor).1.unwrap();
    });
}

#[test]
fn a_disk_that_is_full_is_an_error_and_the_octets_come_back() {
    on_each_driver(|mut reactor| {
        let full = File::options().write(true).open("/dev/full").unwrap();
        reactor.write(file_write(&full, 0, vec![9; 64])).unwrap();
        let (write, outcome) = written(&mut reactor);
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(write.bytes, [9; 64]);
    });
}

#[test]
fn a_write_that_cannot_be_made_whole_is_an_error() {
    // The file may not grow beyond its first page: a short write, whose rest is tried and refused.
    on_each_driver(|mut reactor| {
        let memory = memfd_create("limited", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&memory, 4096).unwrap();
        fcntl_add_seals(&memory, SealFlags::GROW).unwrap();
        let file = File::from(memory);
        reactor.write(file_write(&file, 0, vec![5; 3 * 4096])).unwrap();
        let (write, outcome) = written(&mut reactor);
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(write.bytes.len(), 3 * 4096, "all octets come back, whatever part was written");
        let mut page = [0; 4096];
        file.read_exact_at(&mut page, 0).unwrap();
        assert_eq!(page, [5; 4096]);
    });
}

#[test]
fn writes_in_flight_are_bounded() {
    on_each_driver(|mut reactor| {
        let file = tempfile::tempfile().unwrap();
        for _ in 0..WRITES_MAX {
            reactor.write(file_write(&file, 0, vec![1; 4096])).unwrap();
        }
        let (refused, error) = reactor.write(file_write(&file, 0, vec![2; 10])).unwrap_err();
        assert_eq!((error.kind(), &refused.bytes), (io::ErrorKind::WouldBlock, &vec![2; 10]));
        all_written(&mut reactor, WRITES_MAX);
        reactor.write(refused).unwrap();
        written(&mut reactor).1.unwrap();
    });
}

#[test]
fn dropping_it_in_the_middle_of_a_write_is_safe() {
    on_each_driver(|mut reactor| {
        let file = tempfile::tempfile().unwrap();
        for _ in 0..WRITES_MAX {
            reactor.write(file_write(&file, 0, vec![1; 1 << 20])).unwrap();
        }
        reactor.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap();
    });
}

#[test]
fn where_io_uring_is_denied_epoll_is_chosen_unless_the_configuration_insists() {
    for denial in [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported] {
        let driver = settle(ControlBackend::Auto, Err(denial.into())).unwrap();
        let reactor = Reactor::<u32>::from(driver);
        assert_eq!(reactor.backend(), Backend::Epoll);
        let Err(insisted) = settle(ControlBackend::IoUring, Err(denial.into())) else {
            panic!("no io_uring")
        };
        assert!(matches!(insisted, ReactorError::IoUring(_)));
        assert!(insisted.to_string().contains("control_backend = \"auto\""), "{insisted}");
    }
}
