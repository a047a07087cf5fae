//! Clients of an engine that lies: typed errors, no panic, and a way back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod peer;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keylane_api::control::{Reply, Request, encode};
use keylane_api::error::{ConnectError, ProtocolFault};
use keylane_api::wire::CompletionHeader;
use keylane_api::{Blame, Call, ChannelOptions, Error, Input, Retry, Scheme, Status};

use peer::{Asked, Completion, Peer, far, key, signature};

const SCHEME: Scheme = Scheme::EcdsaP256Sha256;

/// Signs on a channel on which other operations are under way, with an engine that answers the first signature so and
/// everything later honestly. All of them must fail in the same way, and the channel must be usable again.
fn fault(lie: impl Fn(&Asked) -> Vec<Completion> + Send + 'static) -> Arc<ProtocolFault> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let mut asked_before = 0;
    let _peer = Peer::start(&path, move |asked| {
        asked_before += 1;
        match asked_before {
            1 => Vec::new(),
            2 => lie(&asked),
            _ => vec![asked.answer()],
        }
    });
    let mut channel = peer::client(&path).channel(ChannelOptions::default()).unwrap();
    let other = channel.submit(Call::Ping(b"other"), far()).unwrap();
    let key = key("a");
    let error = channel.sign(&key, SCHEME, Input::Message(b"m"), far()).unwrap_err();
    assert_eq!((error.blame(), error.retry()), (Blame::Fault, Retry::Never));
    assert!(matches!(channel.take(other), Some(Err(Error::Protocol(_)))));
    assert_eq!(channel.sign(&key, SCHEME, Input::Message(b"n"), far()).unwrap().raw(), signature("a", b"n"));
    match error {
        Error::Protocol(fault) => fault,
        other => panic!("{other}"),
    }
}

#[test]
fn a_tag_that_is_not_in_flight() {
    for tag in [0, 7, u64::MAX, 1 << 32 | 4095] {
        let lie = move |_: &Asked| vec![(CompletionHeader { tag, ..Default::default() }, Vec::new())];
        assert!(matches!(*fault(lie), ProtocolFault::UnknownTag(got) if got == tag));
    }
}

#[test]
fn a_tag_of_the_slots_last_operation() {
    let lie = |asked: &Asked| {
        let (mut header, payload) = asked.answer();
        header.tag -= 1 << 32;
        vec![(header, payload)]
    };
    assert!(matches!(*fault(lie), ProtocolFault::UnknownTag(_)));
}

#[test]
fn an_operation_answered_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _peer = Peer::start(&path, |asked| vec![asked.answer(), asked.answer()]);
    let mut channel = peer::client(&path).channel(ChannelOptions::default()).unwrap();
    assert_eq!(channel.ping(b"x", far()).unwrap(), b"x", "the first answer is one");
    // The second closes the channel at the latest when the next operation looks at the ring.
    let next = channel.ping(b"y", far());
    assert!(matches!(next, Ok(_) | Err(Error::Protocol(_))), "{next:?}");
}

#[test]
fn a_status_that_does_not_exist() {
    let lie = |asked: &Asked| {
        vec![(CompletionHeader { status: 0x7777, ..asked.refuse(Status::Busy).0 }, Vec::new())]
    };
    assert!(matches!(*fault(lie), ProtocolFault::UnknownStatus(0x7777)));
}

#[test]
fn a_length_beyond_the_entry() {
    for length in [617, 640, 1 << 20, u32::MAX] {
        let lie = move |asked: &Asked| vec![(CompletionHeader { length, ..asked.answer().0 }, Vec::new())];
        assert!(matches!(*fault(lie), ProtocolFault::Length(got) if got == length));
    }
}

#[test]
fn a_result_of_another_length() {
    for length in [0, 63, 65, 96] {
        let lie = move |asked: &Asked| vec![asked.give(vec![1; length])];
        assert!(matches!(*fault(lie), ProtocolFault::Length(got) if got as usize == length));
    }
}

#[test]
fn a_refusal_with_a_result() {
    let lie = |asked: &Asked| {
        let (header, payload) = asked.answer();
        vec![(CompletionHeader { status: Status::Busy as u16, ..header }, payload)]
    };
    assert!(matches!(*fault(lie), ProtocolFault::Length(64)));
}

/// What a client says of an engine that answers requests of this kind so.
fn control_fault(kind: fn(&Request) -> bool, answer: Vec<u8>) -> Error {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let control = Arc::new(move |request: &Request| kind(request).then(|| answer.clone()));
    let _peer = Peer::start_with(&path, |asked| vec![asked.answer()], control);
    let client = peer::client(&path);
    client.sign(&key("a"), SCHEME, Input::Message(b"m"), far()).unwrap_err()
}

