//! What the control thread waits for: readiness of descriptors, a timeout, and file writes that are on the disk.
//!
//! One interface, two drivers: io_uring, and epoll with a writer thread where io_uring is denied (containers) or too
//! old. Readiness is edge-triggered on both: one event when the watch begins if the descriptor is ready by then, and
//! one after each change. An event may be spurious; whoever receives it tries its non-blocking call until
//! `WouldBlock`, or comes back by itself.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use super::epoll::Epoll;
use super::uring::Uring;
use crate::config::ControlBackend;
use crate::limits::SESSIONS_MAX;

/// Watches at once: a socket per session, and the engine's own descriptors beside them.
pub const WATCHES_MAX: usize = 2 * SESSIONS_MAX;
/// File writes in flight.
pub const WRITES_MAX: usize = 8;

/// The driver in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// io_uring, restricted to polls and file writes.
    IoUring,
    /// epoll, and a thread that writes files.
    Epoll,
}

impl Backend {
    /// As status and configuration spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why there is no reactor.
#[derive(Debug, thiserror::Error)]
pub enum ReactorError {
    /// The configuration insists on io_uring and Linux does not grant it.
    #[error(
        "io_uring is not available ({0}); allow it (sysctl kernel.io_uring_disabled=0, the container's seccomp \
         profile; Linux 5.19 or newer), or set control_backend = \"auto\""
    )]
    IoUring(#[source] io::Error),
    /// epoll itself failed.
    #[error("epoll is not available: {0}")]
    Epoll(#[source] io::Error),
}

/// What a watch wants to hear of. Hang-ups are always reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something can be read or accepted.
    Readable,
    /// Something can be read, or written again.
    Duplex,
}

/// Octets on their way to the disk.
#[derive(Debug)]
pub struct FileWrite {
    /// The file. Drivers may keep it open until another takes its place.
    pub file: Arc<File>,
    /// Where the octets go.
    pub offset: u64,
    /// What is written.
    pub bytes: Vec<u8>,
}

/// What happened.
#[derive(Debug)]
pub enum Event<T> {
    /// The watch with this token may have become readable, writable, or hung up.
    Ready(T),
    /// All octets are written and fdatasync'ed, or an error says why not. The buffer comes back either way.
    Written(FileWrite, io::Result<()>),
}

/// What a driver reports; ids are [`WatchId`]s.
pub(super) enum Raw {
    /// Readiness; `ended` when the driver watches no longer and must be asked again.
    Ready { id: WatchId, ended: bool },
    /// See [`Event::Written`].
    Written(FileWrite, io::Result<()>),
}

/// A watch as drivers know it: place in the low half, generation of the place in the high half (31 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WatchId(pub(super) u64);

impl WatchId {
    fn new(place: usize, generation: u32) -> Self {
        Self((u64::from(generation & (u32::MAX >> 1)) << 32) | place as u64)
    }

    /// Position among the watches, below [`WATCHES_MAX`].
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the place")]
    pub(super) fn place(self) -> u32 {
        self.0 as u32
    }

    fn index(self) -> usize {
        self.place() as usize
    }
}

/// A descriptor being watched; hand it back to [`Reactor::unwatch`].
#[derive(Debug)]
#[must_use = "a watch that is not handed back stays for ever"]
pub struct Watch(WatchId);

struct Watched<T> {
    token: T,
    interest: Interest,
}

/// One position of the table of watches; its generation tells late events of a former watch apart.
struct Place<T> {
    generation: u32,
    watched: Option<Watched<T>>,
}

enum Driver {
    IoUring(Box<Uring>),
    Epoll(Epoll),
}

/// See the module's description. `T` is what the caller knows a watch by.
///
/// It may move between threads until the first [`Reactor::wait`], and stays on that thread from then on.
pub struct Reactor<T> {
    driver: Driver,
    places: Vec<Place<T>>,
    free: Vec<usize>,
    raw: Vec<Raw>,
}

impl<T> From<Driver> for Reactor<T> {
    fn from(driver: Driver) -> Self {
        Self { driver, places: Vec::new(), free: Vec::new(), raw: Vec::new() }
    }
}

impl<T: Copy> Reactor<T> {
    /// Makes the driver that `choice` asks for.
    pub fn new(choice: ControlBackend) -> Result<Self, ReactorError> {
        let driver = match choice {
            ControlBackend::Epoll => Driver::Epoll(Epoll::new().map_err(ReactorError::Epoll)?),
            ControlBackend::Auto | ControlBackend::IoUring => settle(choice, Uring::new())?,
        };
        Ok(Self::from(driver))
    }

