//! The control thread: answers sockets, writes the audit log, and never waits for a disk, a hash, a key or a peer.
//!
//! One loop ([`Control::run`]): wait in the reactor, visit whatever became ready, read the mail of workers and keeper,
//! write the audit log. Reading order:
//!
//! - [`listener`] and `doors`: the sockets that processes connect to;
//! - `connection`: one connection, its requests and what it may make the engine keep;
//! - `desk`, `channels`, with `sessions`, `handles` and `shares`: what clients ask, what they hold, and who may hold how
//!   much;
//! - `strangers`: who has connected and not yet said who he is;
//! - `admins` and `views`: what administrators ask; `changes`: what a change of the store means for running sessions;
//! - `workers` and `mail`: the other threads; `log`: the audit log; `shutdown`: SIGTERM.
//!
//! Whatever a peer sends, only its own connection suffers: a packet that breaks protocol ends it, requests beyond a
//! limit are refused by the limit's name, and who does not read answers is not heard.

mod admins;
mod agenda;
mod changes;
mod channels;
mod clients;
mod connection;
mod desk;
mod doors;
mod handles;
pub mod listener;
mod log;
mod mail;
mod sessions;
mod shares;
mod shutdown;
mod status;
mod strangers;
mod views;
mod workers;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keylane_kernels::Kernels;
use rustix::process::{Resource, Rlimit};

pub use listener::ListenError;
pub use workers::WorkerPort;

use crate::admin;
use crate::audit::AuditLog;
use crate::config::Config;
use crate::directory::Directory;
use crate::limits::{AUDIT_FLUSH_INTERVAL, TURN_MAX};
use crate::mailbox::Mailbox;
use crate::messages::{FromWorker, KeeperDone, KeeperJob};
use crate::os::reactor::{Event, Interest, Reactor, ReactorError};
use admins::KeeperDesk;
use agenda::Agenda;
use clients::Client;
use connection::Connection;
use desk::Desk;
use doors::Doors;
use log::Log;
use sessions::Sessions;
use shutdown::Phase;
use strangers::Strangers;
use workers::Workers;

/// What the control thread is made of.
pub struct ControlParts {
    /// Sockets, backend and the workers' waiting.
    pub config: Config,
    /// What the token holds.
    pub directory: Directory,
    /// One for each worker, in their order.
    pub workers: Vec<WorkerPort>,
    /// Messages from the workers.
    pub from_workers: Arc<Mailbox<FromWorker>>,
    /// Jobs for the keeper.
    pub keeper: Arc<Mailbox<KeeperJob>>,
    /// Answers from the keeper.
    pub from_keeper: Arc<Mailbox<KeeperDone>>,
    /// The audit log.
    pub audit: AuditLog,
    /// What signs in batches.
    pub kernels: Option<Kernels>,
    /// The workers' sleep words, for clients.
    pub flag_page: OwnedFd,
    /// Epoch of the store.
    pub store_epoch: u64,
}

