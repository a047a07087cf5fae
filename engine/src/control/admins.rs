//! What administrators ask. Listings are answered at once; changes go to the keeper, and their answers come later.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use keylane_api::Status;
use keylane_api::control::decode;

use super::clients::peer;
use super::connection::{Answer, Connection, Next, Packet};
use super::desk::{busy, refusal};
use super::listener::{ListenError, check_path};
use super::{Control, Source, views};
use crate::admin::{PACKET_BYTES_MAX, Reply, Request};
use crate::directory::Peer;
use crate::limits::ADMINS_MAX;
use crate::mailbox::Mailbox;
use crate::messages::{KeeperJob, Refusal};
use crate::os::socket::Socket;

/// Changes that the keeper is working on, and who waits for them.
pub(super) struct KeeperDesk {
    pub(super) jobs: Arc<Mailbox<KeeperJob>>,
    waiting: HashMap<u64, u64>,
    last_ticket: u64,
}

impl KeeperDesk {
    pub(super) fn new(jobs: Arc<Mailbox<KeeperJob>>) -> Self {
        Self { jobs, waiting: HashMap::new(), last_ticket: 0 }
    }

    /// Whether no change is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The connection that waits for a change. It may be gone.
    pub(super) fn redeem(&mut self, ticket: u64) -> Option<u64> {
        self.waiting.remove(&ticket)
    }

    fn ask(&mut self, admin: u64, request: Request, file: Option<OwnedFd>) -> Result<(), Refusal> {
        let ticket = self.last_ticket + 1;
        let job = KeeperJob::Change { ticket, request, file };
        self.jobs.send(job).map_err(|_| busy("the keeper has too many jobs"))?;
        self.last_ticket = ticket;
        self.waiting.insert(ticket, admin);
        Ok(())
    }
}

impl Control {
    /// Lets in an administrator: the engine's own user, or root.
    pub(super) fn let_in_admin(&mut self, socket: Socket) {
        let refused = match peer(&socket) {
            Ok(peer) if !may_administer(peer) => Some(refusal(
                Status::NotGranted,
                format!(
                    "uid {} may not administer this engine; run this as the engine's user or as root",
                    peer.uid
                ),
            )),
            Ok(_) if self.admins.len() >= ADMINS_MAX => {
                Some(busy(format!("{ADMINS_MAX} administrators are connected")))
            }
            Ok(_) => None,
            Err(error) => return tracing::warn!(%error, "cannot tell who connected"),
        };
        let mut connection = Connection::new(socket, true);
        if let Some(refused) = refused {
            connection.end(&packet(&refused_reply(refused)));
            return;
        }
        if let Some((number, connection)) = self.watch(connection, Source::Admin) {
            self.admins.insert(number, connection);
        }
    }

    pub(super) fn visit_admin(&mut self, number: u64, until: Instant) {
        let Some(mut connection) = self.admins.remove(&number) else { return };
        let mut buffer = std::mem::take(&mut self.buffer);
        let too_long =
            || packet(&refused_reply(refusal(Status::Malformed, "the request is longer than a packet")));
        let next = connection.turn(
            &mut buffer,
            until,
            |packet, file| self.serve_admin(number, packet, file),
            too_long,
        );
        self.buffer = buffer;
        match next {
            Next::Close => return self.hang_up(connection),
            Next::Again => self.agenda.add(Source::Admin(number)),
            Next::Wait => {}
        }
        self.admins.insert(number, connection);
    }

    /// Gives an administrator the answer that it waits for.
    pub(super) fn answer_admin(&mut self, number: u64, reply: &Reply) {
        if let Some(connection) = self.admins.get_mut(&number) {
            connection.answer_later(packet(reply));
            self.agenda.add(Source::Admin(number));
        }
    }

    fn serve_admin(&mut self, number: u64, bytes: &[u8], file: Option<OwnedFd>) -> Answer {
        let request = match decode(bytes) {
            Ok(request) => request,
            Err(error) => {
                return Answer::Last(packet(&refused_reply(refusal(Status::Malformed, error.to_string()))));
            }
        };
        let answer = match request {
            Request::Status
            | Request::SlotList { .. }
            | Request::GrantList { .. }
            | Request::KeyList { .. }
            | Request::KeyShow { .. } => self.look_up(&request).map(Some),
            change => self.change(number, change, file).map(|()| None),
        };
        match answer {
            Ok(Some(reply)) => Answer::Reply(packet(&reply)),
            Ok(None) => Answer::Later,
            Err(refused) => Answer::Reply(packet(&refused_reply(refused))),
        }
    }

    fn look_up(&self, request: &Request) -> Result<Reply, Refusal> {
        let directory = &self.desk.directory;
        match request {
            Request::Status => self.status_json().map(Reply::Status),
            Request::SlotList { after } => Ok(Reply::Slots(views::slots(directory, *after))),
            Request::GrantList { after } => Ok(Reply::Grants(views::grants(directory, *after))),
            Request::KeyList { slot, after } => {
                views::keys(directory, slot.as_deref(), *after).map(Reply::Keys)
            }
            Request::KeyShow { slot, label } => views::key_labelled(directory, slot, label).map(Reply::Key),
            _ => Err(refusal(Status::UnknownOperation, Status::UnknownOperation.text())),
        }
    }

    fn change(&mut self, number: u64, mut request: Request, file: Option<OwnedFd>) -> Result<(), Refusal> {
        if self.desk.draining {
            return Err(refusal(Status::Draining, Status::Draining.text()));
        }
        // A change without its epoch in the log could be taken back by whoever puts an older store in its place.
        if self.log.is_full() {
            return Err(refusal(
                Status::AuditFull,
                "the audit log has no room; see the engine's log for the cause",
            ));
        }
        if let Request::GrantAdd { listener, .. } = &mut request {
            if listener.as_deref() == Some(&*self.config.socket) {
                *listener = None;
            }
            if let Some(path) = listener {
                // Before the grant is committed: a path that cannot be listened on is the administrator's to correct.
                check_path(path)
                    .and_then(|()| self.doors.open_granted(&mut self.reactor, path))
                    .map_err(|error| refusal(status_of(&error), error.to_string()))?;
            }
        }
        self.keeper.ask(number, request, file)
    }
}

pub(super) fn may_administer(peer: Peer) -> bool {
    peer.uid == 0 || peer.uid == rustix::process::geteuid().as_raw()
}

fn status_of(error: &ListenError) -> Status {
    match error {
        ListenError::PathTooLong { .. } | ListenError::NotAbsolute { .. } => Status::Malformed,
        ListenError::InUse { .. } | ListenError::NotASocket { .. } => Status::AlreadyExists,
        ListenError::System { .. } => Status::Internal,
    }
}

pub(super) fn refused_reply(refused: Refusal) -> Reply {
    let Refusal { status, detail } = refused;
    Reply::Refused { status, detail }
}

fn packet(reply: &Reply) -> Packet {
    let encoded = postcard::to_allocvec(reply).ok().filter(|bytes| bytes.len() <= PACKET_BYTES_MAX);
    let bytes = encoded.unwrap_or_else(|| {
        tracing::error!("a reply to an administrator does not fit a packet");
        let refused = refused_reply(refusal(Status::Internal, "the answer does not fit a packet"));
        postcard::to_allocvec(&refused).unwrap_or_default()
    });
    Packet { bytes, descriptors: Vec::new() }
}
