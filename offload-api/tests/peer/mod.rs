//! A small engine inside a test: real sockets, regions and rings; signatures that anybody can recompute.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytemuck::{bytes_of, cast_slice, cast_slice_mut, pod_read_unaligned};
use keylane_api::control::{
    self, ChannelShape, KeyId, KeyInfo, KeySelector, PACKET_BYTES_MAX, Reply, Request, SlotId, socket,
};
use keylane_api::wire::{
    COMPLETION_HEADER_BYTES, CompletionHeader, KeyHandle, Operation, SUBMISSION_HEADER_BYTES,
    SubmissionHeader,
};
use keylane_api::{Algorithm, Client, Config, Key, Status};
use keylane_shm::{Bell, EngineChannel, EngineFlags, Geometry, Parker};
use rustix::net::{self, AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// How often threads look whether they are to end.
const TICK: Duration = Duration::from_millis(2);
/// Words of the flag page: one for each channel, as each has its own thread.
const WORKERS: usize = 256;

/// A submission as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its header.
    pub header: SubmissionHeader,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Label of its key, as the session's handle says.
    pub label: Option<String>,
    /// Octets of a whole completion entry.
    pub completion_bytes: usize,
}

/// A completion to be written, header and payload, whether they fit each other or not.
pub type Completion = (CompletionHeader, Vec<u8>);

/// What an engine does with a submission: the completions that it writes now.
pub type Serve = dyn FnMut(Asked) -> Vec<Completion> + Send;

impl Asked {
    /// The answer of an honest engine.
    pub fn answer(&self) -> Completion {
        let operation = Operation::from_code(self.header.operation);
        let result = match (operation, &self.label) {
            (Some(Operation::Ping), _) => self.payload.clone(),
            (Some(Operation::Random), _) => {
                vec![4; u32::from_le_bytes(self.payload[..].try_into().unwrap()) as usize]
            }
            (Some(Operation::Sign), Some(label)) => signature(label, &self.payload),
            (Some(Operation::ExportPublic), Some(label)) => public(label),
            (_, None) => return self.refuse(Status::StaleHandle),
            _ => return self.refuse(Status::UnknownOperation),
        };
        self.give(result)
    }

    /// Success with this result.
    pub fn give(&self, result: Vec<u8>) -> Completion {
        let length = u32::try_from(result.len()).unwrap();
        (CompletionHeader { tag: self.header.tag, length, ..CompletionHeader::default() }, result)
    }

    /// No success.
    pub fn refuse(&self, status: Status) -> Completion {
        let header = CompletionHeader { tag: self.header.tag, status: status as u16, ..Default::default() };
        (header, Vec::new())
    }
}

/// The signature over `message` of the P-256 key with this label.
pub fn signature(label: &str, message: &[u8]) -> Vec<u8> {
    let seed = label.bytes().chain(message.iter().copied());
    let hash = seed.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash.to_le_bytes().repeat(8)
}

/// The public half of the P-256 key with this label, DER `SubjectPublicKeyInfo`.
pub fn public(label: &str) -> Vec<u8> {
    const PREFIX: [u8; 27] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    [&PREFIX[..], &signature(label, b"public")].concat()
}

/// The key with this label, known without an engine.
pub fn key(label: &str) -> Key {
    Key::new(selector(label), public(label)).unwrap()
}

/// Names the key with this label.
pub fn selector(label: &str) -> KeySelector {
    KeySelector::Label { slot: None, label: label.to_owned() }
}

/// A client of the engine at `path` that never spins, so that tests run alike on few cores.
pub fn client(path: &Path) -> Client {
    Client::new(Config { spin: Duration::ZERO, ..Config::for_socket(path) })
}

/// Far enough that no honest operation reaches it.
pub fn far() -> Instant {
    Instant::now() + Duration::from_mins(5)
}

/// What tests count.
#[derive(Debug, Default)]
pub struct Counts {
    /// Sessions opened.
    pub sessions: AtomicUsize,
    /// Sessions whose client has not hung up.
    pub open_sessions: AtomicUsize,
    /// Channels opened.
    pub channels: AtomicUsize,
    /// Channels that are open.
    pub open_channels: AtomicUsize,
    /// Handles given out and not released.
    pub handles: AtomicUsize,
    /// Times that a client rang.
    pub rings: AtomicUsize,
    /// Entries taken in.
    pub taken: AtomicUsize,
}

/// A running engine.
pub struct Peer {
    path: PathBuf,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

/// What all of an engine's threads share.
struct Engine {
    serve: Mutex<Box<Serve>>,
    control: Control,
    flags: EngineFlags,
    flag_page: OwnedFd,
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    workers: AtomicU32,
}

/// An engine's answers on the control socket, where they are not the usual ones.
pub type Control = Arc<dyn Fn(&Request) -> Option<Vec<u8>> + Send + Sync>;

impl Peer {
    /// An engine at `path` that does what it is asked.
    pub fn honest(path: &Path) -> Self {
        Self::start(path, |asked| vec![asked.answer()])
    }

