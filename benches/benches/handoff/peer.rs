//! The other worker: a thread of this process, or this program started again, which gets its descriptors by its
//! standard input.

use std::env;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
};
use rustix::net::{SendFlags, recvmsg, sendmsg};

use crate::ring::{Far, FarDescriptors, Waiting};

/// Set in the environment of a peer process: how it waits.
pub const VARIABLE: &str = "KEYLANE_HANDOFF_PEER";

/// Where the other worker runs.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// In this process.
    Thread,
    /// In its own.
    Process,
}

/// A peer at work.
pub enum Running {
    /// A thread.
    Thread(JoinHandle<()>),
    /// A process.
    Process(Child),
}

impl Peer {
    /// Starts the peer on the far end of a channel.
    pub fn start(self, far: FarDescriptors, waiting: Waiting) -> Running {
        match self {
            Self::Thread => Running::Thread(thread::spawn(move || Far::map(far).echo(waiting))),
            Self::Process => Running::Process(start_process(&far, waiting)),
        }
    }
}

impl Running {
    /// Waits for a peer that was stopped.
    pub fn wait(self) {
        match self {
            Self::Thread(thread) => thread.join().expect("the peer thread"),
            Self::Process(mut child) => assert!(child.wait().expect("the peer process").success()),
        }
    }
}

fn start_process(far: &FarDescriptors, waiting: Waiting) -> Child {
    let (ours, theirs) = UnixStream::pair().expect("socket pair");
    let child = Command::new(env::current_exe().expect("this program"))
        .env(VARIABLE, waiting.name())
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .expect("the peer process");
    let descriptors = far.0.each_ref().map(AsFd::as_fd);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(&ours, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::empty()).expect("socket pair");
    child
}

/// Runs the far end of the channel whose descriptors wait on standard input.
pub fn serve(waiting: Waiting) {
    let mut octet = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(rustix::stdio::stdin(), &mut [IoSliceMut::new(&mut octet)], &mut ancillary, RecvFlags::empty())
        .expect("descriptors on standard input");
    let descriptors: Vec<OwnedFd> = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    let descriptors = descriptors.try_into().expect("four descriptors");
    Far::map(FarDescriptors(descriptors)).echo(waiting);
}
