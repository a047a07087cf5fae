//! What clients ask and get.

use std::io::Read;
use std::os::unix::net::UnixStream;

use keylane_api::Status;
use keylane_api::control::{KeySelector, Reply, Request, SlotId};
use keylane_api::wire::{AbiRange, KeyHandle};
use keylane_shm::{
    Bell, ChannelDescriptors, ClientChannel, ClientFlags, CursorFault, Geometry, Parker, RingFault,
};
use rustix::net::{SendFlags, send};

use super::bench::{Bench, LONG, SHAPE, WORKERS, hello, on_each_backend, open, resolve, until};
use crate::limits::SESSION_CHANNELS_MAX;
use crate::messages::{ChannelSeat, FromWorker, ToWorker};

fn seat(bench: &Bench, worker: usize) -> ChannelSeat {
    match bench.mail(worker) {
        ToWorker::Open(seat) => *seat,
        _ => panic!("another message"),
    }
}

#[test]
fn a_client_is_welcomed_with_the_flag_page() {
    on_each_backend(|bench| {
        let (reply, descriptors) = bench.stranger().ask(&hello());
        let Reply::Welcome { abi, session, engine_pid, busy_poll, channels_max } = reply else {
            panic!("{reply:?}")
        };
        assert_eq!((abi, engine_pid, busy_poll), (1, std::process::id(), false));
        assert_eq!(channels_max as usize, SESSION_CHANNELS_MAX);
        assert_ne!(session, 0, "zero means no session on the wire");
        let [flags] = descriptors.try_into().unwrap();
        assert!(!ClientFlags::map(flags).unwrap().sleeps(0));
    });
}

#[test]
fn a_channel_reaches_its_worker_and_works() {
    on_each_backend(|bench| {
        let mut client = bench.stranger();
        let session = client.greet();
        let (reply, descriptors) = client.ask(&Request::OpenChannel { shape: SHAPE, wake_descriptor: true });
        let Reply::ChannelOpened { channel, worker, shape } = reply else { panic!("{reply:?}") };
        assert_eq!(shape, SHAPE);
        let [submission, completion, bell, wake] = descriptors.try_into().unwrap();
        let mut seat = seat(&bench, worker as usize);
        assert_eq!((seat.session, seat.channel, seat.entry_bytes), (session, channel, (64, 64)));

        let geometry = Geometry::new(8, 64, 64).unwrap();
        let mut ours = ClientChannel::map(geometry, ChannelDescriptors { submission, completion }).unwrap();
        ours.submissions().push(&[1, 2, 3]).unwrap();
        ours.submissions().publish();
        let mut entry = [0; 3];
        assert!(seat.half.submissions().pop(&mut entry).unwrap());
        assert_eq!(entry, [1, 2, 3]);

        let mut parker = Parker::new().unwrap();
        parker.add(std::os::fd::AsFd::as_fd(seat.bell.as_ref().unwrap()), 9).unwrap();
        Bell::from_fd(bell).ring().unwrap();
        let mut rung = Vec::new();
        parker.park(Some(LONG), |token| rung.push(token)).unwrap();
        assert_eq!(rung, [9]);

        let mut wake = UnixStream::from(wake);
        send(seat.wake.unwrap(), &[5], SendFlags::empty()).unwrap();
        let mut octet = [0];
        wake.read_exact(&mut octet).unwrap();
        assert_eq!(octet, [5]);
    });
}

#[test]
fn channels_go_to_the_least_busy_worker_and_share_its_doorbell() {
    on_each_backend(|bench| {
        let mut client = bench.client();
        let mut workers = Vec::new();
        for _ in 0..2 * WORKERS {
            let Reply::ChannelOpened { worker, .. } = client.ask(&open(SHAPE)).0 else { panic!() };
            workers.push(worker as usize);
        }
        for worker in 0..WORKERS {
            assert_eq!(workers.iter().filter(|&&chosen| chosen == worker).count(), 2);
            assert!(seat(&bench, worker).bell.is_some(), "the session's first channel there");
            assert!(seat(&bench, worker).bell.is_none(), "the worker has the bell already");
        }
    });
}

