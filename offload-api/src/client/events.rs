//! One descriptor for an event loop, over all links that a channel ever has: completions, the engine's end, and time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::read;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// What an event loop watches.
#[derive(Debug)]
pub(super) struct Events {
    set: OwnedFd,
    timer: OwnedFd,
    /// When the timer fires, if it runs.
    tick: Option<Instant>,
}

impl Events {
    pub(super) fn new() -> io::Result<Self> {
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        epoll::add(&set, &timer, EventData::new_u64(0), EventFlags::IN)?;
        Ok(Self { set, timer, tick: None })
    }

    /// Watches a link's wake descriptor.
    pub(super) fn add(&self, wake: &OwnedFd) -> io::Result<()> {
        Ok(epoll::add(&self.set, wake, EventData::new_u64(0), EventFlags::IN)?)
    }

    /// Watches it no longer. Closing it would not do: a forked child may hold it too.
    pub(super) fn remove(&self, wake: &OwnedFd) {
        // It was added, so that nothing can fail.
        let _ = epoll::delete(&self.set, wake);
    }

    /// Makes the set readable at `at`, or earlier if it will be anyway.
    pub(super) fn tick_at(&mut self, at: Instant, now: Instant) {
        if self.tick.is_some_and(|tick| tick <= at) {
            return;
        }
        // Zero would stop the timer.
        let delay = at.saturating_duration_since(now).max(Duration::from_nanos(1));
        let it_value = Timespec::try_from(delay).unwrap_or_default();
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        if timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once).is_ok() {
            self.tick = Some(at);
        }
    }

    /// Takes the tick back, if it came.
    pub(super) fn take_tick(&mut self) {
        if self.tick.is_some() && read(&self.timer, &mut [0; size_of::<u64>()]).is_ok() {
            self.tick = None;
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}
