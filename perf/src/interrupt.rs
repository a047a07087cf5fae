//! SIGINT, SIGTERM and SIGHUP as an event which every wait of the main thread watches.
//!
//! The signals do not end the process: a wait returns [`Failure::Interrupted`], and what the verb had built is taken
//! down on the way out like after any other failure.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::Failure;

/// The signals, from [`Interrupt::install`] on.
#[derive(Debug)]
pub struct Interrupt {
    /// Readable from the first signal on, for ever.
    pipe: UnixStream,
    /// The latest signal's number.
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Takes the signals over.
    pub fn install() -> io::Result<Self> {
        let (pipe, bell) = UnixStream::pair()?;
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: whoever hears the bell finds the number.
            signal_hook::flag::register_usize(
                number,
                Arc::clone(&signal),
                usize::try_from(number).unwrap_or(0),
            )?;
            signal_hook::low_level::pipe::register(number, bell.try_clone()?)?;
        }
        Ok(Self { pipe, signal })
    }

    /// Waits until `descriptor` is readable or at its end: whether it was within `patience`.
    pub fn wait(&self, descriptor: BorrowedFd<'_>, patience: Duration) -> Result<bool, Failure> {
        let end = Instant::now() + patience;
        let watched = [descriptor, self.pipe.as_fd()];
        let mut polled = watched.map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
        loop {
            let left = Timespec::try_from(end.saturating_duration_since(Instant::now())).ok();
            match poll(&mut polled, left.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                outcome => {
                    let ready = outcome.map_err(Failure::system("wait"))?;
                    return self.check().map(|()| ready > 0);
                }
            }
        }
    }

    /// Fails if a signal came.
    pub fn check(&self) -> Result<(), Failure> {
        match i32::try_from(self.signal.load(Ordering::SeqCst)) {
            Ok(0) | Err(_) => Ok(()),
            Ok(signal) => Err(Failure::Interrupted(signal)),
        }
    }
}
