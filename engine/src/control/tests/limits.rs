//! What one client may have, and what it cannot take from others.

use std::io::Read;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keylane_api::Status;
use keylane_api::control::{ChannelShape, Reply, Request, encode};

use super::bench::{Bench, SHAPE, WORKERS, grant, hello, on_each_backend, open, resolve, slot, token, until};
use super::hostile::{desk, reply};
use crate::admin::Who;
use crate::config::ControlBackend;
use crate::control::desk::{Caller, Desk};
use crate::directory::{Directory, Peer};
use crate::limits::{
    ENTRY_BYTES_MAX, HELLO_MAX, PROGRAM_BYTES_MAX, RING_ENTRIES_MAX, SESSION_CHANNELS_MAX,
    SESSION_HANDLES_MAX, SESSION_RING_BYTES_MAX, SESSIONS_MAX, STRANGERS_MAX, WORKER_INBOX,
};
use crate::messages::{FromWorker, ToWorker};

/// Acts as a worker that gives up whatever it is told to.
fn obey(bench: &Bench) {
    for (worker, inbox) in bench.workers.iter().enumerate() {
        while let Some(message) = inbox.receive() {
            let answer = match message {
                ToWorker::Close { channel } => FromWorker::Closed { channel },
                ToWorker::Detach { session } => FromWorker::Detached { session, worker },
                _ => continue,
            };
            assert!(bench.from_workers.send(answer).is_ok());
        }
    }
}

#[test]
fn a_session_has_so_many_channels() {
    on_each_backend(|bench| {
        let mut client = bench.client();
        let channels: Vec<u32> = (0..SESSION_CHANNELS_MAX).map(|_| client.open()).collect();
        let (status, detail) = client.refused(&open(SHAPE));
        assert_eq!(status, Status::Busy);
        assert!(detail.contains(&format!("{SESSION_CHANNELS_MAX} channels")), "{detail}");
        bench.client().open();

        // A channel counts until its worker gave it up.
        assert_eq!(client.ask(&Request::CloseChannel { channel: channels[0] }).0, Reply::Done);
        assert_eq!(client.refused(&open(SHAPE)).0, Status::Busy);
        obey(&bench);
        until(|| matches!(client.ask(&open(SHAPE)).0, Reply::ChannelOpened { .. }).then_some(()));
    });
}

#[test]
fn a_session_has_so_much_memory_for_rings() {
    on_each_backend(|bench| {
        let mut client = bench.client();
        let largest = ChannelShape {
            entries: RING_ENTRIES_MAX,
            submission_bytes: ENTRY_BYTES_MAX,
            completion_bytes: ENTRY_BYTES_MAX,
        };
        let each = u64::from(RING_ENTRIES_MAX) * u64::from(2 * ENTRY_BYTES_MAX);
        for _ in 0..SESSION_RING_BYTES_MAX / each {
            let (reply, _) = client.ask(&open(largest));
            assert!(matches!(reply, Reply::ChannelOpened { .. }), "{reply:?}");
            obey(&bench);
        }
        let (status, detail) = client.refused(&open(largest));
        assert_eq!(status, Status::Busy);
        assert!(detail.contains("64 MiB"), "{detail}");
        drop(client);
        until(|| {
            obey(&bench);
            (bench.status().sessions == 0).then_some(())
        });
        assert!(matches!(bench.client().ask(&open(largest)).0, Reply::ChannelOpened { .. }));
    });
}

/// A session of a user, through a listener of its own or the engine's.
fn greet(desk: &mut Desk, uid: u32, listener: Option<&str>) -> (Caller, Reply) {
    let peer = Peer { pid: 1, uid, gid: uid };
    let mut caller = Caller { peer, listener: listener.map(Into::into), session: None };
    let said = reply(&desk.serve(&mut caller, &encode(&hello()).unwrap()));
    (caller, said)
}

