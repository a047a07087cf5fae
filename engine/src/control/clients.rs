//! Clients come, are served, and go.

use std::io;
use std::time::{Duration, Instant};

use keylane_api::Status;
use rustix::io::Errno;

use super::connection::{Connection, Next};
use super::desk::{Caller, no_descriptor, refusal, refused_packet};
use super::doors::Visitors;
use super::{Control, Source, spare_descriptor};
use crate::directory::Peer;
use crate::limits::ACCEPTS_PER_TURN;
use crate::os::socket::{Credentials, Socket};

/// Pause between two complaints about the same.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(5);

/// A client's connection, and its session once it said who it is.
pub(super) struct Client {
    connection: Connection,
    caller: Caller,
}

impl Control {
    /// Lets in whoever waits at a door, a few at a time.
    pub(super) fn visit_door(&mut self, door: u64, now: Instant) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some((listener, visitors)) = self.doors.get(door) else { return };
            if self.strangers.are_too_many() && *visitors != Visitors::Admins {
                self.starved = true;
                return;
            }
            match listener.accept() {
                Ok(Some(socket)) => match visitors.clone() {
                    Visitors::Admins => self.let_in_admin(socket),
                    Visitors::Clients(listener) => self.let_in_client(socket, listener, now),
                },
                Ok(None) => return,
                Err(error) => return self.turn_away(door, &error, now),
            }
        }
        self.agenda.add(Source::Door(door));
    }

    fn let_in_client(&mut self, socket: Socket, listener: Option<std::path::PathBuf>, now: Instant) {
        let peer = match peer(&socket).and_then(|peer| socket.keep_few_answers().map(|()| peer)) {
            Ok(peer) => peer,
            Err(error) => return tracing::warn!(%error, "cannot tell who connected"),
        };
        let Some((number, connection)) = self.watch(Connection::new(socket, false), Source::Client) else {
            return;
        };
        let caller = Caller { peer, listener, session: None };
        while let Some(oldest) = self.strangers.in_the_way_of(&caller.party()) {
            self.close_client(oldest);
        }
        self.strangers.add(number, caller.party(), now);
        self.clients.insert(number, Client { connection, caller });
        // Most have said who they are by now; whoever is behind them at the door need not wait for an event.
        self.agenda.add(Source::Client(number));
    }

    pub(super) fn visit_client(&mut self, number: u64, until: Instant) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let Client { connection, caller } = client;
        let desk = &mut self.desk;
        let too_long = || refused_packet(&refusal(Status::Malformed, "the request is longer than a packet"));
        let buffer = &mut self.buffer[..keylane_api::control::PACKET_BYTES_MAX];
        let next = connection.turn(buffer, until, |packet, _| desk.serve(caller, packet), too_long);
        if caller.session.is_some() {
            self.strangers.remove(number);
        }
        match next {
            Next::Wait => {}
            Next::Again => self.agenda.add(Source::Client(number)),
            Next::Close => self.close_client(number),
        }
    }

    /// Ends the session of a client, if it has one, and its connection.
    pub(super) fn close_client(&mut self, number: u64) {
        let Some(Client { connection, caller }) = self.clients.remove(&number) else { return };
        self.strangers.remove(number);
        // First, so that a client that sees its rings go sees why.
        self.hang_up(connection);
        if let Some(session) = caller.session {
            tracing::debug!(session, "a session ends");
            self.desk.detach(session);
        }
    }

    /// Ends a session with a last word to its client.
    pub(super) fn dismiss(&mut self, session: u32, status: Status, detail: &str) {
        let has = |client: &Client| client.caller.session == Some(session);
        let Some(number) = self.clients.iter().find_map(|(&number, client)| has(client).then_some(number))
        else {
            return;
        };
        if let Some(client) = self.clients.get_mut(&number) {
            client.connection.end(&refused_packet(&refusal(status, detail)));
        }
        self.close_client(number);
    }

    /// Closes connections that do not say who they are.
    pub(super) fn dismiss_strangers(&mut self, now: Instant) {
        while let Some(overdue) = self.strangers.overdue(now) {
            self.close_client(overdue);
        }
    }

    /// No descriptor is left for a connection that waits: says so to it, with the one that was put by.
    fn turn_away(&mut self, door: u64, error: &io::Error, now: Instant) {
        if now >= self.next_complaint {
            tracing::warn!(%error, "cannot accept connections");
            self.next_complaint = now + COMPLAINT_INTERVAL;
        }
        self.starved = true;
        let exhausted = matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE));
        if exhausted && self.spare.take().is_some() {
            let waiting = self.doors.get(door).and_then(|(listener, _)| listener.accept().ok().flatten());
            if let Some(socket) = waiting {
                Connection::new(socket, false).end(&refused_packet(&no_descriptor(error)));
                self.agenda.add(Source::Door(door));
            }
        }
        self.spare = self.spare.take().or_else(spare_descriptor);
    }

    /// Looks again at the doors at which somebody could not be let in: no event tells when there is room.
    pub(super) fn feed_the_starved(&mut self, now: Instant) {
        if self.starved && self.agenda.is_empty() {
            self.starved = false;
            for door in self.doors.numbers() {
                self.visit_door(door, now);
            }
        }
    }
}

/// Who is at the other end of a connection.
pub(super) fn peer(socket: &Socket) -> io::Result<Peer> {
    let Credentials { pid, uid, gid } = socket.credentials()?;
    Ok(Peer { pid, uid, gid })
}