    /// The driver in use.
    pub fn backend(&self) -> Backend {
        match self.driver {
            Driver::IoUring(_) => Backend::IoUring,
            Driver::Epoll(_) => Backend::Epoll,
        }
    }

    /// Reports readiness of `fd` with `token` from now on.
    ///
    /// # Errors
    /// `QuotaExceeded` beyond [`WATCHES_MAX`] watches, or what Linux says.
    pub fn watch(&mut self, fd: BorrowedFd<'_>, interest: Interest, token: T) -> io::Result<Watch> {
        let index = self.vacant_place()?;
        let id = WatchId::new(index, self.places[index].generation);
        let added = match &mut self.driver {
            Driver::IoUring(uring) => uring.add(id, fd, interest),
            Driver::Epoll(epoll) => epoll.add(id, fd, interest),
        };
        if let Err(error) = added {
            self.free.push(index);
            return Err(error);
        }
        self.places[index].watched = Some(Watched { token, interest });
        Ok(Watch(id))
    }

    /// Ends a watch of `fd`; nothing is reported for it any more.
    #[expect(clippy::needless_pass_by_value, reason = "a watch ends once")]
    pub fn unwatch(&mut self, watch: Watch, fd: BorrowedFd<'_>) {
        let Watch(id) = watch;
        match &mut self.driver {
            Driver::IoUring(uring) => uring.remove(id),
            Driver::Epoll(epoll) => epoll.remove(fd),
        }
        let place = &mut self.places[id.index()];
        place.watched = None;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.index());
    }

    /// Starts to write and fdatasync; [`Event::Written`] follows. Never waits for the disk.
    ///
    /// # Errors
    /// Gives the write back with `WouldBlock` beyond [`WRITES_MAX`] writes in flight, or with what Linux says.
    pub fn write(&mut self, write: FileWrite) -> Result<(), (FileWrite, io::Error)> {
        match &mut self.driver {
            Driver::IoUring(uring) => uring.write(write),
            Driver::Epoll(epoll) => epoll.write(write),
        }
    }

    /// Waits until something happened or `timeout` is over, and appends what happened to `events`.
    /// Returns early, with nothing, when a signal interrupts.
    pub fn wait(&mut self, timeout: Option<Duration>, events: &mut Vec<Event<T>>) -> io::Result<()> {
        let mut raw = std::mem::take(&mut self.raw);
        let outcome = match &mut self.driver {
            Driver::IoUring(uring) => uring.wait(timeout, &mut raw),
            Driver::Epoll(epoll) => epoll.wait(timeout, &mut raw),
        };
        events.extend(raw.drain(..).filter_map(|raw| self.translate(raw)));
        self.raw = raw;
        outcome
    }

    fn translate(&mut self, raw: Raw) -> Option<Event<T>> {
        let (id, ended) = match raw {
            Raw::Written(write, outcome) => return Some(Event::Written(write, outcome)),
            Raw::Ready { id, ended } => (id, ended),
        };
        let place = self.places.get(id.index())?;
        if WatchId::new(id.index(), place.generation) != id {
            return None;
        }
        let watched = place.watched.as_ref()?;
        if ended && let Driver::IoUring(uring) = &mut self.driver {
            uring.rearm(id, watched.interest);
        }
        Some(Event::Ready(watched.token))
    }

    fn vacant_place(&mut self) -> io::Result<usize> {
        if let Some(index) = self.free.pop() {
            return Ok(index);
        }
        if self.places.len() == WATCHES_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.places.push(Place { generation: 0, watched: None });
        Ok(self.places.len() - 1)
    }
}

/// Takes io_uring if Linux granted it, else epoll if the configuration leaves the choice.
fn settle(choice: ControlBackend, uring: io::Result<Uring>) -> Result<Driver, ReactorError> {
    match uring {
        Ok(uring) => Ok(Driver::IoUring(Box::new(uring))),
        Err(error) if choice == ControlBackend::IoUring => Err(ReactorError::IoUring(error)),
        Err(error) => {
            tracing::info!(%error, "io_uring is not available, the control thread uses epoll");
            Ok(Driver::Epoll(Epoll::new().map_err(ReactorError::Epoll)?))
        }
    }
}

#[cfg(test)]
mod tests;
