//! A worker thread and clients with real rings; keys are the business of the end-to-end tests.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytemuck::bytes_of;
use keylane_api::wire::{
    COMPLETION_BYTES_DEFAULT, CompletionHeader, FLAG_DIGEST, KeyHandle, Operation, SUBMISSION_BYTES_DEFAULT,
    SubmissionHeader,
};
use keylane_api::{Scheme, Status};
use keylane_shm::{Bell, ClientChannel, ClientFlags, EngineChannel, EngineFlags, Geometry};

use super::{Ports, Waiting, Worker};
use crate::audit::AuditRing;
use crate::counters::Counters;
use crate::crypto::MultiBuffer;
use crate::limits::TURN_ENTRIES_MAX;
use crate::mailbox::Mailbox;
use crate::messages::{ChannelSeat, FromWorker, PreparerJob, ToWorker};
use crate::pipeline::Pipeline;
use crate::pipeline::audit::Auditor;
use crate::pipeline::lookup::Lookup;

mod cold;

const ENTRIES: u32 = 16;
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    inbox: Arc<Mailbox<ToWorker>>,
    control: Arc<Mailbox<FromWorker>>,
    preparer: Arc<Mailbox<PreparerJob>>,
    counters: Arc<Counters>,
    flags: ClientFlags,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(waiting: Waiting) -> Self {
        let (mut running, worker) = Self::idle(waiting);
        running.thread = Some(std::thread::spawn(move || worker.run()));
        running
    }

    /// A worker that takes its turns when the test says so.
    fn idle(waiting: Waiting) -> (Self, Worker) {
        let inbox = Arc::new(Mailbox::new(256).expect("a mailbox"));
        let control = Arc::new(Mailbox::new(64).expect("a mailbox"));
        let preparer = Arc::new(Mailbox::new(64).expect("a mailbox"));
        let counters = Arc::new(Counters::new(0, None));
        let ring = Arc::new(AuditRing::new(Arc::new(AtomicBool::new(false))));
        let pipeline = Pipeline::new(
            Lookup::new(0, Arc::clone(&preparer)),
            MultiBuffer::default(),
            Auditor::new(ring),
            Arc::clone(&counters),
        );
        let (flags, page) = EngineFlags::create(1).expect("a flag page");
        let ports = Ports { inbox: Arc::clone(&inbox), control: Arc::clone(&control) };
        let worker = Worker::new(0, ports, Arc::new(flags), waiting, Arc::clone(&counters), pipeline)
            .expect("a worker");
        let flags = ClientFlags::map(page).expect("maps");
        (Self { inbox, control, preparer, counters, flags, thread: None }, worker)
    }

    fn connect(&self, session: u32, channel: u32) -> Peer {
        let geometry =
            Geometry::new(ENTRIES, SUBMISSION_BYTES_DEFAULT, COMPLETION_BYTES_DEFAULT).expect("fits");
        let (half, descriptors) = EngineChannel::create(geometry).expect("a channel");
        let bell = Bell::new().expect("a bell");
        let seat = ChannelSeat {
            session,
            channel,
            half,
            entry_bytes: (SUBMISSION_BYTES_DEFAULT, COMPLETION_BYTES_DEFAULT),
            bell: Some(OwnedFd::from(bell.try_clone().expect("clones"))),
            wake: None,
        };
        assert!(self.inbox.send(ToWorker::Open(Box::new(seat))).is_ok());
        Peer { channel: ClientChannel::map(geometry, descriptors).expect("maps"), bell }
    }

    fn answer(&self) -> FromWorker {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(message) = self.control.receive() {
                return message;
            }
            assert!(Instant::now() < end, "the worker says nothing");
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        assert!(self.inbox.send(ToWorker::Stop).is_ok());
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok(), "the worker panicked");
        }
    }
}

