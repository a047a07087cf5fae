//! A client without manners against a real engine: whatever it writes and whatever it does to its descriptors, its own
//! session suffers at most, and a bystander signs on.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what must hold by failing")]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keylane_api::control::{
    ChannelShape, KeySelector, PACKET_BYTES_MAX, Reply, Request, decode, encode, socket,
};
use keylane_api::wire::{ABI, CompletionHeader, Operation, SubmissionHeader};
use keylane_api::{Call, ChannelOptions, Client, Input, Scheme, Status};
use keylane_tests::engine::{Engine, SLOT};
use keylane_tests::process::eventually;
use keylane_tests::signing::{tls13, transcript, verifies};
use keylane_tests::{Options, Token};
use rustix::fs::{FallocateFlags, OFlags, fallocate, fcntl_getfl, fcntl_setfl};

const PATIENCE: Duration = Duration::from_secs(20);
/// Where the words of a submission region lie: its own tail, the completions' head, the sleep word, the entries.
const TAIL: u64 = 0;
const HEAD: u64 = 128;
const SLEEP: u64 = 256;
const ENTRIES: u64 = 384;
const SHAPE: ChannelShape = ChannelShape { entries: 64, submission_bytes: 256, completion_bytes: 640 };

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// A session with one channel, reached by its bare descriptors.
struct Mischief {
    control: OwnedFd,
    submission: File,
    completion: File,
    bell: OwnedFd,
    wake: OwnedFd,
    entry_bytes: u64,
    entries: u32,
    first: u32,
}

impl Mischief {
    fn new(token: &Token) -> Self {
        let control = socket::connect(&token.socket()).expect("the engine listens");
        let (welcome, _) = ask(&control, &Request::Hello { abi: ABI, program: "mischief".to_owned() });
        assert!(matches!(welcome, Reply::Welcome { .. }), "{welcome:?}");
        let open = Request::OpenChannel { shape: SHAPE, wake_descriptor: true };
        let (opened, descriptors) = ask(&control, &open);
        let Reply::ChannelOpened { shape, .. } = opened else { panic!("{opened:?}") };
        let [submission, completion, bell, wake] = descriptors.try_into().expect("four descriptors");
        let submission = File::from(submission);
        let first = word(&submission, TAIL);
        Self {
            control,
            submission,
            completion: File::from(completion),
            bell,
            wake,
            entry_bytes: shape.submission_bytes.into(),
            entries: shape.entries,
            first,
        }
    }

    /// Writes an entry, in the order of submission.
    fn write_entry(&self, number: u32, octets: &[u8]) {
        let cursor = self.first.wrapping_add(number);
        let position = u64::from(cursor % self.entries) * self.entry_bytes;
        self.submission.write_all_at(octets, ENTRIES + position).expect("a client may write its region");
    }

    fn publish(&self, count: u32) {
        self.set(TAIL, self.first.wrapping_add(count));
        self.ring();
    }

    fn set(&self, place: u64, value: u32) {
        self.submission.write_all_at(&value.to_ne_bytes(), place).expect("a client may write its region");
    }

