//! Connected `SOCK_SEQPACKET` sockets that never block, and who is at their other end.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use keylane_api::control::socket;
use rustix::io::retry_on_intr;
use rustix::net::{self, RecvFlags, Shutdown};

#[expect(clippy::cast_possible_truncation, reason = "twelve octets")]
const CREDENTIALS_BYTES: libc::socklen_t = size_of::<libc::ucred>() as libc::socklen_t;

/// One end of a connection. It is the engine's alone: no peer can change its mode.
#[derive(Debug)]
pub struct Socket(OwnedFd);

/// The process that connected, as Linux knew it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process; zero if it has no number in the engine's PID namespace.
    pub pid: u32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// What a look at a socket found.
#[derive(Debug)]
pub enum Received {
    /// A packet of this length, and the first descriptor beside it.
    Packet(usize, Option<OwnedFd>),
    /// A packet longer than the buffer, or with too many descriptors.
    TooLong,
    /// Nothing for now.
    Nothing,
    /// The peer has closed, or sent an empty packet, which looks the same.
    HungUp,
}

impl Socket {
    /// A connection that was accepted.
    pub fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Who connected.
    pub fn credentials(&self) -> io::Result<Credentials> {
        // Not rustix: its process ids are never zero, and that of a peer outside of this PID namespace is.
        let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut length = CREDENTIALS_BYTES;
        // SAFETY: both pointers are to locals of the types that SO_PEERCRED fills, the length says how large.
        let outcome = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut credentials).cast(),
                &raw mut length,
            )
        };
        if outcome != 0 {
            return Err(io::Error::last_os_error());
        }
        let libc::ucred { pid, uid, gid } = credentials;
        Ok(Credentials { pid: pid.cast_unsigned(), uid, gid })
    }

    /// Lets only a few short answers wait to be read. Each may carry descriptors, and Linux bounds those that are on
    /// their way for the whole user, so that one peer who reads none could use them up for all.
    pub fn keep_few_answers(&self) -> io::Result<()> {
        // Linux makes its smallest buffer of it, 4,608 octets.
        Ok(net::sockopt::set_socket_send_buffer_size(&self.0, 0)?)
    }

    /// Takes the next packet, from a peer that is not trusted. Descriptors beside it never become the engine's: closing
    /// one may wait for whoever serves its file.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let capacity = buffer.len();
        match retry_on_intr(|| net::recv(&self.0, &mut *buffer, RecvFlags::DONTWAIT | RecvFlags::TRUNC)) {
            Ok((_, length)) if length > capacity => Ok(Received::TooLong),
            Ok((_, 0)) => Ok(Received::HungUp),
            Ok((_, length)) => Ok(Received::Packet(length, None)),
            Err(error) => nothing_received(error.into()),
        }
    }

    /// Takes the next packet and a descriptor beside it, from a peer that is trusted.
    pub fn receive_with_descriptor(&self, buffer: &mut [u8]) -> io::Result<Received> {
        match socket::receive(&self.0, buffer) {
            Ok(socket::Received { packet, descriptors }) => {
                Ok(Received::Packet(packet.len(), descriptors.into_iter().next()))
            }
            Err(error) => nothing_received(error),
        }
    }

    /// Sends a packet with at most [`DESCRIPTORS_MAX`](socket::DESCRIPTORS_MAX) descriptors.
    ///
    /// # Errors
    /// `WouldBlock` while the peer's queue is full.
    pub fn send(&self, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        socket::send(&self.0, packet, descriptors)
    }

    /// Ends the connection for both ends; what was sent can still be read.
    pub fn shut_down(&self) {
        // Fails only where there is no connection any more.
        let _ = net::shutdown(&self.0, Shutdown::Both);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn nothing_received(error: io::Error) -> io::Result<Received> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(Received::Nothing),
        io::ErrorKind::InvalidData => Ok(Received::TooLong),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Ok(Received::HungUp),
        _ => Err(error),
    }
}