/// Octets of the front completion entry behind its payload, up to the end of its last word.
fn padding(peer: &mut Peer) -> Vec<u8> {
    let mut entry = [0xee_u8; COMPLETION_BYTES_DEFAULT as usize];
    assert!(peer.channel.completions().pop(bytemuck::cast_slice_mut(&mut entry)).expect("no fault"));
    peer.channel.completions().release();
    let header: CompletionHeader = bytemuck::pod_read_unaligned(&entry[..24]);
    let end = 24 + header.length as usize;
    entry[end..end.next_multiple_of(8)].to_vec()
}

struct Peer {
    channel: ClientChannel,
    bell: Bell,
}

impl Peer {
    fn submit(&mut self, flags: &ClientFlags, header: SubmissionHeader, payload: &[u8]) {
        let mut entry = [0u64; SUBMISSION_BYTES_DEFAULT as usize / 8];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut entry);
        bytes[..40].copy_from_slice(bytes_of(&header));
        bytes[40..40 + payload.len()].copy_from_slice(payload);
        assert!(self.channel.submissions().push(&entry).expect("no fault"));
        self.channel.submissions().publish();
        if self.channel.owner_sleeps(flags) {
            self.bell.ring().expect("rings");
        }
    }

    fn completion(&mut self) -> (CompletionHeader, Vec<u8>) {
        let mut entry = [0u64; COMPLETION_BYTES_DEFAULT as usize / 8];
        let end = Instant::now() + PATIENCE;
        while !self.channel.completions().pop(&mut entry).expect("no fault") {
            assert!(Instant::now() < end, "no completion");
            self.channel.sleep(Duration::from_millis(50)).expect("no fault");
        }
        self.channel.completions().release();
        let bytes: &[u8] = bytemuck::cast_slice(&entry);
        let header: CompletionHeader = bytemuck::pod_read_unaligned(&bytes[..24]);
        (header, bytes[24..24 + header.length as usize].to_vec())
    }
}

fn ping(tag: u64, length: u32) -> SubmissionHeader {
    SubmissionHeader { tag, operation: Operation::Ping as u16, length, ..SubmissionHeader::default() }
}

fn pings(waiting: Waiting) {
    let worker = Running::start(waiting);
    let mut peers = [worker.connect(1, 1), worker.connect(1, 2), worker.connect(2, 3)];
    for round in 0..500u64 {
        for (number, peer) in (0u64..).zip(&mut peers) {
            peer.submit(&worker.flags, ping(round * 10 + number, 8), &(round ^ number).to_le_bytes());
        }
        for (number, peer) in (0u64..).zip(&mut peers) {
            let (header, payload) = peer.completion();
            assert_eq!((header.tag, header.status), (round * 10 + number, Status::Ok as u16));
            assert_eq!(payload, (round ^ number).to_le_bytes());
        }
    }
    assert_eq!(worker.counters.succeeded.get(), 1500);
}

#[test]
fn a_parking_worker_answers_every_channel() {
    pings(Waiting::SpinThenPark(Duration::ZERO));
}

#[test]
fn a_spinning_worker_answers_every_channel() {
    pings(Waiting::BusyPoll);
}

#[test]
fn a_full_submission_ring_is_answered_whole_and_in_order() {
    let worker = Running::start(Waiting::SpinThenPark(Duration::ZERO));
    let mut peer = worker.connect(1, 1);
    for burst in 0..50u64 {
        for number in 0..u64::from(ENTRIES) {
            peer.submit(&worker.flags, ping(burst * 100 + number, 0), &[]);
        }
        for number in 0..u64::from(ENTRIES) {
            assert_eq!(peer.completion().0.tag, burst * 100 + number);
        }
    }
}