/// I10. Behind a listener of its own whoever has it can take any uid, which gives it no more than one.
#[test]
fn whoever_opens_all_sessions_that_it_can_keeps_nobody_out() {
    let (mut desk, container) = (desk(), "/run/container.sock");
    let grants = vec![
        grant(1, 1, Who::Uid(1), None),
        grant(2, 1, Who::Uid(2), None),
        grant(3, 1, Who::Listener, Some(container.into())),
    ];
    desk.directory = Directory::load(vec![slot(1)], grants, Vec::new());
    let fill = |desk: &mut Desk, listener, uids: [u32; 2]| {
        let mut callers = Vec::new();
        for uid in uids.into_iter().cycle() {
            match greet(desk, uid, listener) {
                (caller, Reply::Welcome { .. }) => callers.push(caller),
                (_, Reply::Refused { status, detail }) => {
                    assert_eq!(status, Status::Busy);
                    assert!(detail.contains("more than is left"), "{detail}");
                    return callers;
                }
                (_, other) => panic!("{other:?}"),
            }
        }
        callers
    };
    let first = fill(&mut desk, None, [1, 1]);
    assert_eq!(first.len(), SESSIONS_MAX / 2);
    assert_eq!(fill(&mut desk, Some(container), [5, 6]).len(), SESSIONS_MAX / 4);
    assert!(matches!(greet(&mut desk, 2, None).1, Reply::Welcome { .. }));

    // A session counts until all workers have given it up.
    let session = first[0].session.unwrap();
    desk.detach(session);
    assert!(matches!(greet(&mut desk, 1, None).1, Reply::Refused { .. }));
    for session in first.iter().filter_map(|caller| caller.session) {
        desk.detach(session);
        for worker in 0..WORKERS {
            desk.sessions.left(session, worker);
        }
    }
    assert!(matches!(greet(&mut desk, 1, None).1, Reply::Welcome { .. }));
}

#[test]
fn impossible_shapes_are_refused() {
    on_each_backend(|bench| {
        let mut client = bench.client();
        for (entries, submission_bytes, completion_bytes) in [
            (0, 64, 64),
            (4, 64, 64),
            (12, 64, 64),
            (8192, 64, 64),
            (u32::MAX, 64, 64),
            (8, 0, 64),
            (8, 63, 64),
            (8, 64, 100),
            (8, 64, ENTRY_BYTES_MAX + 64),
            (8, u32::MAX, u32::MAX),
        ] {
            let shape = ChannelShape { entries, submission_bytes, completion_bytes };
            assert_eq!(client.refused(&open(shape)).0, Status::Malformed, "{shape:?}");
        }
        client.open();
    });
}

#[test]
fn a_session_has_so_many_handles() {
    on_each_backend(|bench| {
        let mut client = bench.client();
        let mut last = None;
        for _ in 0..SESSION_HANDLES_MAX {
            last = Some(until(|| {
                obey(&bench);
                match client.ask(&resolve("slot-1")).0 {
                    Reply::KeyResolved(info) => Some(info.handle),
                    // The workers of this test are slow.
                    Reply::Refused { status: Status::Busy, .. } => None,
                    other => panic!("{other:?}"),
                }
            }));
        }
        obey(&bench);
        let (status, detail) = client.refused(&resolve("slot-1"));
        assert_eq!(status, Status::Busy);
        assert!(detail.contains("4096 key handles"), "{detail}");
        assert_eq!(client.ask(&Request::ReleaseKey { handle: last.unwrap() }).0, Reply::Done);
        client.resolve("slot-1");
    });
}

#[test]
fn workers_that_are_behind_make_clients_wait_and_lose_nothing() {
    on_each_backend(|bench| {
        let mut client = bench.client();
        let mut bound = 0;
        let refusal = (0..2 * WORKER_INBOX).find_map(|_| match client.ask(&resolve("slot-1")).0 {
            Reply::KeyResolved(info) => {
                bound += 1;
                client.ask(&Request::ReleaseKey { handle: info.handle });
                None
            }
            Reply::Refused { status: Status::Busy, detail } => Some(detail),
            other => panic!("{other:?}"),
        });
        assert!(refusal.as_ref().is_some_and(|detail| detail.contains("worker")), "{refusal:?}");
        drop(client);
        // Everything comes, in order, once the workers read.
        for worker in 0..bench.workers.len() {
            for _ in 0..bound {
                assert!(matches!(bench.mail(worker), ToWorker::Bind(_)));
                assert!(matches!(bench.mail(worker), ToWorker::Unbind { .. }));
            }
            assert!(matches!(bench.mail(worker), ToWorker::Detach { .. }));
        }
        until(|| matches!(bench.client().ask(&resolve("slot-1")).0, Reply::KeyResolved(_)).then_some(()));
    });
}