#[test]
fn a_channel_names_its_worker_before_that_one_has_seen_it() {
    on_each_backend(|bench| {
        let (mut client, sleeper) = (bench.stranger(), 1);
        let (_, mut descriptors) = client.ask(&hello());
        let flags = ClientFlags::map(descriptors.pop().unwrap()).unwrap();
        bench.flags.announce_sleep(sleeper);
        for _ in 0..WORKERS {
            let (Reply::ChannelOpened { worker, .. }, descriptors) = client.ask(&open(SHAPE)) else {
                panic!()
            };
            let [submission, completion, _bell] = descriptors.try_into().unwrap();
            let geometry = Geometry::new(8, 64, 64).unwrap();
            let channel =
                ClientChannel::map(geometry, ChannelDescriptors { submission, completion }).unwrap();
            assert_eq!(channel.owner_sleeps(&flags), worker as usize == sleeper);
        }
    });
}

#[test]
fn a_worker_that_got_room_again_is_chosen_again() {
    on_each_backend(|bench| {
        let mut client = bench.client();
        let channels = [client.open(), client.open(), client.open()];
        let emptier = 1;
        assert_eq!(client.ask(&Request::CloseChannel { channel: channels[1] }).0, Reply::Done);
        until(|| {
            matches!(bench.mail(emptier), ToWorker::Close { channel } if channel == channels[1]).then_some(())
        });
        assert!(bench.from_workers.send(FromWorker::Closed { channel: channels[1] }).is_ok());
        let chosen = until(|| match client.ask(&open(SHAPE)).0 {
            Reply::ChannelOpened { worker, .. } => Some(worker as usize),
            other => panic!("{other:?}"),
        });
        assert_eq!(chosen, emptier);
        assert_eq!(client.refused(&Request::CloseChannel { channel: channels[1] }).0, Status::NotFound);
    });
}

#[test]
fn every_worker_knows_a_handle_before_its_client() {
    on_each_backend(|bench| {
        let mut client = bench.stranger();
        let session = client.greet();
        let info = client.resolve("slot-1");
        assert_eq!((info.slot, info.key.0, &*info.label), (SlotId(1), 10, "web"));
        assert_eq!(info.schemes, info.algorithm.schemes());
        for worker in &bench.workers {
            // Not waited for: it must be there.
            let Some(ToWorker::Bind(binding)) = worker.receive() else { panic!("no binding") };
            assert_eq!(binding.key.key, info.key);
            let handle = KeyHandle {
                session: binding.session,
                index: binding.index,
                generation: binding.generation,
                reserved: 0,
            };
            assert_eq!((handle, binding.session, binding.grant.id().0), (info.handle, session, 1));
        }
    });
}

#[test]
fn a_released_handle_is_forgotten_and_never_fits_again() {
    on_each_backend(|bench| {
        let mut client = bench.client();
        let first = client.resolve("slot-1").handle;
        assert_eq!(client.ask(&Request::ReleaseKey { handle: first }).0, Reply::Done);
        for worker in 0..WORKERS {
            assert!(matches!(bench.mail(worker), ToWorker::Bind(_)));
            assert!(matches!(bench.mail(worker), ToWorker::Unbind { index, .. } if index == first.index));
        }
        let second = client.resolve("slot-1").handle;
        assert_eq!(second, KeyHandle { generation: first.generation + 1, ..first });
        assert_eq!(client.refused(&Request::ReleaseKey { handle: first }).0, Status::StaleHandle);
        let foreign = KeyHandle { session: second.session + 1, ..second };
        assert_eq!(client.refused(&Request::ReleaseKey { handle: foreign }).0, Status::StaleHandle);
        assert_eq!(client.ask(&Request::ReleaseKey { handle: second }).0, Reply::Done);
    });
}

