//! Doorbells of one worker's sessions. The worker waits on them, edge-triggered, and never reads or writes them: a
//! descriptor that a client holds can be made to block either way.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use keylane_shm::Parker;

use crate::limits::EMPTY_BELLS_MAX;

/// How long rings that brought nothing are counted together, and how long a session that rang too often is polled.
const WINDOW: Duration = Duration::from_secs(1);

struct Doorbell {
    descriptor: OwnedFd,
    empty: u32,
    window_ends: Instant,
    muted: bool,
}

/// The doorbells that can wake a worker.
#[derive(Default)]
pub struct Bells {
    bells: HashMap<u32, Doorbell>,
    muted: usize,
}

impl Bells {
    /// Waits for this session's doorbell from now on.
    pub fn add(&mut self, parker: &Parker, session: u32, descriptor: OwnedFd) -> io::Result<()> {
        parker.add(descriptor.as_fd(), token(session))?;
        let bell = Doorbell { descriptor, empty: 0, window_ends: Instant::now() + WINDOW, muted: false };
        self.bells.insert(session, bell);
        Ok(())
    }

    /// Forgets a session's doorbell.
    pub fn remove(&mut self, parker: &Parker, session: u32) {
        let Some(bell) = self.bells.remove(&session) else { return };
        if bell.muted {
            self.muted -= 1;
        } else if let Err(cause) = parker.remove(bell.descriptor.as_fd()) {
            tracing::warn!(session, %cause, "cannot stop waiting for a doorbell");
        }
    }

    /// A session rang and had nothing to say. Above [`EMPTY_BELLS_MAX`] a second its bell is not listened to for a
    /// while; its channels are looked at whenever the worker wakes, and at least every
    /// [`crate::limits::PARK_MAX`].
    pub fn rang_for_nothing(&mut self, parker: &Parker, session: u32, now: Instant) {
        let Some(bell) = self.bells.get_mut(&session) else { return };
        if now >= bell.window_ends {
            bell.empty = 0;
            bell.window_ends = now + WINDOW;
        }
        bell.empty += 1;
        if bell.empty > EMPTY_BELLS_MAX && !bell.muted && parker.remove(bell.descriptor.as_fd()).is_ok() {
            bell.muted = true;
            bell.window_ends = now + WINDOW;
            self.muted += 1;
            tracing::warn!(session, "rings too often for nothing: polled instead for a while");
        }
    }

    /// Whether some session is polled.
    pub fn any_muted(&self) -> bool {
        self.muted > 0
    }

    /// Listens again to sessions whose time is up.
    pub fn unmute(&mut self, parker: &Parker, now: Instant) {
        if self.muted == 0 {
            return;
        }
        for (&session, bell) in
            self.bells.iter_mut().filter(|(_, bell)| bell.muted && now >= bell.window_ends)
        {
            if parker.add(bell.descriptor.as_fd(), token(session)).is_ok() {
                bell.muted = false;
                bell.empty = 0;
                self.muted -= 1;
            }
        }
    }
}

/// The parker's name for a session's doorbell; 0 is the worker's inbox.
fn token(session: u32) -> u64 {
    u64::from(session) + 1
}

/// The session behind a parker's token, unless it is the inbox.
pub fn session(token: u64) -> Option<u32> {
    u32::try_from(token.checked_sub(1)?).ok()
}
