//! The sockets that the engine listens on: one for administrators, one for clients, and one for each path that a grant
//! names.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Source;
use super::listener::{ListenError, Listener};
use crate::directory::Directory;
use crate::os::reactor::{Interest, Reactor, Watch};

/// Mode of a socket that grants decide about: whoever reaches it may ask.
const CLIENT_MODE: u32 = 0o666;
/// Mode of the administrators' socket.
const ADMIN_MODE: u32 = 0o600;
/// How long a path that could not be listened on rests.
const RETRY: Duration = Duration::from_secs(5);

/// Who comes through a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Visitors {
    /// Administrators.
    Admins,
    /// Clients; `None` is the engine's default socket.
    Clients(Option<PathBuf>),
}

struct Door {
    listener: Listener,
    watch: Watch,
    visitors: Visitors,
}

/// Every listening socket, by a number that is never used again.
pub(super) struct Doors {
    open: BTreeMap<u64, Door>,
    last: u64,
    /// Paths of grants at which listening failed, with what was said about it.
    failed: BTreeMap<PathBuf, String>,
    retry_at: Option<Instant>,
}

impl Doors {
    pub(super) fn new() -> Self {
        Self { open: BTreeMap::new(), last: 0, failed: BTreeMap::new(), retry_at: None }
    }

    /// Listens for administrators.
    pub(super) fn open_admin(
        &mut self,
        reactor: &mut Reactor<Source>,
        path: &Path,
    ) -> Result<(), ListenError> {
        self.add(reactor, Listener::take_over(path, ADMIN_MODE)?, Visitors::Admins)
    }

    /// Listens for clients on the default socket.
    pub(super) fn open_default(
        &mut self,
        reactor: &mut Reactor<Source>,
        path: &Path,
        mode: u32,
    ) -> Result<(), ListenError> {
        self.add(reactor, Listener::take_over_in_new_directory(path, mode)?, Visitors::Clients(None))
    }

    /// Listens for clients at a path that a grant names.
    pub(super) fn open_granted(
        &mut self,
        reactor: &mut Reactor<Source>,
        path: &Path,
    ) -> Result<(), ListenError> {
        if self.granted().any(|open| open == path) {
            return Ok(());
        }
        self.add(reactor, Listener::bind(path, CLIENT_MODE)?, Visitors::Clients(Some(path.to_owned())))
    }

    /// Opens and closes the doors that grants name. A path that cannot be listened on, such as a container's
    /// directory that is not there yet, is tried again; the others are served meanwhile.
    pub(super) fn follow(&mut self, reactor: &mut Reactor<Source>, directory: &Directory, now: Instant) {
        let wanted: BTreeSet<PathBuf> = directory.grants().filter_map(|row| row.listener.clone()).collect();
        self.close(
            reactor,
            |visitors| matches!(visitors, Visitors::Clients(Some(path)) if !wanted.contains(path)),
        );
        self.failed.retain(|path, _| wanted.contains(path));
        for path in wanted {
            match self.open_granted(reactor, &path) {
                Ok(()) => drop(self.failed.remove(&path)),
                Err(error) => self.remember_failure(path, error.to_string()),
            }
        }
        self.retry_at = (!self.failed.is_empty()).then(|| now + RETRY);
    }

    /// Whether a path that failed is due to be tried again.
    pub(super) fn retry_is_due(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| now >= at)
    }

    /// Closes the doors of clients.
    pub(super) fn close_for_clients(&mut self, reactor: &mut Reactor<Source>) {
        self.close(reactor, |visitors| matches!(visitors, Visitors::Clients(_)));
        self.failed.clear();
        self.retry_at = None;
    }

    /// The listener behind a door, and who comes through it.
    pub(super) fn get(&self, door: u64) -> Option<(&Listener, &Visitors)> {
        self.open.get(&door).map(|door| (&door.listener, &door.visitors))
    }

    /// Numbers of the doors.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.open.keys().copied().collect()
    }

    /// Paths of the sockets that clients connect to.
    pub(super) fn client_paths(&self) -> impl Iterator<Item = &Path> {
        let clients = self.open.values().filter(|door| door.visitors != Visitors::Admins);
        clients.map(|door| door.listener.path())
    }

    fn granted(&self) -> impl Iterator<Item = &Path> {
        self.open.values().filter_map(|door| match &door.visitors {
            Visitors::Clients(Some(path)) => Some(path.as_path()),
            _ => None,
        })
    }

    fn add(
        &mut self,
        reactor: &mut Reactor<Source>,
        listener: Listener,
        visitors: Visitors,
    ) -> Result<(), ListenError> {
        let number = self.last + 1;
        let watch =
            reactor.watch(listener.as_fd(), Interest::Readable, Source::Door(number)).map_err(|source| {
                ListenError::System { step: "watch", path: listener.path().to_owned(), source }
            })?;
        self.last = number;
        self.open.insert(number, Door { listener, watch, visitors });
        Ok(())
    }

    fn close(&mut self, reactor: &mut Reactor<Source>, which: impl Fn(&Visitors) -> bool) {
        for (_, Door { listener, watch, .. }) in self.open.extract_if(.., |_, door| which(&door.visitors)) {
            reactor.unwatch(watch, listener.as_fd());
        }
    }

    fn remember_failure(&mut self, path: PathBuf, said: String) {
        if self.failed.get(&path) != Some(&said) {
            tracing::warn!("{said}; trying again every {} s", RETRY.as_secs());
            self.failed.insert(path, said);
        }
    }
}
