//! One connection: takes requests while the answer before is on its way, and nothing more.
//!
//! A peer that asks without reading its answers stops being heard; what it can make the engine keep is one answer and
//! what Linux holds in the socket.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use crate::limits::REQUESTS_PER_TURN;
use crate::os::reactor::Watch;
use crate::os::socket::{Received, Socket};

/// A message to a peer, and the descriptors beside it.
#[derive(Debug, Default)]
pub(super) struct Packet {
    pub(super) bytes: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// This is the answer.
    Reply(Packet),
    /// This is the answer, and the connection ends with it.
    Last(Packet),
    /// The answer comes by [`Connection::answer_later`]; until then nothing more is heard.
    Later,
}

/// What the connection wants after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// To be called when its socket changes.
    Wait,
    /// Another turn, after the others had theirs.
    Again,
    /// To be closed.
    Close,
}

/// A connection, watched by the reactor.
pub(super) struct Connection {
    socket: Socket,
    /// Handed back to the reactor when the connection ends.
    pub(super) watch: Option<Watch>,
    /// Descriptors are taken from trusted peers only.
    trusted: bool,
    outgoing: Option<Packet>,
    awaits_answer: bool,
}

impl Connection {
    pub(super) fn new(socket: Socket, trusted: bool) -> Self {
        Self { socket, watch: None, trusted, outgoing: None, awaits_answer: false }
    }

    /// Its socket.
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Sends what waits, then serves requests: at most [`REQUESTS_PER_TURN`], no further one after `until`, and none
    /// before the answer to the one before it was sent.
    pub(super) fn turn(
        &mut self,
        buffer: &mut [u8],
        until: Instant,
        mut serve: impl FnMut(&[u8], Option<OwnedFd>) -> Answer,
        too_long: impl FnOnce() -> Packet,
    ) -> Next {
        for _ in 0..REQUESTS_PER_TURN {
            match self.flush() {
                Ok(()) if self.awaits_answer => return Next::Wait,
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Wait,
                Err(_) => return Next::Close,
            }
            let answer = match self.receive(buffer) {
                Ok(Received::Packet(length, descriptor)) => serve(&buffer[..length], descriptor),
                Ok(Received::TooLong) => return self.end(&too_long()),
                Ok(Received::Nothing) => return Next::Wait,
                Ok(Received::HungUp) | Err(_) => return Next::Close,
            };
            match answer {
                Answer::Reply(packet) => self.outgoing = Some(packet),
                Answer::Last(packet) => return self.end(&packet),
                Answer::Later => self.awaits_answer = true,
            }
            if Instant::now() >= until {
                break;
            }
        }
        Next::Again
    }

    /// Gives the answer that was promised by [`Answer::Later`]; the connection needs a turn then.
    pub(super) fn answer_later(&mut self, packet: Packet) {
        self.outgoing = Some(packet);
        self.awaits_answer = false;
    }

    /// Says a last word. Whoever has not even read the answer before does not get it.
    pub(super) fn end(&mut self, packet: &Packet) -> Next {
        // Linux drops the last word if requests lie unread when the socket closes.
        let mut unread = [0; 0];
        for _ in 0..REQUESTS_PER_TURN {
            if matches!(self.socket.receive(&mut unread), Ok(Received::Nothing | Received::HungUp) | Err(_)) {
                break;
            }
        }
        if self.flush().is_ok() {
            let _ = send(&self.socket, packet);
        }
        Next::Close
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        if self.trusted { self.socket.receive_with_descriptor(buffer) } else { self.socket.receive(buffer) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(packet) = &self.outgoing {
            send(&self.socket, packet)?;
            self.outgoing = None;
        }
        Ok(())
    }
}

fn send(socket: &Socket, packet: &Packet) -> io::Result<()> {
    let descriptors: Vec<_> = packet.descriptors.iter().map(AsFd::as_fd).collect();
    socket.send(&packet.bytes, &descriptors)
}