/// Each question of a client.
const QUESTIONS: [fn(&Request) -> bool; 3] = [
    |request| matches!(request, Request::Hello { .. }),
    |request| matches!(request, Request::OpenChannel { .. }),
    |request| matches!(request, Request::ResolveKey { .. }),
];

#[test]
fn garbage_on_the_control_socket() {
    for question in QUESTIONS {
        for garbage in [vec![0xff; 40], vec![9], vec![2, 2, 2]] {
            let error = control_fault(question, garbage);
            assert_eq!((error.blame(), error.retry()), (Blame::Fault, Retry::Never), "{error}");
        }
    }
}

#[test]
fn an_answer_to_another_question() {
    for question in QUESTIONS {
        let error = control_fault(question, encode(&Reply::Done).unwrap());
        let Error::EngineGone(cause) = &error else { panic!("{error}") };
        let unexpected =
            matches!(**cause, ConnectError::Protocol { source: ProtocolFault::UnexpectedReply, .. });
        assert!(unexpected, "{cause}");
    }
}

#[test]
fn a_channel_smaller_than_asked_for() {
    let shape =
        keylane_api::control::ChannelShape { entries: 16, submission_bytes: 64, completion_bytes: 640 };
    let small = encode(&Reply::ChannelOpened { channel: 0, worker: 0, shape }).unwrap();
    let error = control_fault(QUESTIONS[1], small);
    assert!(error.to_string().contains("another shape"), "{error}");
}

#[test]
fn regions_of_another_size_than_said() {
    let shape =
        keylane_api::control::ChannelShape { entries: 32, submission_bytes: 256, completion_bytes: 640 };
    let other = encode(&Reply::ChannelOpened { channel: 0, worker: 0, shape }).unwrap();
    let error = control_fault(QUESTIONS[1], other);
    assert!(error.to_string().contains("octets instead of"), "{error}");
}

#[test]
fn an_abi_that_was_not_offered() {
    let welcome = Reply::Welcome { abi: 2, session: 1, engine_pid: 1, busy_poll: false, channels_max: 1 };
    let error = control_fault(QUESTIONS[0], encode(&welcome).unwrap());
    assert!(error.to_string().contains("ABI version 2"), "{error}");
}

#[test]
fn refusals_on_the_control_socket_are_typed() {
    for question in QUESTIONS {
        for (status, retry) in [(Status::NotGranted, Retry::Never), (Status::KeyRefused, Retry::Never)] {
            let refusal = Reply::Refused { status, detail: "because".to_owned() };
            let error = control_fault(question, encode(&refusal).unwrap());
            assert_eq!((error.retry(), error.blame()), (retry, Blame::Refusal));
            assert!(error.to_string().contains("because"), "{error}");
        }
    }
}

#[test]
fn an_engine_that_hangs_up_is_tried_again_until_the_deadline_and_not_too_often() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = attempts.clone();
    // An empty packet is what a closed socket gives.
    let hang_up = Arc::new(move |_: &Request| {
        counted.fetch_add(1, Ordering::Relaxed);
        Some(Vec::new())
    });
    let _peer = Peer::start_with(&path, |_| Vec::new(), hang_up);
    let deadline = Instant::now() + Duration::from_millis(300);
    let gone = peer::client(&path).sign(&key("a"), SCHEME, Input::Message(b"m"), deadline).unwrap_err();
    assert!(Instant::now() >= deadline);
    let Error::EngineGone(cause) = &gone else { panic!("{gone}") };
    assert!(matches!(**cause, ConnectError::HungUp { .. }), "{gone}");
    // 1, 2, 4 … 64, 100, 100 ms apart: some ten attempts fit.
    let attempts = attempts.load(Ordering::Relaxed);
    assert!((2..=12).contains(&attempts), "{attempts} attempts");
}

#[test]
fn an_engine_that_is_silent_on_the_control_socket_does_not_hold_anybody_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::SEQPACKET, None)
            .unwrap();
    rustix::net::bind(&listener, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&listener, 8).unwrap();
    let client = peer::client(&path);
    let signers = (0..4).map(|_| {
        let client = client.clone();
        std::thread::spawn(move || {
            let deadline = Instant::now() + Duration::from_millis(100);
            client.sign(&key("a"), SCHEME, Input::Message(b"m"), deadline)
        })
    });
    for signer in signers.collect::<Vec<_>>() {
        let gone = signer.join().unwrap().unwrap_err();
        assert!(matches!(gone, Error::EngineGone(_) | Error::DeadlineExceeded), "{gone}");
        assert_eq!(gone.retry(), Retry::Later);
    }
}