    /// An engine at `path` that does this.
    pub fn start(path: &Path, serve: impl FnMut(Asked) -> Vec<Completion> + Send + 'static) -> Self {
        Self::start_with(path, serve, Arc::new(|_| None))
    }

    /// An engine at `path` that does this, and answers so on the control socket.
    pub fn start_with(
        path: &Path,
        serve: impl FnMut(Asked) -> Vec<Completion> + Send + 'static,
        control: Control,
    ) -> Self {
        let _ = std::fs::remove_file(path);
        let listener =
            net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        net::bind(&listener, &SocketAddrUnix::new(path).unwrap()).unwrap();
        net::listen(&listener, 64).unwrap();
        let (flags, flag_page) = EngineFlags::create(WORKERS).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Counts::default());
        let engine = Arc::new(Engine {
            serve: Mutex::new(Box::new(serve)),
            control,
            flags,
            flag_page,
            stop: stop.clone(),
            counts: counts.clone(),
            workers: AtomicU32::new(0),
        });
        let acceptor = thread::spawn(move || engine.accept(&listener));
        Self { path: path.to_owned(), counts, stop, acceptor: Some(acceptor) }
    }

    /// What happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Dies without a word: nothing in flight is answered.
    pub fn kill(self) -> PathBuf {
        self.path.clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.acceptor.take().unwrap().join().unwrap();
    }
}

