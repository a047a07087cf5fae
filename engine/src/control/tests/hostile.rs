//! Bytes that nobody should send, in orders that nobody should choose.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use keylane_api::Status;
use keylane_api::control::{
    ChannelShape, KeyId, KeySelector, PACKET_BYTES_MAX, Reply, Request, SlotId, decode, encode,
};
use keylane_api::wire::{AbiRange, KeyHandle};
use proptest::prelude::*;

use super::bench::{WORKERS, hello, on_each_backend, open, token};
use crate::control::WorkerPort;
use crate::control::connection::Answer;
use crate::control::desk::{Caller, Desk};
use crate::control::sessions::Sessions;
use crate::control::shares::Shares;
use crate::control::workers::Workers;
use crate::counters::Counters;
use crate::directory::Peer;
use crate::mailbox::Mailbox;

pub fn desk() -> Desk {
    let port = |number| WorkerPort {
        inbox: Arc::new(Mailbox::new(100_000).unwrap()),
        counters: Arc::new(Counters::new(number, None)),
    };
    Desk {
        directory: token(),
        workers: Workers::new((0..2).map(port).collect()),
        sessions: Sessions::default(),
        flag_page: OwnedFd::from(std::fs::File::open("/dev/null").unwrap()),
        busy_poll: false,
        draining: false,
        quarantined: 0,
    }
}

fn caller() -> Caller {
    let uid = rustix::process::geteuid().as_raw();
    Caller { peer: Peer { pid: 1, uid, gid: 1 }, listener: None, session: None }
}

pub fn reply(answer: &Answer) -> Reply {
    match answer {
        Answer::Reply(packet) | Answer::Last(packet) => decode(&packet.bytes).unwrap(),
        Answer::Later => panic!("clients are answered at once"),
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("web".to_owned()), Just("slot-1".to_owned()), Just("slot-2".to_owned()), ".{0,100}"]
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0_u32..12, Just(64), Just(1024), any::<u32>()]
}

