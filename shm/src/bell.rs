//! The doorbell from clients to one worker: an eventfd that only clients write.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

/// A doorbell. The engine makes it, hands it over and watches it with a [`crate::Parker`]; it never reads or writes
/// it, because whoever holds it too can make either block.
#[derive(Debug)]
pub struct Bell {
    fd: OwnedFd,
}

impl Bell {
    /// A new bell.
    ///
    /// # Errors
    /// What Linux says, such as too many open descriptors.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { fd })
    }

    /// A bell received from the engine.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Rings: every call is one edge for the worker. A full counter is no error; whoever filled it shares the bell.
    ///
    /// # Errors
    /// What Linux says of the write.
    pub fn ring(&self) -> io::Result<()> {
        match rustix::io::write(&self.fd, &1_u64.to_ne_bytes()) {
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The same bell under another descriptor, to hand over.
    ///
    /// # Errors
    /// What Linux says, such as too many open descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()? })
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Bell> for OwnedFd {
    fn from(bell: Bell) -> Self {
        bell.fd
    }
}