/// Why the control thread did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody could connect.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Nothing could be waited for.
    #[error(transparent)]
    Reactor(#[from] ReactorError),
    /// Linux refused something that the control thread cannot do without.
    #[error("the control thread cannot {step}: {source}")]
    System {
        /// What.
        step: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// What the reactor reports on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    /// Somebody wants the engine to stop.
    Stop,
    /// Mail of workers or keeper, which is read on every turn anyway.
    Mail,
    /// A listening socket.
    Door(u64),
    /// A client.
    Client(u64),
    /// An administrator.
    Admin(u64),
}

/// The control thread's state.
pub struct Control {
    reactor: Reactor<Source>,
    desk: Desk,
    doors: Doors,
    clients: HashMap<u64, Client>,
    strangers: Strangers,
    admins: HashMap<u64, Connection>,
    last_connection: u64,
    keeper: KeeperDesk,
    from_workers: Arc<Mailbox<FromWorker>>,
    from_keeper: Arc<Mailbox<KeeperDone>>,
    log: Log,
    phase: Phase,
    config: Config,
    kernels: Option<Kernels>,
    store_epoch: u64,
    started: Instant,
    /// Readable when the engine shall stop.
    stop: UnixStream,
    stopper: UnixStream,
    agenda: Agenda,
    /// Connections wait that could not be accepted.
    starved: bool,
    next_complaint: Instant,
    /// Given up to accept, and turn away, a connection for which no other descriptor is left.
    spare: Option<OwnedFd>,
    buffer: Vec<u8>,
}

impl Control {
    /// Opens the sockets. Nothing is served before [`run`](Self::run).
    pub fn new(parts: ControlParts) -> Result<Self, ControlError> {
        raise_descriptor_limit();
        let mut reactor = Reactor::new(parts.config.control_backend)?;
        let (stop, stopper) = UnixStream::pair().map_err(system("make a socket pair"))?;
        stop.set_nonblocking(true).map_err(system("make a socket pair"))?;
        for (fd, source) in [
            (stop.as_fd(), Source::Stop),
            (parts.from_workers.as_fd(), Source::Mail),
            (parts.from_keeper.as_fd(), Source::Mail),
        ] {
            // For as long as the reactor lives.
            let _watch = reactor.watch(fd, Interest::Readable, source).map_err(system("watch its mail"))?;
        }
        let now = Instant::now();
        let mut doors = Doors::new();
        doors.open_admin(&mut reactor, &parts.config.admin_socket())?;
        doors.open_default(&mut reactor, &parts.config.socket, parts.config.socket_mode)?;
        doors.follow(&mut reactor, &parts.directory, now);
        let desk = Desk {
            directory: parts.directory,
            workers: Workers::new(parts.workers),
            sessions: Sessions::default(),
            flag_page: parts.flag_page,
            busy_poll: parts.config.busy_poll,
            draining: false,
            quarantined: 0,
        };
        Ok(Self {
            reactor,
            desk,
            doors,
            clients: HashMap::new(),
            strangers: Strangers::default(),
            admins: HashMap::new(),
            last_connection: 0,
            keeper: KeeperDesk::new(parts.keeper),
            from_workers: parts.from_workers,
            from_keeper: parts.from_keeper,
            log: Log::new(parts.audit),
            phase: Phase::Serving,
            config: parts.config,
            kernels: parts.kernels,
            store_epoch: parts.store_epoch,
            started: now,
            stop,
            stopper,
            agenda: Agenda::default(),
            starved: false,
            next_complaint: now,
            spare: spare_descriptor(),
            buffer: vec![0; admin::PACKET_BYTES_MAX],
        })
    }

    /// Serves until SIGTERM or SIGINT, then ends in good order.
    pub fn run(mut self) -> Result<(), ControlError> {
        let _signals = shutdown::Signals::register(&self.stopper).map_err(system("wait for signals"))?;
        shutdown::tell_service_manager(crate::os::process::Notice::Ready);
        self.say_ready();
        self.serve()
    }

    /// One line for whoever starts the engine by hand.
    fn say_ready(&self) {
        let (workers, keys) = (self.desk.workers.len(), self.desk.directory.key_count());
        let (backend, kernels) = (self.reactor.backend(), self.kernel_name());
        tracing::info!(workers, keys, kernels, control = %backend, "serving on {}", self.config.socket.display());
    }

    /// What computes signatures, as status names it.
    fn kernel_name(&self) -> &'static str {
        self.kernels.map_or("scalar", |kernels| kernels.tier().name())
    }

    fn serve(&mut self) -> Result<(), ControlError> {
        let mut events = Vec::new();
        while self.phase != Phase::Ended {
            self.reactor.wait(Some(self.patience(Instant::now())), &mut events).map_err(system("wait"))?;
            self.turn(&mut events);
        }
        Ok(())
    }

    /// How long to wait for events. The audit log is looked at this often, and with it everything that has a time.
    fn patience(&self, now: Instant) -> Duration {
        if !self.agenda.is_empty() {
            Duration::ZERO
        } else if self.desk.workers.are_behind() {
            Duration::from_millis(1)
        } else {
            let dismissal = self.strangers.next_dismissal().map(|at| at.saturating_duration_since(now));
            dismissal.map_or(AUDIT_FLUSH_INTERVAL, |dismissal| dismissal.min(AUDIT_FLUSH_INTERVAL))
        }
    }

    fn turn(&mut self, events: &mut Vec<Event<Source>>) {
        let now = Instant::now();
        for event in events.drain(..) {
            match event {
                Event::Ready(source) => self.agenda.add(source),
                Event::Written(write, outcome) => self.log.written(write, outcome, now),
            }
        }
        self.make_visits(now);
        self.read_mail(now);
        self.log.drive(&mut self.reactor, &self.keeper.jobs, now);
        self.desk.workers.deliver();
        self.dismiss_strangers(now);
        self.feed_the_starved(now);
        if self.doors.retry_is_due(now) {
            self.doors.follow(&mut self.reactor, &self.desk.directory, now);
        }
        self.shut_down_by_and_by(now);
    }

    /// Visits whoever has something, in the order of coming; who is left over comes first in the next turn.
    fn make_visits(&mut self, now: Instant) {
        let until = now + TURN_MAX;
        while Instant::now() < until
            && let Some(source) = self.agenda.next()
        {
            match source {
                Source::Stop => self.hear_stop(now),
                Source::Mail => {}
                Source::Door(door) => self.visit_door(door, now),
                Source::Client(client) => self.visit_client(client, until),
                Source::Admin(admin) => self.visit_admin(admin, until),
            }
        }
    }

    /// Watches a new connection; `None` when it cannot be.
    fn watch(
        &mut self,
        mut connection: Connection,
        source: impl Fn(u64) -> Source,
    ) -> Option<(u64, Connection)> {
        let number = self.last_connection + 1;
        let fd = connection.socket().as_fd();
        match self.reactor.watch(fd, Interest::Duplex, source(number)) {
            Ok(watch) => {
                self.last_connection = number;
                connection.watch = Some(watch);
                Some((number, connection))
            }
            Err(error) => {
                tracing::warn!(%error, "cannot watch a connection");
                None
            }
        }
    }

    fn hang_up(&mut self, mut connection: Connection) {
        if let Some(watch) = connection.watch.take() {
            self.reactor.unwatch(watch, connection.socket().as_fd());
        }
        connection.socket().shut_down();
    }
}

/// A session needs a descriptor for its socket and two for each of its doorbells.
fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the soft limit of descriptors to the hard one");
    }
}

fn spare_descriptor() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").ok().map(OwnedFd::from)
}

fn system(step: &'static str) -> impl FnOnce(io::Error) -> ControlError {
    move |source| ControlError::System { step, source }
}

#[cfg(test)]
mod tests;
