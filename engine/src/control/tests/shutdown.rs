//! The way out.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;

use keylane_api::Status;
use keylane_api::control::{Reply, Request};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::raise;

use super::bench::{Bench, Peer, SHAPE, WORKERS, on_each_backend, open, resolve, until};
use crate::audit::Record;
use crate::control::shutdown::Signals;
use crate::messages::{FromWorker, KeeperJob, ToWorker};

fn wait_for_drain(bench: &Bench) {
    for worker in 0..WORKERS {
        until(|| matches!(bench.mail(worker), ToWorker::Drain).then_some(()));
    }
}

/// Records an operation, as a worker would.
fn record(bench: &Bench, key: u64) {
    let mut reserved = 0;
    let place = bench.ring.reserve(&mut reserved).unwrap();
    bench.ring.fill(&mut reserved, place, Record { time_ns: 1, key, ..Record::default() });
}

#[test]
fn in_flight_work_is_answered_then_the_log_says_stop() {
    on_each_backend(|mut bench| {
        let mut client = bench.client();
        let channel = client.open();
        let socket = bench.socket();
        bench.ask_to_stop();
        wait_for_drain(&bench);
        assert!(Peer::connect(&socket).is_err(), "nobody new comes in");
        assert!(!socket.exists());
        assert_eq!(client.refused(&resolve("slot-1")).0, Status::Draining);
        assert_eq!(client.refused(&open(SHAPE)).0, Status::Draining);
        assert_eq!(client.ask(&Request::CloseChannel { channel }).0, Reply::Done);
        assert!(!bench.status().ready);
        assert!(!bench.has_ended(), "a worker has requests in flight");

        // The last answer's record comes before the worker says that it has drained.
        record(&bench, 42);
        for worker in 0..WORKERS {
            assert!(bench.from_workers.send(FromWorker::Drained { worker }).is_ok());
        }
        bench.join().unwrap();
        assert!(!bench.directory.path().join("admin.sock").exists());
        assert!(bench.archive.newest().unwrap().unwrap().clean, "a stop record, and nothing lost");
    });
}

#[test]
fn who_asks_twice_does_not_wait_for_a_worker() {
    on_each_backend(|mut bench| {
        record(&bench, 7);
        bench.ask_to_stop();
        wait_for_drain(&bench);
        bench.ask_to_stop();
        bench.join().unwrap();
        let newest = bench.archive.newest().unwrap().unwrap();
        assert!(!newest.clean, "nobody knows what the worker would have recorded");
    });
}

#[test]
fn records_reach_the_disk_while_nobody_asks() {
    on_each_backend(|bench| {
        (0..100).for_each(|key| record(&bench, key));
        until(|| (bench.status().audit.durable_records == 100).then_some(()));
    });
}

#[test]
fn signals_ask_it_to_stop_for_as_long_as_it_runs() {
    let (mut asked, stopper) = UnixStream::pair().unwrap();
    asked.set_nonblocking(true).unwrap();
    let signals = Signals::register(&stopper).unwrap();
    for signal in [SIGTERM, SIGINT] {
        raise(signal).unwrap();
        assert_eq!(asked.read(&mut [0; 4]).unwrap(), 1);
    }
    drop(signals);
    raise(SIGTERM).unwrap();
    assert_eq!(asked.read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_next_segment_is_asked_for_before_it_is_needed() {
    on_each_backend(|bench| {
        let asked = until(|| {
            // As fast as the ring takes them: half a segment is half a million records.
            let mut reserved = 0;
            while let Some(place) = bench.ring.reserve(&mut reserved) {
                bench.ring.fill(&mut reserved, place, Record { time_ns: 1, ..Record::default() });
            }
            bench.keeper.receive()
        });
        assert!(matches!(asked, KeeperJob::NextSegment { first_sequence } if first_sequence > 1_000_000));
        assert!(bench.keeper.is_empty(), "once");
    });
}

#[test]
fn the_engines_parts_are_released_in_the_end() {
    on_each_backend(|mut bench| {
        let client = bench.client();
        bench.ask_to_stop();
        wait_for_drain(&bench);
        bench.ask_to_stop();
        bench.join().unwrap();
        assert!(client.try_receive().is_none(), "connections end with it");
    });
}