#[test]
fn malformed_entries_get_a_typed_answer_and_the_channel_lives() {
    let worker = Running::start(Waiting::SpinThenPark(Duration::ZERO));
    let mut peer = worker.connect(1, 1);
    let sign = SubmissionHeader {
        operation: Operation::Sign as u16,
        scheme: Scheme::EcdsaP256Sha256 as u16,
        length: 32,
        ..SubmissionHeader::default()
    };
    let cases = [
        (SubmissionHeader { length: u32::MAX, ..ping(0, 0) }, Status::Malformed),
        (SubmissionHeader { length: SUBMISSION_BYTES_DEFAULT - 39, ..ping(0, 0) }, Status::Malformed),
        (SubmissionHeader { reserved: 1, ..ping(0, 0) }, Status::Malformed),
        (SubmissionHeader { flags: 2, ..ping(0, 0) }, Status::Malformed),
        (SubmissionHeader { flags: FLAG_DIGEST, ..ping(0, 0) }, Status::Malformed),
        (SubmissionHeader { scheme: 1, ..ping(0, 0) }, Status::Malformed),
        (SubmissionHeader { operation: 0, ..ping(0, 0) }, Status::UnknownOperation),
        (SubmissionHeader { operation: u16::MAX, ..ping(0, 0) }, Status::UnknownOperation),
        (
            SubmissionHeader { operation: Operation::Random as u16, length: 3, ..ping(0, 0) },
            Status::Malformed,
        ),
        (
            SubmissionHeader { operation: Operation::Random as u16, length: 4, ..ping(0, 0) },
            Status::Malformed,
        ),
        (SubmissionHeader { scheme: 0x0201, ..sign }, Status::SchemeDenied),
        (SubmissionHeader { flags: FLAG_DIGEST, length: 31, ..sign }, Status::Malformed),
        (
            SubmissionHeader { key: KeyHandle { reserved: 1, ..KeyHandle::default() }, ..sign },
            Status::Malformed,
        ),
        (sign, Status::StaleHandle),
        (
            SubmissionHeader {
                key: KeyHandle { session: 1, index: u32::MAX, ..KeyHandle::default() },
                ..sign
            },
            Status::StaleHandle,
        ),
    ];
    for (tag, (header, status)) in (0u64..).zip(cases) {
        peer.submit(&worker.flags, SubmissionHeader { tag, ..header }, &[0; 32]);
        let (answer, payload) = peer.completion();
        assert_eq!((answer.tag, Status::from_code(answer.status)), (tag, Some(status)), "{header:?}");
        assert!(payload.is_empty());
    }
    peer.submit(&worker.flags, ping(99, 0), &[]);
    assert_eq!(peer.completion().0.status, Status::Ok as u16);
}

#[test]
fn random_octets_have_the_length_asked_for_and_differ() {
    let worker = Running::start(Waiting::SpinThenPark(Duration::ZERO));
    let mut peer = worker.connect(1, 1);
    let mut draw = |octets: u32| {
        let header = SubmissionHeader { operation: Operation::Random as u16, ..ping(1, 4) };
        peer.submit(&worker.flags, header, &octets.to_le_bytes());
        peer.completion().1
    };
    let (first, second) = (draw(512), draw(512));
    assert_eq!((first.len(), second.len(), draw(1).len()), (512, 512, 1));
    assert_ne!(first, second);
}

#[test]
fn a_detached_session_is_gone_and_its_neighbour_is_not() {
    let worker = Running::start(Waiting::SpinThenPark(Duration::ZERO));
    let mut gone = worker.connect(1, 1);
    let mut stays = worker.connect(2, 2);
    gone.submit(&worker.flags, ping(1, 0), &[]);
    gone.completion();
    assert!(worker.inbox.send(ToWorker::Detach { session: 1 }).is_ok());
    assert!(matches!(worker.answer(), FromWorker::Detached { session: 1, worker: 0 }));
    stays.submit(&worker.flags, ping(2, 0), &[]);
    assert_eq!(stays.completion().0.tag, 2);
    assert_eq!(worker.counters.channels.get(), 1);
}