#[test]
fn a_crowd_that_says_nothing_does_not_keep_others_out() {
    on_each_backend(|bench| {
        let silent: Vec<_> = (0..STRANGERS_MAX + 20).map(|_| bench.stranger()).collect();
        bench.client().resolve("slot-1");
        for stranger in &silent[..STRANGERS_MAX / 2] {
            assert!(stranger.try_receive().is_none(), "those who came first have lost their place");
        }
    });
}

#[test]
fn a_crowd_that_comes_at_once_is_let_in() {
    on_each_backend(|bench| {
        let crowd: Vec<_> =
            (0..2 * STRANGERS_MAX).map(|_| bench.stranger()).inspect(|one| one.send(&hello())).collect();
        for client in &crowd {
            assert!(matches!(client.receive().0, Reply::Welcome { .. }));
        }
    });
}

#[test]
fn a_connection_that_says_nothing_is_dropped_after_a_while() {
    for backend in [ControlBackend::Epoll, ControlBackend::Auto] {
        let (bench, mut control) = Bench::build(backend, token());
        let (silent, greeting) = (bench.stranger(), bench.stranger());
        greeting.send(&hello());
        let now = Instant::now();
        let mut events = Vec::new();
        until(|| {
            control.reactor.wait(Some(Duration::from_millis(1)), &mut events).unwrap();
            control.turn(&mut events);
            (control.desk.sessions.open_len() == 1 && control.strangers.len() == 1).then_some(())
        });
        control.dismiss_strangers(now + HELLO_MAX / 2);
        assert_eq!(control.clients.len(), 2);
        control.dismiss_strangers(Instant::now() + HELLO_MAX);
        assert!(silent.try_receive().is_none());
        assert!(matches!(greeting.receive().0, Reply::Welcome { .. }));
        assert_eq!(control.clients.len(), 1);
    }
}

#[test]
fn a_long_name_is_refused() {
    on_each_backend(|bench| {
        let Request::Hello { abi, .. } = hello() else { unreachable!() };
        let name = |octets| Request::Hello { abi, program: "p".repeat(octets) };
        let mut welcome = bench.stranger();
        assert!(matches!(welcome.ask(&name(PROGRAM_BYTES_MAX)).0, Reply::Welcome { .. }));
        let mut refused = bench.stranger();
        assert_eq!(refused.refused(&name(PROGRAM_BYTES_MAX + 1)).0, Status::Malformed);
        assert!(refused.try_receive().is_none());
    });
}

#[test]
fn descriptors_of_clients_are_not_kept() {
    on_each_backend(|bench| {
        let client = bench.client();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let request = encode(&resolve("slot-1")).unwrap();
        client.send_raw(&request, &[writer.as_fd(), writer.as_fd(), writer.as_fd()]).unwrap();
        drop(writer);
        assert!(matches!(client.receive().0, Reply::KeyResolved(_)));
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "nobody holds the other end");
    });
}

/// Set when dropped, also by a test that fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_flood_of_requests_does_not_keep_others_waiting() {
    on_each_backend(|bench| {
        let stopped = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _stop = Stop(&stopped);
            for _ in 0..4 {
                scope.spawn(|| {
                    let flooder = bench.client();
                    while !stopped.load(Ordering::Relaxed) {
                        flooder.send(&Request::CloseChannel { channel: 1 });
                        flooder.send(&Request::CloseChannel { channel: 2 });
                        flooder.receive();
                        flooder.receive();
                    }
                });
            }
            for _ in 0..50 {
                bench.client().resolve("slot-1");
                obey(&bench);
            }
        });
    });
}
