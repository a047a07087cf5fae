//! One authenticated session with an engine, shared by the threads of this process.

use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use keylane_shm::ClientFlags;

use super::Obstacle;
use super::connection::{Answer, Connection};
use crate::Status;
use crate::control::{KeyInfo, KeySelector, Reply, Request};
use crate::error::{ConnectError, Error, ProtocolFault};
use crate::wire::{ABI, AbiRange};

/// Octets of a program's name.
const PROGRAM_BYTES_MAX: usize = 64;

/// Numbers sessions, so that a handle of one is never taken for another's, whatever engines call them.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// A session. Whoever notices its end calls [`Session::end`], and all channels hear of it.
#[derive(Debug)]
pub(super) struct Session {
    number: u64,
    path: PathBuf,
    flags: ClientFlags,
    ended: AtomicBool,
    desk: Mutex<Desk>,
    /// The connection is back at the desk, or gone.
    returned: Condvar,
}

/// Where the connection is, and what is to be said on it when it comes back.
#[derive(Debug)]
struct Desk {
    connection: Place,
    unsaid: Vec<Request>,
}

#[derive(Debug)]
enum Place {
    Here(Connection),
    /// With a thread that asks something.
    Away,
    Closed,
}

impl Session {
    /// Connects and introduces this program; `None` when the engine's answer did not come by `deadline`.
    pub(super) fn open(path: &Path, deadline: Instant) -> Result<Option<Self>, ConnectError> {
        let mut connection = Connection::open(path)?;
        let hello = Request::Hello { abi: ABI, program: program() };
        let Some((reply, descriptors)) = connection.ask(&hello, deadline)? else { return Ok(None) };
        let flags = match reply {
            Reply::Welcome { abi, .. } => welcome(abi, descriptors),
            Reply::Refused { status, detail } => {
                return Err(ConnectError::Refused { socket: path.to_owned(), status, detail });
            }
            _ => Err(ProtocolFault::UnexpectedReply),
        };
        Ok(Some(Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            path: path.to_owned(),
            flags: flags.map_err(|fault| connection.fault(fault))?,
            ended: AtomicBool::new(false),
            desk: Mutex::new(Desk { connection: Place::Here(connection), unsaid: Vec::new() }),
            returned: Condvar::new(),
        }))
    }

    /// This session's number in this process.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Which workers sleep.
    pub(super) fn flags(&self) -> &ClientFlags {
        &self.flags
    }

    /// Whether nobody has noticed its end yet.
    pub(super) fn is_alive(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }

    /// Looks whether the engine hung up. While another thread asks something, that one notices.
    pub(super) fn look(&self) {
        let hung_up = match &mut self.desk().connection {
            Place::Here(connection) => connection.is_hung_up(),
            Place::Away | Place::Closed => false,
        };
        if hung_up {
            self.end();
        }
    }

    /// It is over: every channel leaves it.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.desk().connection = Place::Closed;
        self.returned.notify_all();
    }

    /// Asks the engine, until `deadline`.
    pub(super) fn ask(&self, request: &Request, deadline: Instant) -> Result<Answer, Obstacle> {
        let mut connection = self.borrow(deadline)?;
        match connection.ask(request, deadline) {
            Ok(answer) => {
                self.bring_back(connection);
                answer.ok_or(Obstacle::Passing(None))
            }
            Err(error) => {
                self.end();
                Err(Obstacle::from(error))
            }
        }
    }

    /// Asks for something whose answer does not matter. Never waits.
    pub(super) fn post(&self, request: Request) {
        let mut desk = self.desk();
        desk.unsaid.push(request);
        desk.say_unsaid();
    }

    /// Resolves a key.
    pub(super) fn resolve(&self, selector: &KeySelector, deadline: Instant) -> Result<KeyInfo, Obstacle> {
        match self.ask(&Request::ResolveKey { selector: selector.clone() }, deadline)?.0 {
            Reply::KeyResolved(info) => Ok(info),
            Reply::Refused { status, detail } => Err(self.refused(status, detail)),
            _ => Err(self.broke_protocol(ProtocolFault::UnexpectedReply)),
        }
    }

    /// What a refusal means for whoever asked. An engine that shuts down is left at once, for its successor.
    pub(super) fn refused(&self, status: Status, detail: String) -> Obstacle {
        if status != Status::Draining {
            return Error::Refused { status, detail }.into();
        }
        self.end();
        ConnectError::Refused { socket: self.path.clone(), status, detail }.into()
    }

    /// Ends the session because the engine broke protocol on it.
    pub(super) fn broke_protocol(&self, source: ProtocolFault) -> Obstacle {
        self.end();
        ConnectError::Protocol { socket: self.path.clone(), source }.into()
    }

    /// In a forked child: closes what its parent's session left, as far as no thread held it at the fork.
    pub(super) fn close_inherited(&self) {
        if let Ok(mut desk) = self.desk.try_lock() {
            desk.connection = Place::Closed;
        }
    }

    fn borrow(&self, deadline: Instant) -> Result<Connection, Obstacle> {
        let mut desk = self.desk();
        loop {
            match mem::replace(&mut desk.connection, Place::Away) {
                Place::Here(connection) => return Ok(connection),
                Place::Closed => {
                    desk.connection = Place::Closed;
                    let source = io::ErrorKind::UnexpectedEof.into();
                    return Err(ConnectError::HungUp { socket: self.path.clone(), source }.into());
                }
                Place::Away => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Obstacle::Passing(None));
            }
            desk = self.returned.wait_timeout(desk, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn bring_back(&self, connection: Connection) {
        let mut desk = self.desk();
        if matches!(desk.connection, Place::Away) {
            desk.connection = Place::Here(connection);
            desk.say_unsaid();
        }
        drop(desk);
        self.returned.notify_one();
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    fn say_unsaid(&mut self) {
        if let Place::Here(connection) = &mut self.connection {
            // A connection that fails here fails at the next question too, and is ended then.
            let _ = self.unsaid.drain(..).try_for_each(|request| connection.say(&request));
        }
    }
}

fn welcome(abi: u16, descriptors: Vec<OwnedFd>) -> Result<ClientFlags, ProtocolFault> {
    ABI.common(AbiRange { min: abi, max: abi }).ok_or(ProtocolFault::Abi(abi))?;
    let [page] = exactly(descriptors)?;
    Ok(ClientFlags::map(page)?)
}

/// The descriptors of a message that has so many.
pub(super) fn exactly<const N: usize>(descriptors: Vec<OwnedFd>) -> Result<[OwnedFd; N], ProtocolFault> {
    <[OwnedFd; N]>::try_from(descriptors)
        .map_err(|descriptors| ProtocolFault::Descriptors { expected: N, got: descriptors.len() })
}

/// What the engine's status calls this program.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    let mut name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.truncate(name.floor_char_boundary(PROGRAM_BYTES_MAX));
    name
}
