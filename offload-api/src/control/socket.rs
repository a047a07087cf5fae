//! Packets of the control sockets, and the descriptors that travel beside them (`SOCK_SEQPACKET`, `SCM_RIGHTS`).
//!
//! Nothing here blocks but [`wait`]: a call that would answers [`io::ErrorKind::WouldBlock`].

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, recvmsg, sendmsg, socket_with,
};

/// Descriptors of one packet.
pub const DESCRIPTORS_MAX: usize = 4;
/// Octets of a socket's path: `sun_path` without its terminating zero (unix(7)).
pub const PATH_BYTES_MAX: usize = 107;

/// A packet as it came.
#[derive(Debug)]
pub struct Received<'a> {
    /// Its octets.
    pub packet: &'a [u8],
    /// Its descriptors, all of them close-on-exec.
    pub descriptors: Vec<OwnedFd>,
}

/// Connects to the socket at `path`, without waiting.
///
/// # Errors
/// What Linux says; `WouldBlock` when too many others wait to be accepted.
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// Sends one packet with copies of at most [`DESCRIPTORS_MAX`] descriptors.
///
/// # Errors
/// What Linux says; `InvalidInput` for more descriptors.
pub fn send(socket: impl AsFd, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    // The space has a little more room than it says.
    if descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let slices = [IoSlice::new(packet)];
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    retry_on_intr(|| sendmsg(&socket, &slices, &mut ancillary, flags))?;
    Ok(())
}

/// Receives one packet into `buffer`.
///
/// # Errors
/// What Linux says; `UnexpectedEof` when the peer hung up; `InvalidData` when the packet is longer than `buffer` or
/// comes with more than [`DESCRIPTORS_MAX`] descriptors.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Received<'_>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = retry_on_intr(|| recvmsg(&socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags))?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    let truncated = received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    if truncated || descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // A message has at least one octet.
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Received { packet: &buffer[..received.bytes], descriptors })
}

/// Waits until `socket` has a packet or its peer hung up; `false` when `deadline` passed first.
///
/// # Errors
/// What Linux says of the wait.
pub fn wait(socket: impl AsFd, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Longer than Linux can express is for ever.
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(&socket, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the peer hung up.
pub fn is_hung_up(socket: impl AsFd) -> bool {
    let mut watched = [PollFd::new(&socket, PollFlags::RDHUP)];
    let ready = retry_on_intr(|| poll(&mut watched, Some(&Timespec::default())));
    ready.is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::fd::{AsFd, OwnedFd};
    use std::time::{Duration, Instant};

    use rustix::io::FdFlags;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::{DESCRIPTORS_MAX, is_hung_up, receive, send, wait};

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn packets_keep_their_bounds_and_descriptors() {
        let (a, b) = pair();
        send(&a, b"one", &[]).unwrap();
        send(&a, b"two", &[a.as_fd(), b.as_fd()]).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(receive(&b, &mut buffer).unwrap().packet, b"one");
        let second = receive(&b, &mut buffer).unwrap();
        assert_eq!((second.packet, second.descriptors.len()), (&b"two"[..], 2));
        for descriptor in &second.descriptors {
            assert!(rustix::io::fcntl_getfd(descriptor).unwrap().contains(FdFlags::CLOEXEC));
        }
        assert_eq!(receive(&b, &mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_costs_no_descriptor() {
        let (a, b) = pair();
        let (kept, sent) = pair();
        send(&a, &[1; 17], &[sent.as_fd()]).unwrap();
        drop(sent);
        assert_eq!(receive(&b, &mut [0; 16]).unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(is_hung_up(&kept), "the descriptor of the refused packet was closed");
        let many = [a.as_fd(); DESCRIPTORS_MAX + 1];
        assert_eq!(send(&a, b"many", &many).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_hang_up_is_seen_and_a_deadline_kept() {
        let (a, b) = pair();
        assert!(!is_hung_up(&b));
        assert!(!wait(&b, Instant::now() + Duration::from_millis(1)).unwrap());
        drop(a);
        assert!(is_hung_up(&b));
        assert!(wait(&b, Instant::now() + Duration::from_mins(1)).unwrap());
        assert_eq!(receive(&b, &mut [0; 16]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