/// A client's connection.
struct Session {
    engine: Arc<Engine>,
    socket: OwnedFd,
    number: u32,
    labels: Arc<Mutex<Vec<Option<String>>>>,
    channels: Vec<(u32, Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Engine {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn accept(self: &Arc<Self>, listener: &OwnedFd) {
        let mut sessions = Vec::new();
        while !self.stopped() {
            if socket::wait(listener, Instant::now() + TICK).unwrap() {
                let socket = net::accept_with(listener, SocketFlags::CLOEXEC).unwrap();
                let engine = self.clone();
                sessions.push(thread::spawn(move || Session::new(engine, socket).run()));
            }
        }
        for session in sessions {
            session.join().unwrap();
        }
    }
}

impl Session {
    fn new(engine: Arc<Engine>, socket: OwnedFd) -> Self {
        // Every engine counts its sessions from 1: only the client can tell two engines' handles apart.
        let number = engine.counts.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        engine.counts.open_sessions.fetch_add(1, Ordering::Relaxed);
        let number = u32::try_from(number).unwrap();
        Self { engine, socket, number, labels: Arc::default(), channels: Vec::new() }
    }

    fn run(mut self) {
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        while !self.engine.stopped() {
            if !socket::wait(&self.socket, Instant::now() + TICK).unwrap() {
                continue;
            }
            let Ok(received) = socket::receive(&self.socket, &mut buffer) else { break };
            let request = control::decode(received.packet).unwrap();
            let (reply, descriptors) = self.serve(&request);
            let packet = (self.engine.control)(&request).unwrap_or_else(|| control::encode(&reply).unwrap());
            let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            if socket::send(&self.socket, &packet, &descriptors).is_err() {
                break;
            }
        }
        while let Some((channel, ..)) = self.channels.first() {
            self.close(*channel);
        }
        self.engine.counts.open_sessions.fetch_sub(1, Ordering::Relaxed);
    }

    fn serve(&mut self, request: &Request) -> (Reply, Vec<OwnedFd>) {
        match request {
            Request::Hello { .. } => {
                let welcome = Reply::Welcome {
                    abi: 1,
                    session: self.number,
                    engine_pid: std::process::id(),
                    busy_poll: false,
                    channels_max: 256,
                };
                (welcome, vec![self.engine.flag_page.try_clone().unwrap()])
            }
            Request::OpenChannel { shape, wake_descriptor } => self.open(*shape, *wake_descriptor),
            Request::CloseChannel { channel } => {
                self.close(*channel);
                (Reply::Done, Vec::new())
            }
            Request::ResolveKey { selector: KeySelector::Label { label, .. } } if label != "absent" => {
                (Reply::KeyResolved(self.bind(label)), Vec::new())
            }
            Request::ReleaseKey { handle } => {
                self.engine.counts.handles.fetch_sub(1, Ordering::Relaxed);
                self.labels.lock().unwrap()[handle.index as usize] = None;
                (Reply::Done, Vec::new())
            }
            Request::ResolveKey { .. } => {
                let detail = "no such key here".to_owned();
                (Reply::Refused { status: Status::NotFound, detail }, Vec::new())
            }
        }
    }

    fn bind(&self, label: &str) -> KeyInfo {
        self.engine.counts.handles.fetch_add(1, Ordering::Relaxed);
        let mut labels = self.labels.lock().unwrap();
        labels.push(Some(label.to_owned()));
        let index = u32::try_from(labels.len() - 1).unwrap();
        KeyInfo {
            handle: KeyHandle { session: self.number, index, generation: 0, reserved: 0 },
            slot: SlotId(1),
            key: KeyId(1),
            label: label.to_owned(),
            algorithm: Algorithm::P256,
            public: public(label),
            schemes: Algorithm::P256.schemes().to_vec(),
        }
    }

    fn open(&mut self, shape: ChannelShape, wake_descriptor: bool) -> (Reply, Vec<OwnedFd>) {
        let counts = &self.engine.counts;
        counts.open_channels.fetch_add(1, Ordering::Relaxed);
        let channel = u32::try_from(counts.channels.fetch_add(1, Ordering::Relaxed)).unwrap();
        let ChannelShape { entries, submission_bytes, completion_bytes } = shape;
        let geometry = Geometry::new(entries, submission_bytes, completion_bytes).unwrap();
        let (rings, regions) = EngineChannel::create(geometry).unwrap();
        let worker = self.engine.workers.fetch_add(1, Ordering::Relaxed) % u32::try_from(WORKERS).unwrap();
        rings.own(worker);
        let bell = Bell::new().unwrap();
        let wake = wake_descriptor.then(|| {
            net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
        });
        let (ours, theirs) = wake.unzip();
        let descriptors = [regions.submission, regions.completion, bell.try_clone().unwrap().into()];
        let closed = Arc::new(AtomicBool::new(false));
        let worker_thread = Worker {
            engine: self.engine.clone(),
            labels: self.labels.clone(),
            shape,
            rings,
            bell,
            wake: ours,
            closed: closed.clone(),
            index: worker as usize,
        };
        self.channels.push((channel, closed, thread::spawn(move || worker_thread.run())));
        let reply = Reply::ChannelOpened { channel, worker, shape };
        (reply, descriptors.into_iter().chain(theirs).collect())
    }

    fn close(&mut self, channel: u32) {
        let index = self.channels.iter().position(|(number, ..)| *number == channel).unwrap();
        let (_, closed, thread) = self.channels.swap_remove(index);
        closed.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        self.engine.counts.open_channels.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one channel.
struct Worker {
    engine: Arc<Engine>,
    labels: Arc<Mutex<Vec<Option<String>>>>,
    shape: ChannelShape,
    rings: EngineChannel,
    bell: Bell,
    wake: Option<OwnedFd>,
    closed: Arc<AtomicBool>,
    index: usize,
}

impl Worker {
    fn run(mut self) {
        let mut parker = Parker::new().unwrap();
        parker.add(self.bell.as_fd(), 0).unwrap();
        while !self.engine.stopped() && !self.closed.load(Ordering::Relaxed) {
            if self.turn() {
                continue;
            }
            self.engine.flags.announce_sleep(self.index);
            if self.rings.submissions().available() == Ok(0) {
                let mut rings = 0;
                parker.park(Some(TICK), |_| rings += 1).unwrap();
                self.engine.counts.rings.fetch_add(rings, Ordering::Relaxed);
            }
            self.engine.flags.announce_awake(self.index);
        }
    }

    /// Serves what waits; `false` when nothing does. An engine whose client broke protocol stops serving it.
    fn turn(&mut self) -> bool {
        let mut words = vec![0; self.shape.submission_bytes as usize / 8];
        if !self.rings.submissions().pop(&mut words).unwrap_or(false) {
            return false;
        }
        self.rings.submissions().release();
        self.engine.counts.taken.fetch_add(1, Ordering::Relaxed);
        let asked = self.asked(cast_slice(&words));
        let completions = (self.engine.serve.lock().unwrap())(asked);
        for (header, payload) in completions {
            self.write(&header, &payload);
        }
        self.rings.completions().publish();
        if self.rings.client_sleeps() {
            match &self.wake {
                Some(wake) => drop(net::send(wake, &[1], SendFlags::DONTWAIT | SendFlags::NOSIGNAL)),
                None => self.rings.wake().unwrap(),
            }
        }
        true
    }

    fn asked(&self, entry: &[u8]) -> Asked {
        let (header, payload) = entry.split_at(SUBMISSION_HEADER_BYTES);
        let header: SubmissionHeader = pod_read_unaligned(header);
        let labels = self.labels.lock().unwrap();
        let label = labels.get(header.key.index as usize).cloned().flatten();
        Asked {
            header,
            payload: payload[..header.length as usize].to_vec(),
            label: label.filter(|_| header.key.session != 0),
            completion_bytes: self.shape.completion_bytes as usize,
        }
    }

    fn write(&mut self, header: &CompletionHeader, payload: &[u8]) {
        let mut words = vec![0_u64; (COMPLETION_HEADER_BYTES + payload.len()).div_ceil(8)];
        let bytes: &mut [u8] = cast_slice_mut(&mut words);
        bytes[..COMPLETION_HEADER_BYTES].copy_from_slice(bytes_of(header));
        bytes[COMPLETION_HEADER_BYTES..][..payload.len()].copy_from_slice(payload);
        assert!(self.rings.completions().push(&words).unwrap(), "clients leave room for what they asked for");
    }
}
