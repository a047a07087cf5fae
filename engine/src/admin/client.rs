//! The administrator's end of `admin.sock`: one request, one answer, waiting no longer than [`DEADLINE`].

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keylane_api::control::socket::{self, PATH_BYTES_MAX};
use keylane_api::control::{self, CodecError};
use keylane_api::{Algorithm, Status as Code};

use super::{
    GrantId, GrantView, KeyView, PACKET_BYTES_MAX, Page, Reply, Request, SOCKET_NAME, SlotView, Who,
};

/// Longest wait for one answer: an RSA-4096 key takes a second or two to generate, a commit on a slow disk as long.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// The answer inside this kind of reply, and no other.
macro_rules! only {
    ($reply:ident) => {
        |reply| match reply {
            Reply::$reply(answer) => Some(answer),
            _ => None,
        }
    };
}

/// A connection to the engine of one store.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    packet: Vec<u8>,
}

/// Why an administrator got no answer, or which.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens in the store directory.
    #[error("no engine is running on store {store}; start it with `keylane serve --store {store}`", store = store.display())]
    NotRunning {
        /// The store directory.
        store: PathBuf,
    },
    /// The socket is there, but not for this user.
    #[error("{path}: permission denied; run this as the engine's user or as root", path = path.display())]
    Forbidden {
        /// The socket.
        path: PathBuf,
    },
    /// The socket's path does not fit a socket address.
    #[error("{path}: too long for a socket path, Linux allows {PATH_BYTES_MAX} octets; choose a shorter store directory", path = path.display())]
    PathTooLong {
        /// The socket.
        path: PathBuf,
    },
    /// The engine went away, or took longer than [`DEADLINE`].
    #[error("the engine did not answer: {0}; its log says why")]
    Connection(#[from] io::Error),
    /// The engine speaks another version of this protocol.
    #[error("{0}; are `keylane` and the engine of the same version?")]
    Protocol(#[from] CodecError),
    /// An answer to another question.
    #[error(
        "the engine gave an answer to another question; are `keylane` and the engine of the same version?"
    )]
    Unexpected,
    /// The engine said no.
    #[error("{detail}")]
    Refused {
        /// Why.
        status: Code,
        /// Names the culprit and the remedy.
        detail: String,
    },
}

