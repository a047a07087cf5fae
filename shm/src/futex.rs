//! Waiting for a word of shared memory to change.

#[cfg(not(loom))]
pub(crate) use linux::{wait, wake};
#[cfg(loom)]
pub(crate) use modelled::{wait, wake};

#[cfg(not(loom))]
mod linux {
    use std::io;
    use std::thread;
    use std::time::Duration;

    use rustix::io::Errno;
    use rustix::thread::futex::{self, Flags, Timespec};

    use crate::sync::SharedU32;

    /// How long one wait takes where a sandbox denies futexes.
    const DENIED_WAIT: Duration = Duration::from_micros(50);

    /// Sleeps while `word` holds `expected`, at most `timeout`; may return early. `true` when the time was up.
    pub(crate) fn wait(word: &SharedU32, expected: u32, timeout: Duration) -> bool {
        // Longer than Linux can express is for ever.
        let timespec = Timespec::try_from(timeout).ok();
        match futex::wait(word.as_futex(), Flags::empty(), expected, timespec.as_ref()) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => false,
            Err(Errno::TIMEDOUT) => true,
            Err(_) => {
                thread::sleep(DENIED_WAIT.min(timeout));
                timeout <= DENIED_WAIT
            }
        }
    }

    /// Wakes one sleeper. Only one: how many there are is the peer's choice, and so would be our time.
    pub(crate) fn wake(word: &SharedU32) -> io::Result<()> {
        futex::wake(word.as_futex(), Flags::empty(), 1)?;
        Ok(())
    }
}

#[cfg(loom)]
mod modelled {
    use std::io;
    use std::time::Duration;

    use loom::sync::{Condvar, Mutex};

    use crate::sync::SharedU32;

    loom::lazy_static! {
        /// Linux compares and queues under the lock of a hash bucket; one bucket serves a model.
        static ref BUCKET: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    }

    /// Sleeps while `word` holds `expected`. Time does not pass in a model: a lost wake-up is a deadlock.
    pub(crate) fn wait(word: &SharedU32, expected: u32, _timeout: Duration) -> bool {
        let bucket = BUCKET.0.lock().unwrap();
        if word.load() == expected {
            drop(BUCKET.1.wait(bucket).unwrap());
        }
        false
    }

    /// Wakes every sleeper of the bucket: early returns are allowed.
    pub(crate) fn wake(_word: &SharedU32) -> io::Result<()> {
        drop(BUCKET.0.lock().unwrap());
        BUCKET.1.notify_all();
        Ok(())
    }
}
