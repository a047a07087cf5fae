//! Bounded hand-off between the engine's threads: a lock-free queue and a bell for a sleeping receiver.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crossbeam::queue::ArrayQueue;
use keylane_shm::Bell;

/// A bounded queue whose receiver may sleep on a descriptor.
pub struct Mailbox<T> {
    queue: ArrayQueue<T>,
    bell: Bell,
}

impl<T> Mailbox<T> {
    /// A mailbox for `capacity` messages.
    ///
    /// # Errors
    /// When the bell's descriptor cannot be made.
    pub fn new(capacity: usize) -> io::Result<Self> {
        Ok(Self { queue: ArrayQueue::new(capacity), bell: Bell::new()? })
    }

    /// Sends a message and rings; gives the message back when the mailbox is full.
    pub fn send(&self, message: T) -> Result<(), T> {
        self.queue.push(message)?;
        self.ring();
        Ok(())
    }

    /// The oldest message, if any.
    pub fn receive(&self) -> Option<T> {
        self.queue.pop()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Wakes the receiver, with or without a message.
    pub fn ring(&self) {
        // Only a full counter can refuse the write, and a full counter wakes as well.
        let _ = self.bell.ring();
    }
}

impl<T> AsFd for Mailbox<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
