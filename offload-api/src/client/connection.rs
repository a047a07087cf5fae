//! The control socket of a session: questions in order, answers in the same order.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::control::{self, PACKET_BYTES_MAX, Reply, Request, socket};
use crate::error::{ConnectError, ProtocolFault};

/// Longest wait for one answer. The control thread waits for no disk, hash or key: an engine that is silent for so
/// long is stuck.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// An answer and its descriptors.
pub(super) type Answer = (Reply, Vec<OwnedFd>);

/// A connected control socket. After an error it is of no use any more.
#[derive(Debug)]
pub(super) struct Connection {
    path: PathBuf,
    socket: OwnedFd,
    buffer: Vec<u8>,
    /// When each question without an answer yet was asked.
    unanswered: VecDeque<Instant>,
}

impl Connection {
    /// Connects, without waiting.
    pub(super) fn open(path: &Path) -> Result<Self, ConnectError> {
        let socket = socket::connect(path).map_err(|error| ConnectError::connecting(path, error))?;
        let buffer = vec![0; PACKET_BYTES_MAX];
        Ok(Self { path: path.to_owned(), socket, buffer, unanswered: VecDeque::new() })
    }

    /// Asks, and waits for the answer until `deadline`: `None` when it did not come by then. It is then given back
    /// when it comes.
    pub(super) fn ask(
        &mut self,
        request: &Request,
        deadline: Instant,
    ) -> Result<Option<Answer>, ConnectError> {
        self.say(request)?;
        // Answers before ours are those of questions that nobody waits for any more.
        let mut before_ours = self.unanswered.len() - 1;
        while let Some(answer) = self.answer(deadline)? {
            if before_ours == 0 {
                return Ok(Some(answer));
            }
            before_ours -= 1;
            self.give_back(answer.0)?;
        }
        Ok(None)
    }

    /// Asks for something whose answer nobody waits for.
    pub(super) fn say(&mut self, request: &Request) -> Result<(), ConnectError> {
        let packet = control::encode(request).map_err(|error| self.fault(error.into()))?;
        socket::send(&self.socket, &packet, &[]).map_err(|error| self.hung_up(error))?;
        self.unanswered.push_back(Instant::now());
        Ok(())
    }

    /// Whether the engine hung up. Its last word, if it had one, goes to the log.
    pub(super) fn is_hung_up(&mut self) -> bool {
        if !socket::is_hung_up(&self.socket) {
            return false;
        }
        while let Ok(received) = socket::receive(&self.socket, &mut self.buffer) {
            if let Ok(Reply::Refused { status, detail }) = control::decode(received.packet) {
                tracing::warn!(?status, detail, "the engine ended the session");
            }
        }
        true
    }

    /// The next answer, or `None` at `deadline`.
    fn answer(&mut self, deadline: Instant) -> Result<Option<Answer>, ConnectError> {
        let Some(asked) = self.unanswered.front() else { return Ok(None) };
        let stuck = *asked + ANSWER_MAX;
        loop {
            if !socket::wait(&self.socket, deadline.min(stuck)).map_err(|error| self.hung_up(error))? {
                return if stuck <= deadline { Err(self.silent()) } else { Ok(None) };
            }
            match socket::receive(&self.socket, &mut self.buffer) {
                Ok(received) => {
                    self.unanswered.pop_front();
                    let descriptors = received.descriptors;
                    let reply = control::decode(received.packet).map_err(ProtocolFault::from);
                    return reply.map(|reply| Some((reply, descriptors))).map_err(|fault| self.fault(fault));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(self.hung_up(error)),
            }
        }
    }

    /// Gives back what an answer brought that came too late.
    fn give_back(&mut self, reply: Reply) -> Result<(), ConnectError> {
        match reply {
            Reply::ChannelOpened { channel, .. } => self.say(&Request::CloseChannel { channel }),
            Reply::KeyResolved(info) => self.say(&Request::ReleaseKey { handle: info.handle }),
            _ => Ok(()),
        }
    }

    fn hung_up(&self, source: io::Error) -> ConnectError {
        ConnectError::HungUp { socket: self.path.clone(), source }
    }

    fn silent(&self) -> ConnectError {
        ConnectError::Silent { socket: self.path.clone(), waited: ANSWER_MAX }
    }

    /// The engine's breach of protocol on this connection.
    pub(super) fn fault(&self, source: ProtocolFault) -> ConnectError {
        ConnectError::Protocol { socket: self.path.clone(), source }
    }
}