    /// A full counter is a bell that rings already.
    fn ring(&self) {
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Answers so far.
    fn answered(&self) -> u32 {
        word(&self.completion, TAIL).wrapping_sub(self.first)
    }

    /// Tags and statuses of a full completion ring.
    fn answers(&self) -> impl Iterator<Item = (u64, u16)> {
        let place = |number: u32| {
            let cursor = self.first.wrapping_add(number);
            ENTRIES + u64::from(cursor % self.entries) * u64::from(SHAPE.completion_bytes)
        };
        (0..self.entries).map(move |number| {
            let mut header = [0; 24];
            self.completion.read_exact_at(&mut header, place(number)).expect("reads");
            let header: CompletionHeader = bytemuck::pod_read_unaligned(&header);
            (header.tag, header.status)
        })
    }

    fn is_thrown_out(&self) -> bool {
        socket::is_hung_up(&self.control)
    }
}

fn word(region: &File, place: u64) -> u32 {
    let mut octets = [0; 4];
    region.read_exact_at(&mut octets, place).expect("a client may read its regions");
    u32::from_ne_bytes(octets)
}

fn ask(control: &OwnedFd, request: &Request) -> (Reply, Vec<OwnedFd>) {
    socket::send(control, &encode(request).expect("a message"), &[]).expect("sends");
    assert!(socket::wait(control, soon()).expect("a socket"), "no answer");
    let mut buffer = vec![0; PACKET_BYTES_MAX];
    let received = socket::receive(control, &mut buffer).expect("an answer");
    (decode(received.packet).expect("a reply"), received.descriptors)
}

/// Signs and verifies until told to stop.
fn bystander(client: &Client, stop: &AtomicBool, signed: &AtomicU64) {
    let selector = KeySelector::Label { slot: Some(SLOT.to_owned()), label: "k".to_owned() };
    let key = client.key(&selector, soon()).expect("the key is there");
    while !stop.load(Ordering::Relaxed) {
        let message = tls13(&transcript(7, signed.load(Ordering::Relaxed)));
        let scheme = Scheme::EcdsaP256Sha256;
        let signature =
            client.sign(&key, scheme, Input::Message(&message), soon()).expect("a bystander signs on");
        assert!(verifies(key.public(), scheme, &message, signature.raw()));
        signed.fetch_add(1, Ordering::Relaxed);
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `mischief` beside a bystander, who must still get on at its end.
fn beside_a_bystander(mischief: impl FnOnce(&Token, &Engine<'_>)) {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    engine.keylane(&["key", "generate", "--slot", SLOT, "--label", "k", "--algorithm", "p-256"]);
    let client = engine.client();
    let (stop, signed) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| bystander(&client, &stop, &signed));
        let progress = || {
            let before = signed.load(Ordering::Relaxed);
            eventually("the bystander signs", PATIENCE, || {
                (signed.load(Ordering::Relaxed) > before + 20).then_some(())
            });
        };
        progress();
        mischief(&token, &engine);
        progress();
    });
    engine.terminate();
}

#[test]
fn a_cursor_that_cannot_be_ends_its_session_and_no_other() {
    beside_a_bystander(|token, engine| {
        let beyond = SHAPE.entries + 1;
        let places = [(TAIL, beyond), (TAIL, 1 << 31), (TAIL, u32::MAX), (HEAD, beyond), (HEAD, 1 << 31)];
        for (count, (place, distance)) in (1..).zip(places) {
            let mischief = Mischief::new(token);
            if place == HEAD {
                // The head is looked at when the completion ring seems to be full.
                mischief.publish(SHAPE.entries);
                eventually("the ring is full", PATIENCE, || {
                    (mischief.answered() == SHAPE.entries).then_some(())
                });
                mischief.set(HEAD, mischief.first.wrapping_add(distance));
                mischief.publish(SHAPE.entries + 1);
            } else {
                mischief.set(TAIL, mischief.first.wrapping_add(distance));
                mischief.ring();
            }
            let what = format!("{distance} at {place} is a fault");
            eventually(&what, PATIENCE, || mischief.is_thrown_out().then_some(()));
            assert_eq!(engine.status()["quarantined"], count, "{what}");
        }
    });
}

/// Every entry is answered, whatever it holds, and the session goes on.
#[test]
fn entries_of_any_octets_are_answered() {
    beside_a_bystander(|token, engine| {
        let mischief = Mischief::new(token);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut sent = 0;
        while sent < 4 * SHAPE.entries {
            for number in sent..sent + SHAPE.entries {
                let mut entry = [0; SHAPE.submission_bytes as usize];
                for octets in entry.chunks_exact_mut(8) {
                    // xorshift64: dense and sparse words alike.
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    let sparse = if number % 2 == 0 { state } else { state & 0x0301_0001_0000_0107 };
                    octets.copy_from_slice(&sparse.to_ne_bytes());
                }
                mischief.write_entry(number, &entry);
            }
            sent += SHAPE.entries;
            mischief.publish(sent);
            eventually("all are answered", PATIENCE, || (mischief.answered() == sent).then_some(()));
            mischief.set(HEAD, mischief.first.wrapping_add(sent));
        }
        assert!(!mischief.is_thrown_out());
        assert_eq!(engine.status()["quarantined"], 0);
    });
}

/// What Linux lets a client do to its descriptors: blocking mode, a full counter, holes, a reader that never reads.
#[test]
fn descriptors_in_any_state_hurt_only_their_owner() {
    beside_a_bystander(|token, engine| {
        let mischief = Mischief::new(token);
        for descriptor in [&mischief.bell, &mischief.wake, &mischief.control] {
            let flags = fcntl_getfl(descriptor).expect("flags");
            fcntl_setfl(descriptor, flags.difference(OFlags::NONBLOCK)).expect("a client may");
        }
        rustix::io::write(&mischief.bell, &(u64::MAX - 1).to_ne_bytes()).expect("fills the counter");
        for region in [&mischief.submission, &mischief.completion] {
            assert!(region.set_len(0).is_err(), "sealed");
            assert!(region.set_len(1 << 30).is_err(), "sealed");
        }
        assert!(mischief.completion.write_at(&[0], 0).is_err(), "the engine's region");
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&mischief.submission, hole, ENTRIES, 4096).expect("zeros are entries too");
        assert!(fallocate(&mischief.completion, hole, 0, 4096).is_err(), "the engine's region");
        // Always asleep, and nobody reads the wake-ups: the socket fills up.
        let mut sent = 0;
        for _ in 0..100 {
            sent += SHAPE.entries;
            mischief.set(SLEEP, mischief.first.wrapping_add(sent - SHAPE.entries));
            mischief.set(TAIL, mischief.first.wrapping_add(sent));
            eventually("holes are answered", PATIENCE, || (mischief.answered() == sent).then_some(()));
            mischief.set(HEAD, mischief.first.wrapping_add(sent));
        }
        assert_eq!(engine.status()["quarantined"], 0);
    });
}