impl Client {
    /// Connects to the engine that runs on `store`.
    pub fn connect(store: &Path) -> Result<Self, ClientError> {
        let path = store.join(SOCKET_NAME);
        if path.as_os_str().len() > PATH_BYTES_MAX {
            return Err(ClientError::PathTooLong { path });
        }
        let socket = socket::connect(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning { store: store.to_owned() }
            }
            io::ErrorKind::PermissionDenied => ClientError::Forbidden { path },
            _ => ClientError::Connection(error),
        })?;
        Ok(Self { socket, packet: vec![0; PACKET_BYTES_MAX] })
    }

    /// State and counters of the engine, as JSON.
    pub fn status(&mut self) -> Result<String, ClientError> {
        self.ask(&Request::Status, only!(Status))
    }

    /// Creates a slot that nobody is granted.
    pub fn create_slot(&mut self, name: &str) -> Result<SlotView, ClientError> {
        self.ask(&Request::SlotCreate { name: name.to_owned() }, only!(Slot))
    }

    /// Every slot, in order of their numbers.
    pub fn slots(&mut self) -> Result<Vec<SlotView>, ClientError> {
        self.pages(
            |last: Option<&SlotView>| Request::SlotList { after: last.map(|view| view.slot) },
            only!(Slots),
        )
    }

    /// Grants `slot` to `who` through `listener`.
    pub fn add_grant(
        &mut self,
        slot: &str,
        who: Who,
        listener: Option<PathBuf>,
    ) -> Result<GrantView, ClientError> {
        self.ask(&Request::GrantAdd { slot: slot.to_owned(), who, listener }, only!(Grant))
    }

    /// Every grant, in order of their numbers.
    pub fn grants(&mut self) -> Result<Vec<GrantView>, ClientError> {
        self.pages(
            |last: Option<&GrantView>| Request::GrantList { after: last.map(|view| view.grant) },
            only!(Grants),
        )
    }

    /// Revokes a grant.
    pub fn revoke_grant(&mut self, grant: GrantId) -> Result<(), ClientError> {
        self.order(&Request::GrantRevoke { grant })
    }

    /// Generates a key in the engine.
    pub fn generate_key(
        &mut self,
        slot: &str,
        label: &str,
        algorithm: Algorithm,
        allow: Option<String>,
    ) -> Result<KeyView, ClientError> {
        let (slot, label) = (slot.to_owned(), label.to_owned());
        self.ask(&Request::KeyGenerate { slot, label, algorithm, allow }, only!(Key))
    }

    /// Imports the key in `file`, which the engine reads: the octets never pass through this process.
    pub fn import_key(
        &mut self,
        slot: &str,
        label: &str,
        allow: Option<String>,
        file: BorrowedFd<'_>,
    ) -> Result<KeyView, ClientError> {
        let (slot, label) = (slot.to_owned(), label.to_owned());
        self.send(&Request::KeyImport { slot, label, allow }, Some(file))?;
        answer(self.receive()?, only!(Key))
    }

    /// Every key, of `slot` if one is named, in order of their numbers.
    pub fn keys(&mut self, slot: Option<&str>) -> Result<Vec<KeyView>, ClientError> {
        self.pages(
            |last: Option<&KeyView>| Request::KeyList {
                slot: slot.map(str::to_owned),
                after: last.map(|view| view.key),
            },
            only!(Keys),
        )
    }

    /// One key.
    pub fn key(&mut self, slot: &str, label: &str) -> Result<KeyView, ClientError> {
        self.ask(&Request::KeyShow { slot: slot.to_owned(), label: label.to_owned() }, only!(Key))
    }

    /// Deletes a key for ever.
    pub fn delete_key(&mut self, slot: &str, label: &str) -> Result<(), ClientError> {
        self.order(&Request::KeyDelete { slot: slot.to_owned(), label: label.to_owned() })
    }

    fn pages<T>(
        &mut self,
        request: impl Fn(Option<&T>) -> Request,
        page: impl Fn(Reply) -> Option<Page<T>>,
    ) -> Result<Vec<T>, ClientError> {
        let mut all = Vec::new();
        loop {
            let Page { entries, more } = self.ask(&request(all.last()), &page)?;
            let stuck = entries.is_empty();
            all.extend(entries);
            if !more || stuck {
                return Ok(all);
            }
        }
    }

    fn order(&mut self, request: &Request) -> Result<(), ClientError> {
        self.ask(request, |reply| matches!(reply, Reply::Done).then_some(()))
    }

    fn ask<T>(
        &mut self,
        request: &Request,
        expected: impl FnOnce(Reply) -> Option<T>,
    ) -> Result<T, ClientError> {
        self.send(request, None)?;
        answer(self.receive()?, expected)
    }

    fn send(&self, request: &Request, file: Option<BorrowedFd<'_>>) -> Result<(), ClientError> {
        Ok(socket::send(&self.socket, &control::encode(request)?, file.as_slice())?)
    }

    fn receive(&mut self) -> Result<Reply, ClientError> {
        if !socket::wait(&self.socket, Instant::now() + DEADLINE)? {
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        }
        let received = socket::receive(&self.socket, &mut self.packet)?;
        Ok(control::decode(received.packet)?)
    }
}