fn selector() -> impl Strategy<Value = KeySelector> {
    prop_oneof![
        (proptest::option::of(name()), name()).prop_map(|(slot, label)| KeySelector::Label { slot, label }),
        (number(), number())
            .prop_map(|(slot, key)| KeySelector::Object { slot: SlotId(slot), key: KeyId(u64::from(key)) }),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(KeySelector::Public),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let handle =
        (number(), number(), number(), number()).prop_map(|(session, index, generation, reserved)| {
            KeyHandle { session, index, generation, reserved }
        });
    let shape = (number(), number(), number()).prop_map(|(entries, submission_bytes, completion_bytes)| {
        ChannelShape { entries, submission_bytes, completion_bytes }
    });
    prop_oneof![
        1 => (any::<u16>(), any::<u16>(), name())
            .prop_map(|(min, max, program)| Request::Hello { abi: AbiRange { min, max }, program }),
        4 => (shape, any::<bool>())
            .prop_map(|(shape, wake_descriptor)| Request::OpenChannel { shape, wake_descriptor }),
        2 => number().prop_map(|channel| Request::CloseChannel { channel }),
        4 => selector().prop_map(|selector| Request::ResolveKey { selector }),
        4 => handle.prop_map(|handle| Request::ReleaseKey { handle }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Random octets and cut or altered messages are answered, and end the connection unless they are a message.
    #[test]
    fn any_octets_are_answered(
        octets in proptest::collection::vec(any::<u8>(), 0..600),
        request in request(),
        cut in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(),
        greeted in any::<bool>(),
    ) {
        let whole = encode(&request).unwrap();
        let cut = &whole[..cut.index(whole.len())];
        let mut altered = whole.clone();
        let position = flip.index(whole.len());
        altered[position] ^= 0x81;
        for packet in [&octets, cut, &altered] {
            let (mut desk, mut caller) = (desk(), caller());
            if greeted {
                desk.serve(&mut caller, &encode(&hello()).unwrap());
            }
            let answer = desk.serve(&mut caller, packet);
            let said = reply(&answer);
            let understood = decode::<Request>(packet).is_ok();
            if !understood {
                prop_assert!(matches!(answer, Answer::Last(_)));
                let malformed = matches!(said, Reply::Refused { status: Status::Malformed, .. });
                prop_assert!(malformed, "{:?}", said);
            }
        }
    }

    /// Requests in any order: only a session gets anything, only one Hello is heard, and what was asked for and not
    /// refused adds up.
    #[test]
    fn any_order_is_answered(requests in proptest::collection::vec(request(), 1..40), greet_at in 0_usize..6) {
        let (mut desk, mut caller) = (desk(), caller());
        let (mut channels, mut handles, mut closed) = (0_usize, 0_usize, Vec::new());
        for (turn, request) in requests.iter().enumerate() {
            if turn == greet_at && caller.session.is_none() {
                desk.serve(&mut caller, &encode(&hello()).unwrap());
            }
            let had_session = caller.session.is_some();
            let answer = desk.serve(&mut caller, &encode(request).unwrap());
            let is_hello = matches!(request, Request::Hello { .. });
            let said = reply(&answer);
            match (&said, had_session) {
                (Reply::Welcome { .. }, false) => prop_assert!(is_hello && caller.session.is_some()),
                (Reply::Refused { .. }, false) => prop_assert!(matches!(answer, Answer::Last(_))),
                (Reply::Refused { .. }, true) => {
                    prop_assert_eq!(matches!(answer, Answer::Last(_)), is_hello);
                }
                (Reply::ChannelOpened { .. }, true) => channels += 1,
                (Reply::KeyResolved(info), true) => {
                    prop_assert_eq!(info.slot, SlotId(1));
                    handles += 1;
                }
                (Reply::Done, true) => match request {
                    Request::CloseChannel { channel } => closed.push(*channel),
                    _ => handles -= 1,
                },
                other => prop_assert!(false, "{:?}", other),
            }
            if matches!(answer, Answer::Last(_)) {
                break;
            }
        }
        prop_assert_eq!(desk.sessions.shares().channels.all(), channels as u64, "a channel counts until its worker gave it up");
        let held = caller.session.and_then(|session| desk.sessions.get(session)).map_or(0, |s| s.handles.len());
        prop_assert_eq!(held, handles);
        for channel in closed {
            prop_assert!(desk.sessions.channel_closed(channel).is_some());
        }
        if let Some(session) = caller.session {
            desk.detach(session);
            for worker in 0..WORKERS {
                desk.sessions.left(session, worker);
            }
            let shares = desk.sessions.shares();
            let left = [&shares.sessions, &shares.channels, &shares.ring_bytes].map(Shares::all);
            prop_assert_eq!(left, [0; 3]);
        }
    }
}

#[test]
fn what_breaks_protocol_ends_its_connection_and_no_other() {
    on_each_backend(|bench| {
        let mut good = bench.client();
        let valid = encode(&hello()).unwrap();
        let mut early = valid.clone();
        early.push(0);
        let too_long = vec![0x7f; PACKET_BYTES_MAX + 1];
        let broken: [&[u8]; 6] = [
            b"\xff\xff\xff",
            &valid[..valid.len() - 1],
            &early,
            &encode(&open(super::bench::SHAPE)).unwrap(),
            &[0; 300],
            &too_long,
        ];
        for octets in broken {
            let bad = bench.stranger();
            bad.send_raw(octets, &[]).unwrap();
            let (answer, _) = bad.receive();
            assert!(
                matches!(answer, Reply::Refused { status: Status::Malformed, .. }),
                "{octets:02x?}: {answer:?}"
            );
            assert!(bad.try_receive().is_none());
            good.resolve("slot-1");
        }
        let mut twice = bench.client();
        assert_eq!(twice.refused(&hello()).0, Status::Malformed);
        assert!(twice.try_receive().is_none());
        let empty = bench.stranger();
        empty.send_raw(&[], &[]).unwrap();
        assert!(empty.try_receive().is_none(), "an empty packet is a hang-up");
        good.resolve("slot-1");
    });
}

#[test]
fn hang_ups_at_any_moment_leave_nothing_behind() {
    on_each_backend(|bench| {
        for round in 0..40 {
            let peer = bench.stranger();
            let steps = [hello(), open(super::bench::SHAPE), super::bench::resolve("slot-1")];
            for step in steps.iter().take(round % 4) {
                peer.send(step);
            }
        }
        super::bench::until(|| {
            for (worker, inbox) in bench.workers.iter().enumerate() {
                while let Some(message) = inbox.receive() {
                    if let crate::messages::ToWorker::Detach { session } = message {
                        let detached = crate::messages::FromWorker::Detached { session, worker };
                        assert!(bench.from_workers.send(detached).is_ok());
                    }
                }
            }
            (bench.status().sessions == 0).then_some(())
        });
        bench.client().open();
    });
}