#[test]
fn what_is_not_granted_looks_as_if_it_were_not_there() {
    on_each_backend(|bench| {
        let mut client = bench.client();
        let invisible = client.refused(&resolve("slot-2"));
        assert_eq!(invisible.0, Status::NotFound);
        let absent = client.refused(&resolve("slot-9"));
        assert_eq!(invisible.1.replace("slot-2", "slot-9"), absent.1);
        let long = KeySelector::Label { slot: None, label: "é".repeat(2000) };
        let (status, detail) = client.refused(&Request::ResolveKey { selector: long });
        assert_eq!(status, Status::NotFound);
        assert!(detail.len() < 200, "a name is quoted no longer than names are: {detail}");
    });
}

#[test]
fn whoever_is_granted_nothing_hears_who_it_is_and_what_to_do() {
    for backend in [crate::config::ControlBackend::Epoll, crate::config::ControlBackend::Auto] {
        let bench = Bench::start(backend, crate::directory::Directory::default());
        let mut stranger = bench.stranger();
        let (status, detail) = stranger.refused(&hello());
        assert_eq!(status, Status::NotGranted);
        let uid = rustix::process::geteuid().as_raw();
        let remedy = format!("keylane grant add --slot SLOT --uid {uid}");
        assert!(detail.contains(&remedy) && detail.contains("gid"), "{detail}");
        assert!(stranger.try_receive().is_none(), "and is disconnected");
    }
}

#[test]
fn versions_without_a_common_one_are_refused() {
    on_each_backend(|bench| {
        let mut stranger = bench.stranger();
        let abi = AbiRange { min: 900, max: 901 };
        let (status, detail) = stranger.refused(&Request::Hello { abi, program: String::new() });
        assert_eq!(status, Status::AbiUnsupported);
        assert!(detail.contains("900 to 901"), "{detail}");
        assert!(stranger.try_receive().is_none());
    });
}

#[test]
fn a_hang_up_detaches_the_session_from_every_worker() {
    on_each_backend(|bench| {
        let mut client = bench.stranger();
        let session = client.greet();
        let mut other = bench.client();
        drop(client);
        for worker in 0..WORKERS {
            assert!(matches!(bench.mail(worker), ToWorker::Detach { session: gone } if gone == session));
        }
        other.resolve("slot-1");
        until(|| (bench.status().sessions == 1).then_some(()));
    });
}

#[test]
fn a_broken_ring_ends_its_session_and_no_other() {
    on_each_backend(|bench| {
        let mut broken = bench.stranger();
        let session = broken.greet();
        let mut other = bench.client();
        let fault = RingFault::Head(CursorFault::Regressed { from: 2, to: 1 });
        for _ in 0..3 {
            // Several channels of one session may break at once.
            assert!(bench.from_workers.send(FromWorker::Quarantine { session, channel: 1, fault }).is_ok());
        }
        let (last_word, _) = broken.receive();
        assert!(matches!(last_word, Reply::Refused { status: Status::Quarantined, .. }), "{last_word:?}");
        assert!(broken.try_receive().is_none());
        for worker in 0..WORKERS {
            assert!(matches!(bench.mail(worker), ToWorker::Detach { session: gone } if gone == session));
        }
        other.resolve("slot-1");
        assert_eq!(bench.status().quarantined, 1);
        for worker in 0..WORKERS {
            assert!(bench.from_workers.send(FromWorker::Detached { session, worker }).is_ok());
        }
        assert_eq!(bench.status().sessions, 1);
    });
}

#[test]
fn requests_sent_at_once_are_answered_in_order_when_they_are_read() {
    on_each_backend(|bench| {
        let mut slow = bench.client();
        let mut sent = 0_u32;
        // Until the engine has stopped listening and both directions are full.
        while sent < 100_000 && slow.try_send(&Request::CloseChannel { channel: sent }) {
            sent += 1;
        }
        assert!(sent < 100_000, "the engine keeps reading for whoever does not read");
        bench.client().resolve("slot-1");
        for number in 0..sent {
            let (reply, _) = slow.receive();
            let Reply::Refused { status: Status::NotFound, detail } = reply else { panic!("{reply:?}") };
            assert!(detail.ends_with(&format!(" {number}")), "{detail} is not the answer to {number}");
        }
        slow.resolve("slot-1");
    });
}
