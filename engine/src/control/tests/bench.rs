//! A running control thread, and the peers around it.

use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use keylane_api::control::{self, ChannelShape, KeyId, KeySelector, Reply, Request, SlotId};
use keylane_api::wire::ABI;
use keylane_api::{Algorithm, Status};
use keylane_shm::EngineFlags;
use rustix::net::{self, AddressFamily, RecvAncillaryMessage, RecvFlags, SendFlags, SocketType, sockopt};
use tempfile::TempDir;

use crate::admin::client::Client;
use crate::admin::status::Status as EngineStatus;
use crate::admin::{GrantId, Who};
use crate::audit::{Archive, AuditLog, AuditRing, Witness};
use crate::config::{Audit, Config, ControlBackend};
use crate::control::{Control, ControlError, ControlParts, WorkerPort};
use crate::counters::Counters;
use crate::directory::Directory;
use crate::limits::{KEEPER_INBOX, WORKER_INBOX};
use crate::mailbox::Mailbox;
use crate::messages::{Change, Committed, FromWorker, KeeperDone, KeeperJob, ToWorker};
use crate::policy::Policy;
use crate::store::{GrantRow, KeyRow, SlotRow};

/// Longer than anything takes that works.
pub const LONG: Duration = Duration::from_secs(20);
pub const WORKERS: usize = 2;
pub const SHAPE: ChannelShape = ChannelShape { entries: 8, submission_bytes: 64, completion_bytes: 64 };

/// A control thread and the other ends of its mailboxes.
pub struct Bench {
    pub directory: TempDir,
    pub workers: Vec<Arc<Mailbox<ToWorker>>>,
    pub from_workers: Arc<Mailbox<FromWorker>>,
    pub keeper: Arc<Mailbox<KeeperJob>>,
    pub from_keeper: Arc<Mailbox<KeeperDone>>,
    pub ring: Arc<AuditRing>,
    pub audit_full: Arc<AtomicBool>,
    pub archive: Archive,
    pub flags: EngineFlags,
    stopper: UnixStream,
    control: Option<JoinHandle<Result<(), ControlError>>>,
}

/// Runs a test on every backend that this machine grants, over a token that grants slot 1 to whoever runs the test.
pub fn on_each_backend(test: impl Fn(Bench)) {
    for backend in [ControlBackend::Epoll, ControlBackend::Auto] {
        test(Bench::start(backend, token()));
    }
}

/// Slots 1 and 2 with a key "web" each; slot 1 granted to this user.
pub fn token() -> Directory {
    Directory::load(
        vec![slot(1), slot(2)],
        vec![grant(1, 1, own_uid(), None)],
        vec![key(10, 1, "web"), key(20, 2, "web")],
    )
}

pub fn own_uid() -> Who {
    Who::Uid(rustix::process::geteuid().as_raw())
}

pub fn slot(number: u32) -> SlotRow {
    SlotRow { slot: SlotId(number), name: format!("slot-{number}") }
}

pub fn grant(number: u32, slot: u32, who: Who, listener: Option<PathBuf>) -> GrantRow {
    GrantRow { grant: GrantId(number), slot: SlotId(slot), who, listener, epoch: 1 }
}

pub fn key(number: u64, slot: u32, label: &str) -> KeyRow {
    KeyRow {
        key: KeyId(number),
        slot: SlotId(slot),
        label: label.to_owned(),
        algorithm: Algorithm::P256,
        public: number.to_be_bytes().to_vec(),
        policy: Policy::DEFAULT,
    }
}

pub fn committed(change: Change) -> Committed {
    Committed { change, epoch: 77, commitment: [5; 32] }
}

impl Bench {
    pub fn start(control_backend: ControlBackend, token: Directory) -> Self {
        let (mut bench, mut control) = Self::build(control_backend, token);
        bench.control = Some(std::thread::spawn(move || control.serve()));
        bench
    }