#[test]
fn a_draining_worker_refuses_and_says_when_it_is_empty() {
    let worker = Running::start(Waiting::SpinThenPark(Duration::ZERO));
    let mut peer = worker.connect(1, 1);
    assert!(worker.inbox.send(ToWorker::Drain).is_ok());
    assert!(matches!(worker.answer(), FromWorker::Drained { worker: 0 }));
    peer.submit(&worker.flags, ping(1, 0), &[]);
    assert_eq!(peer.completion().0.status, Status::Draining as u16);
}

/// Buffers are used again, whole words go into the ring, and the last user may have been another tenant.
#[test]
fn nothing_of_another_session_stands_behind_an_answer() {
    let (running, mut worker) = Running::idle(Waiting::BusyPoll);
    let mut victim = running.connect(1, 1);
    let mut curious = running.connect(2, 2);
    worker.turn();
    for length in 0..64 {
        for tag in 0..4 {
            victim.submit(&running.flags, ping(tag, 128), &[0xaa; 128]);
        }
        worker.turn();
        curious.submit(&running.flags, ping(9, length), &[0x55; 64][..length as usize]);
        worker.turn();
        let padding = padding(&mut curious);
        assert!(padding.iter().all(|&octet| octet == 0), "{length}: {padding:x?}");
        for _ in 0..4 {
            victim.completion();
        }
    }
}

/// A channel that broke protocol and was closed before its fault was reported, and whoever sits in its place now.
#[test]
fn a_fault_is_not_blamed_on_the_next_in_its_place() {
    let (running, mut worker) = Running::idle(Waiting::BusyPoll);
    let (half, descriptors) = EngineChannel::create(
        Geometry::new(ENTRIES, SUBMISSION_BYTES_DEFAULT, COMPLETION_BYTES_DEFAULT).expect("fits"),
    )
    .expect("a channel");
    let entry_bytes = (SUBMISSION_BYTES_DEFAULT, COMPLETION_BYTES_DEFAULT);
    let seat = ChannelSeat { session: 1, channel: 1, half, entry_bytes, bell: None, wake: None };
    assert!(running.inbox.send(ToWorker::Open(Box::new(seat))).is_ok());
    worker.turn();
    let region = std::fs::File::from(descriptors.submission);
    std::os::unix::fs::FileExt::write_all_at(&region, &[0x77; 4], 0).expect("a tail that cannot be");
    assert!(running.inbox.send(ToWorker::Close { channel: 1 }).is_ok());
    let mut victim = running.connect(2, 2);
    worker.turn();
    assert!(matches!(running.answer(), FromWorker::Closed { channel: 1 }));
    victim.submit(&running.flags, ping(7, 0), &[]);
    worker.turn();
    assert_eq!(victim.completion().0.tag, 7);
    assert!(running.control.receive().is_none(), "nobody is quarantined");
}

/// However much the first channels offer, the last has its turn.
#[test]
fn channels_take_turns() {
    let (running, mut worker) = Running::idle(Waiting::BusyPoll);
    let busy = u32::from(u16::try_from(2 * TURN_ENTRIES_MAX / ENTRIES).expect("few"));
    let mut greedy: Vec<_> = (1..=busy).map(|channel| running.connect(1, channel)).collect();
    let mut last = running.connect(2, busy + 1);
    // The inbox of this test is short.
    worker.turn();
    last.submit(&running.flags, ping(1, 0), &[]);
    for turn in 0..4 {
        for peer in &mut greedy {
            while peer.channel.submissions().has_room_for(1).expect("no fault") {
                peer.submit(&running.flags, ping(0, 0), &[]);
            }
        }
        worker.turn();
        if running.counters.succeeded.get() > 0
            && last.channel.completions().available().expect("no fault") > 0
        {
            return;
        }
        assert!(turn < 3, "the last channel never had its turn");
        for peer in &mut greedy {
            while peer.channel.completions().available().expect("no fault") > 0 {
                peer.completion();
            }
        }
    }
}