#[test]
fn a_flood_of_rings_starves_nobody() {
    beside_a_bystander(|token, engine| {
        let mischief = Mischief::new(token);
        let flags = fcntl_getfl(&mischief.bell).expect("flags");
        fcntl_setfl(&mischief.bell, flags | OFlags::NONBLOCK).expect("a client may");
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            mischief.ring();
            // Emptied, so that each ring is an edge.
            let _ = rustix::io::read(&mischief.bell, &mut [0_u8; 8]);
        }
        assert_eq!(engine.status()["quarantined"], 0, "a nuisance, not a fault");
        // It is still served, at a slower pace.
        mischief.publish(1);
        eventually("its entry is answered", PATIENCE, || (mischief.answered() == 1).then_some(()));
    });
}

/// A session that always has more to sign than the engine can, from before the bystander came.
#[test]
fn a_flood_of_requests_leaves_room_for_others() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    for (label, algorithm) in [("k", "p-256"), ("slow", "rsa-2048")] {
        engine.keylane(&["key", "generate", "--slot", SLOT, "--label", label, "--algorithm", algorithm]);
    }
    let (greedy, newcomer) = (engine.client(), engine.client());
    let (stop, flooded, signed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..4 {
            scope.spawn(|| flood(&greedy, &stop, &flooded));
        }
        eventually("the flood runs", PATIENCE, || (flooded.load(Ordering::Relaxed) > 100).then_some(()));
        scope.spawn(|| bystander(&newcomer, &stop, &signed));
        eventually("the newcomer signs", PATIENCE, || (signed.load(Ordering::Relaxed) > 20).then_some(()));
    });
    engine.terminate();
}