    /// A control thread that does not run yet.
    pub fn build(control_backend: ControlBackend, token: Directory) -> (Self, Control) {
        let directory = tempfile::tempdir().unwrap();
        let config = Config {
            store: directory.path().to_owned(),
            socket: directory.path().join("run/keylane.sock"),
            control_backend,
            ..Config::default()
        };
        let mailbox = || Arc::new(Mailbox::new(WORKER_INBOX).unwrap());
        let workers: Vec<_> = (0..WORKERS).map(|_| mailbox()).collect();
        let from_workers = Arc::new(Mailbox::new(WORKER_INBOX).unwrap());
        let keeper = Arc::new(Mailbox::new(KEEPER_INBOX).unwrap());
        let from_keeper = Arc::new(Mailbox::new(KEEPER_INBOX).unwrap());
        let audit_full = Arc::new(AtomicBool::new(false));
        let ring = Arc::new(AuditRing::new(Arc::clone(&audit_full)));
        let archive = Archive::open(&directory.path().join("audit"), Audit::default(), 0).unwrap();
        let segment = archive.create(0, Witness { store: [7; 16], epoch: 1 }).unwrap();
        let port = |(number, inbox): (u32, &Arc<Mailbox<ToWorker>>)| WorkerPort {
            inbox: Arc::clone(inbox),
            counters: Arc::new(Counters::new(number, None)),
        };
        let (flags, flag_page) = EngineFlags::create(WORKERS).unwrap();
        let control = Control::new(ControlParts {
            config,
            directory: token,
            workers: (0..).zip(&workers).map(port).collect(),
            from_workers: Arc::clone(&from_workers),
            keeper: Arc::clone(&keeper),
            from_keeper: Arc::clone(&from_keeper),
            audit: AuditLog::new(segment, None, 1, vec![Arc::clone(&ring)], Arc::clone(&audit_full)),
            kernels: None,
            flag_page,
            store_epoch: 1,
        })
        .unwrap();
        let stopper = control.stopper.try_clone().unwrap();
        let bench = Self {
            directory,
            workers,
            from_workers,
            keeper,
            from_keeper,
            ring,
            audit_full,
            archive,
            flags,
            stopper,
            control: None,
        };
        (bench, control)
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("run/keylane.sock")
    }

    /// A connection that has said nothing yet.
    pub fn stranger(&self) -> Peer {
        Peer::connect(&self.socket()).unwrap()
    }

    /// A client with a session.
    pub fn client(&self) -> Peer {
        let mut peer = self.stranger();
        peer.greet();
        peer
    }

    pub fn admin(&self) -> Client {
        Client::connect(self.directory.path()).unwrap()
    }

    pub fn status(&self) -> EngineStatus {
        serde_json::from_str(&self.admin().status().unwrap()).unwrap()
    }

    /// The next message to a worker.
    pub fn mail(&self, worker: usize) -> ToWorker {
        until(|| self.workers[worker].receive())
    }

    /// The next job for the keeper, which is a change.
    pub fn job(&self) -> (u64, crate::admin::Request, Option<OwnedFd>) {
        match until(|| self.keeper.receive()) {
            KeeperJob::Change { ticket, request, file } => (ticket, request, file),
            _ => panic!("another job"),
        }
    }

    /// Carries out the next change, as the keeper would.
    pub fn carry_out(&self, change: Change) {
        let (ticket, _, _) = self.job();
        let outcome = Ok(committed(change));
        assert!(self.from_keeper.send(KeeperDone::Change { ticket, outcome }).is_ok());
    }

    /// Lets an administrator ask for a change and carries it out; returns when it was answered.
    pub fn change<T: Send>(&self, change: Change, ask: impl FnOnce(&mut Client) -> T + Send) -> T {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| ask(&mut self.admin()));
            self.carry_out(change);
            asked.join().unwrap()
        })
    }

    /// Asks it to stop.
    pub fn ask_to_stop(&self) {
        (&self.stopper).write_all(&[1]).unwrap();
    }

    /// Its end.
    pub fn join(&mut self) -> Result<(), ControlError> {
        self.control.take().unwrap().join().unwrap()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.control.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(control) = self.control.take() {
            while !control.is_finished() {
                // More than once: whoever does so does not wait for workers.
                let _ = (&self.stopper).write_all(&[1]);
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(control.join().is_ok() || std::thread::panicking(), "the control thread panicked");
        }
    }
}

