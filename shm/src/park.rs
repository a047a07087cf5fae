//! Where a worker sleeps: an edge-triggered set of doorbells.

use core::mem::MaybeUninit;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

/// Edges taken by one call. More wait for the next; epoll serves ready descriptors in turn.
const EDGES_MAX: usize = 64;

/// Doorbells of one worker. Descriptors are watched, never read or written: each write by a peer is an edge.
#[derive(Debug)]
pub struct Parker {
    epoll: OwnedFd,
}

impl Parker {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// What Linux says, such as too many open descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// Watches `fd` for becoming readable; `token` names it.
    ///
    /// # Errors
    /// What Linux says, such as a descriptor that is watched already.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        epoll::add(&self.epoll, fd, EventData::new_u64(token), EventFlags::IN | EventFlags::ET)?;
        Ok(())
    }

    /// Watches `fd` no longer. To be called before it is closed: while the peer holds it too, closing alone would
    /// leave it watched for ever.
    ///
    /// # Errors
    /// What Linux says, such as a descriptor that is not watched.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        epoll::delete(&self.epoll, fd)?;
        Ok(())
    }

    /// Sleeps until an edge, a signal or the end of `timeout` (`None`: no end), and names whose edges it took.
    ///
    /// # Errors
    /// What Linux says of the wait.
    pub fn park(&mut self, timeout: Option<Duration>, mut on_wake: impl FnMut(u64)) -> io::Result<()> {
        // Longer than Linux can express is for ever.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut edges = [const { MaybeUninit::<Event>::uninit() }; EDGES_MAX];
        match epoll::wait(&self.epoll, &mut edges, timeout.as_ref()) {
            Ok((edges, _)) => edges.iter().for_each(|edge| on_wake(edge.data.u64())),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl AsFd for Parker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
