//! Clients in forked children.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod peer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use keylane_api::control::socket;
use keylane_api::{Call, ChannelOptions, Input, Scheme};

use peer::{Peer, far, key, signature};

const SCHEME: Scheme = Scheme::EcdsaP256Sha256;

/// A forked child.
struct Child(libc::pid_t);

impl Child {
    /// Runs `work` in a child.
    fn fork(work: impl FnOnce()) -> Self {
        // SAFETY: the child runs `work`, which takes no lock of the parent's threads, and exits.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            let failed = catch_unwind(AssertUnwindSafe(work)).is_err();
            // SAFETY: ends the child without the parent's exit handlers.
            unsafe { libc::_exit(i32::from(failed)) };
        }
        Self(pid)
    }

    /// Waits for its end, and says whether `work` returned.
    fn succeeded(self) -> bool {
        let mut status = 0;
        // SAFETY: it is our child, and `status` is ours.
        assert_eq!(unsafe { libc::waitpid(self.0, &raw mut status, 0) }, self.0);
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }
}

#[test]
fn a_child_has_its_own_session_and_the_parents_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let peer = Peer::honest(&path);
    let client = peer::client(&path);
    let key = client.key(&peer::selector("a"), far()).unwrap();
    let sign = |message: &[u8]| {
        let made = client.sign(&key, SCHEME, Input::Message(message), far()).unwrap();
        assert_eq!(made.raw(), signature("a", message));
    };
    sign(b"parent");
    let child = Child::fork(|| {
        sign(b"child");
        assert!(Child::fork(|| sign(b"grandchild")).succeeded());
        sign(b"child again");
    });
    sign(b"parent at the same time");
    assert!(child.succeeded());
    sign(b"parent afterwards");
    assert_eq!(peer.counts().sessions.load(Ordering::Relaxed), 3);
}

#[test]
fn a_child_finishes_on_its_own_what_it_inherited_in_flight() {
    for event_driven in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _peer = Peer::honest(&path);
        let options = ChannelOptions { event_driven, ..ChannelOptions::default() };
        let mut channel = peer::client(&path).channel(options).unwrap();
        channel.ping(b"", far()).unwrap();
        let ticket = channel.submit(Call::Ping(b"inherited"), far()).unwrap();
        let mut collect = || {
            assert!(channel.wait(far()));
            assert_eq!(channel.take(ticket).unwrap().unwrap(), b"inherited");
            assert_eq!(channel.ping(b"more", far()).unwrap(), b"more");
        };
        assert!(Child::fork(&mut collect).succeeded());
        collect();
    }
}

#[test]
fn an_event_loop_goes_on_in_a_child() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _peer = Peer::honest(&path);
    let options = ChannelOptions { event_driven: true, ..ChannelOptions::default() };
    let mut channel = peer::client(&path).channel(options).unwrap();
    channel.ping(b"", far()).unwrap();
    let mut turns = || {
        channel.turn();
        for round in 0..50_u8 {
            let ticket = channel.submit(Call::Ping(&[round]), far()).unwrap();
            while channel.take(ticket).is_none_or(|outcome| outcome.unwrap() != [round]) {
                assert!(socket::wait(channel.descriptor().unwrap(), far()).unwrap());
                channel.turn();
            }
        }
    };
    let child = Child::fork(&mut turns);
    turns();
    assert!(child.succeeded());
}

#[test]
fn children_of_busy_threads_neither_hang_nor_crash() {
    const CHILDREN: usize = 30;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _peer = Peer::honest(&path);
    let client = peer::client(&path);
    let shared = key("shared");
    let over = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (client, shared, over) = (client.clone(), shared.clone(), over.clone());
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // Signing takes the locks of handles, resolving those of the session.
                    client.sign(&shared, SCHEME, Input::Message(b"m"), far()).unwrap();
                    client.sign(&key("other"), SCHEME, Input::Message(b"m"), far()).unwrap();
                }
            })
        })
        .collect();
    for _ in 0..CHILDREN {
        let child = Child::fork(|| {
            let made = client.sign(&shared, SCHEME, Input::Message(b"child"), far()).unwrap();
            assert_eq!(made.raw(), signature("shared", b"child"));
        });
        assert!(child.succeeded());
    }
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_child_does_not_keep_its_parents_session_alive() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let peer = Peer::honest(&path);
    let client = peer::client(&path);
    client.connect().unwrap();
    let (child_waits, parent_says) = rustix::pipe::pipe().unwrap();
    let (parent_waits, child_says) = rustix::pipe::pipe().unwrap();
    let child = Child::fork(|| {
        client.connect().unwrap();
        rustix::io::write(&child_says, b"attached").unwrap();
        rustix::io::read(&child_waits, &mut [0; 1]).unwrap();
        assert!(client.key(&peer::selector("a"), far()).is_ok(), "its own lives");
    });
    rustix::io::read(&parent_waits, &mut [0; 8]).unwrap();
    assert_eq!(peer.counts().open_sessions.load(Ordering::Relaxed), 2);
    drop(client);
    while peer.counts().open_sessions.load(Ordering::Relaxed) > 1 {
        thread::yield_now();
    }
    rustix::io::write(&parent_says, b"!").unwrap();
    assert!(child.succeeded());
}