/// Waits until `attempt` gives something.
pub fn until<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(got) = attempt() {
            return got;
        }
        assert!(Instant::now() < deadline, "nothing came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A process at the client socket that may send anything.
pub struct Peer(OwnedFd);

impl Peer {
    pub fn connect(path: &Path) -> rustix::io::Result<Self> {
        let socket = net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None)?;
        net::connect(&socket, &net::SocketAddrUnix::new(path)?)?;
        for direction in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
            sockopt::set_socket_timeout(&socket, direction, Some(LONG))?;
        }
        Ok(Self(socket))
    }

    pub fn greet(&mut self) -> u32 {
        match self.ask(&hello()).0 {
            Reply::Welcome { session, .. } => session,
            other => panic!("{other:?}"),
        }
    }

    pub fn ask(&mut self, request: &Request) -> (Reply, Vec<OwnedFd>) {
        self.send(request);
        self.receive()
    }

    /// The status with which a request is refused.
    pub fn refused(&mut self, request: &Request) -> (Status, String) {
        match self.ask(request).0 {
            Reply::Refused { status, detail } => (status, detail),
            other => panic!("{other:?}"),
        }
    }

    pub fn resolve(&mut self, slot: &str) -> control::KeyInfo {
        match self.ask(&resolve(slot)).0 {
            Reply::KeyResolved(info) => info,
            other => panic!("{other:?}"),
        }
    }

    pub fn open(&mut self) -> u32 {
        match self.ask(&open(SHAPE)).0 {
            Reply::ChannelOpened { channel, .. } => channel,
            other => panic!("{other:?}"),
        }
    }

    pub fn send(&self, request: &Request) {
        self.send_raw(&control::encode(request).unwrap(), &[]).unwrap();
    }

    /// Whether a request can be sent without waiting.
    pub fn try_send(&self, request: &Request) -> bool {
        net::send(&self.0, &control::encode(request).unwrap(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
            .is_ok()
    }

    pub fn send_raw(&self, octets: &[u8], descriptors: &[BorrowedFd<'_>]) -> rustix::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut ancillary = net::SendAncillaryBuffer::new(&mut space);
        ancillary.push(net::SendAncillaryMessage::ScmRights(descriptors));
        net::sendmsg(&self.0, &[IoSlice::new(octets)], &mut ancillary, SendFlags::NOSIGNAL)
    }

    pub fn receive(&self) -> (Reply, Vec<OwnedFd>) {
        self.try_receive().expect("an answer, not a hang-up")
    }

    /// The next answer; `None` after a hang-up.
    pub fn try_receive(&self) -> Option<(Reply, Vec<OwnedFd>)> {
        let mut packet = vec![0; control::PACKET_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut ancillary = net::RecvAncillaryBuffer::new(&mut space);
        let slices = &mut [IoSliceMut::new(&mut packet)];
        let receive = || net::recvmsg(&self.0, slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC);
        let received = match rustix::io::retry_on_intr(receive) {
            Ok(received) if received.bytes > 0 => received,
            Ok(_) | Err(rustix::io::Errno::CONNRESET) => return None,
            Err(error) => panic!("{error}"),
        };
        let mut descriptors = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        Some((control::decode(&packet[..received.bytes]).unwrap(), descriptors))
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

pub fn hello() -> Request {
    Request::Hello { abi: ABI, program: "test".to_owned() }
}

pub fn resolve(slot: &str) -> Request {
    let selector = KeySelector::Label { slot: Some(slot.to_owned()), label: "web".to_owned() };
    Request::ResolveKey { selector }
}

pub fn open(shape: ChannelShape) -> Request {
    Request::OpenChannel { shape, wake_descriptor: false }
}