fn flood(client: &Client, stop: &AtomicBool, flooded: &AtomicU64) {
    let selector = KeySelector::Label { slot: Some(SLOT.to_owned()), label: "slow".to_owned() };
    let key = client.key(&selector, soon()).expect("the key is there");
    let shape = ChannelShape { entries: 4_096, submission_bytes: 256, completion_bytes: 640 };
    let mut channel =
        client.channel(ChannelOptions { shape, ..ChannelOptions::default() }).expect("a channel");
    let message = tls13(&transcript(1, 1));
    let call = Call::Sign { key: &key, scheme: Scheme::RsaPssSha256, input: Input::Message(&message) };
    let deadline = Instant::now() + Duration::from_mins(5);
    while !stop.load(Ordering::Relaxed) {
        while channel.submit(call, deadline).is_ok() {}
        channel.wait(Instant::now() + Duration::from_millis(10));
        while let Some((_, outcome)) = channel.take_next() {
            outcome.expect("it is served, too");
            flooded.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The engine computes nothing for a client that has given up.
#[test]
fn an_operation_that_nobody_waits_for_is_refused() {
    beside_a_bystander(|token, _| {
        let mischief = Mischief::new(token);
        let selector = KeySelector::Label { slot: Some(SLOT.to_owned()), label: "k".to_owned() };
        let (resolved, _) = ask(&mischief.control, &Request::ResolveKey { selector });
        let Reply::KeyResolved(key) = resolved else { panic!("{resolved:?}") };
        let message = tls13(&transcript(3, 3));
        let header = SubmissionHeader {
            key: key.handle,
            operation: Operation::Sign as u16,
            scheme: Scheme::EcdsaP256Sha256 as u16,
            length: u32::try_from(message.len()).expect("short"),
            ..SubmissionHeader::default()
        };
        for number in 0..SHAPE.entries {
            // Every other gives up at once.
            let header = SubmissionHeader { tag: number.into(), budget_us: number % 2, ..header };
            mischief.write_entry(number, &[bytemuck::bytes_of(&header), &message].concat());
        }
        mischief.publish(SHAPE.entries);
        eventually("all are answered", PATIENCE, || (mischief.answered() == SHAPE.entries).then_some(()));
        for (tag, status) in mischief.answers() {
            let expected = if tag % 2 == 0 { Status::Ok } else { Status::DeadlineUnmeetable };
            assert_eq!(Status::from_code(status), Some(expected), "{tag}");
        }
    });
}

/// Refusals beyond a rate are counted in the audit log, not listed: history is not pushed out.
#[test]
fn refused_requests_do_not_fill_the_audit_log() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    engine.keylane(&["key", "generate", "--slot", SLOT, "--label", "k", "--algorithm", "p-256"]);
    let client = engine.client();
    let selector = KeySelector::Label { slot: Some(SLOT.to_owned()), label: "k".to_owned() };
    let key = client.key(&selector, soon()).expect("the key is there");
    let mut channel = client.channel(ChannelOptions::default()).expect("a channel");
    let records = || engine.status()["audit"]["next_sequence"].as_u64().expect("a number");
    let before = records();
    let digest = Call::Sign { key: &key, scheme: Scheme::EcdsaP256Sha256, input: Input::Digest(&[7; 32]) };
    let mut refused = 0;
    while refused < 5_000 {
        while channel.submit(digest, soon()).is_ok() {}
        channel.wait(soon());
        while let Some((_, outcome)) = channel.take_next() {
            outcome.expect_err("a default key signs no digests");
            refused += 1;
        }
    }
    // Whatever was counted is recorded when its second is over.
    eventually("the refusals are in the log", PATIENCE, || (records() > before + 100).then_some(()));
    std::thread::sleep(Duration::from_secs(3));
    let recorded = records() - before;
    assert!(recorded < 2_000, "{recorded} records of {refused} refusals");
    engine.terminate();
}

#[test]
fn a_death_in_the_middle_of_an_entry_is_a_session_less() {
    beside_a_bystander(|token, engine| {
        let sessions = || engine.status()["sessions"].as_u64().expect("a number");
        let before = sessions();
        for published in [0, 1, SHAPE.entries] {
            let mischief = Mischief::new(token);
            mischief.write_entry(0, &[0xff; 100]);
            mischief.publish(published);
            drop(mischief);
            eventually("the session is reclaimed", PATIENCE, || (sessions() == before).then_some(()));
        }
    });
}