fn answer<T>(reply: Reply, expected: impl FnOnce(Reply) -> Option<T>) -> Result<T, ClientError> {
    match reply {
        Reply::Refused { status, detail } => Err(ClientError::Refused { status, detail }),
        reply => expected(reply).ok_or(ClientError::Unexpected),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::thread;

    use keylane_api::control::{self, SlotId};
    use rustix::net::{self, AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

    use super::super::{Page, Reply, Request, SlotView};
    use super::{Client, ClientError, Code};

    /// An engine that answers each request in turn with the next of `replies`, and returns the requests.
    fn engine(store: &Path, replies: Vec<Reply>) -> thread::JoinHandle<Vec<Request>> {
        let socket =
            net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        net::bind(&socket, &SocketAddrUnix::new(store.join("admin.sock")).unwrap()).unwrap();
        net::listen(&socket, 1).unwrap();
        thread::spawn(move || {
            let peer = net::accept(&socket).unwrap();
            let mut packet = vec![0; control::PACKET_BYTES_MAX];
            let answer = |reply| {
                let (bytes, _) = net::recv(&peer, &mut packet, net::RecvFlags::empty()).unwrap();
                net::send(&peer, &control::encode(&reply).unwrap(), SendFlags::NOSIGNAL).unwrap();
                control::decode(&packet[..bytes]).unwrap()
            };
            replies.into_iter().map(answer).collect()
        })
    }

    fn slot(number: u32) -> SlotView {
        SlotView { slot: SlotId(number), name: format!("slot-{number}"), keys: 0, grants: 0 }
    }

    #[test]
    fn a_listing_is_put_together_from_its_pages() {
        let store = tempfile::tempdir().unwrap();
        let page = |entries, more| Reply::Slots(Page { entries, more });
        let engine =
            engine(store.path(), vec![page(vec![slot(1), slot(2)], true), page(vec![slot(3)], false)]);
        let slots = Client::connect(store.path()).unwrap().slots().unwrap();
        assert_eq!(slots, [slot(1), slot(2), slot(3)]);
        let asked = [Request::SlotList { after: None }, Request::SlotList { after: Some(SlotId(2)) }];
        assert_eq!(engine.join().unwrap(), asked);
    }

    #[test]
    fn a_refusal_and_a_wrong_answer_are_told_apart() {
        let store = tempfile::tempdir().unwrap();
        let refused = Reply::Refused { status: Code::AlreadyExists, detail: "slot a exists".to_owned() };
        engine(store.path(), vec![refused, Reply::Done]);
        let mut client = Client::connect(store.path()).unwrap();
        let refusal = client.create_slot("a").unwrap_err();
        assert!(matches!(refusal, ClientError::Refused { status: Code::AlreadyExists, .. }), "{refusal}");
        assert!(matches!(client.create_slot("a").unwrap_err(), ClientError::Unexpected));
    }

    #[test]
    fn an_engine_that_hangs_up_is_an_error() {
        let store = tempfile::tempdir().unwrap();
        engine(store.path(), Vec::new());
        let mut client = Client::connect(store.path()).unwrap();
        assert!(matches!(client.status().unwrap_err(), ClientError::Connection(_)));
    }

    #[test]
    fn no_engine_is_said_with_the_remedy() {
        let store = tempfile::tempdir().unwrap();
        let absent = Client::connect(store.path()).unwrap_err().to_string();
        engine(store.path(), Vec::new());
        // The first peer is served and the listener closed: the socket's file stays behind.
        drop(Client::connect(store.path()).unwrap());
        let stale = loop {
            match Client::connect(store.path()) {
                // Linux queues some callers for a listener that is about to close.
                Ok(_) | Err(ClientError::Connection(_)) => thread::yield_now(),
                Err(error) => break error.to_string(),
            }
        };
        for message in [absent, stale] {
            let remedy = format!("keylane serve --store {}", store.path().display());
            assert!(message.contains("no engine is running") && message.contains(&remedy), "{message}");
        }
    }

    #[test]
    fn a_store_path_too_long_for_a_socket_is_named() {
        let store = format!("/{}", "d".repeat(120));
        assert!(matches!(Client::connect(Path::new(&store)), Err(ClientError::PathTooLong { .. })));
    }
}
