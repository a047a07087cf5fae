use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::segment::{SEGMENT_RECORDS, is_full, record_offset};
use super::{Archive, AuditLog, AuditRing, Record, Witness};
use crate::config::{Audit, WhenFull};
use crate::limits::AUDIT_RING_RECORDS;

const WITNESS: Witness = Witness { store: [7; 16], epoch: 3 };
const LOST_MAX: u64 = 5;

fn archive(directory: &Path, keep: u32, when_full: WhenFull) -> Archive {
    Archive::open(directory, Audit { keep, when_full }, LOST_MAX).expect("opens")
}

/// Does what the reactor does, at once.
fn perform(log: &mut AuditLog, now: Instant) -> usize {
    let Some(write) = log.next_write(now) else { return 0 };
    let file = Arc::clone(&write.file);
    let outcome = file.write_all_at(write.bytes, write.offset).map(|()| write.bytes.len());
    log.written(outcome, now);
    1
}

fn filled_ring(full: &Arc<AtomicBool>, records: usize) -> Arc<AuditRing> {
    let ring = Arc::new(AuditRing::new(Arc::clone(full)));
    let mut reserved = 0;
    for number in 0..records {
        let place = ring.reserve(&mut reserved).expect("room");
        ring.fill(&mut reserved, place, Record { time_ns: 1, key: number as u64, ..Record::default() });
    }
    ring
}

#[test]
fn a_reservation_is_refused_exactly_when_it_could_not_be_filled() {
    let full = Arc::new(AtomicBool::new(false));
    let ring = filled_ring(&full, AUDIT_RING_RECORDS - 2);
    let mut reserved = 0;
    let first = ring.reserve(&mut reserved).expect("one but last");
    let second = ring.reserve(&mut reserved).expect("last");
    assert!(ring.reserve(&mut reserved).is_none(), "two reserved, none free");
    ring.fill(&mut reserved, first, Record::start(0));
    ring.fill(&mut reserved, second, Record::start(0));
    assert!(ring.reserve(&mut reserved).is_none(), "full");
    assert!(ring.take().is_some());
    full.store(true, Ordering::Relaxed);
    assert!(ring.reserve(&mut reserved).is_none(), "the log has no room");
    full.store(false, Ordering::Relaxed);
    assert!(ring.reserve(&mut reserved).is_some());
}

#[test]
fn records_reach_the_segment_in_order_and_are_found_again() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let archive = archive(directory.path(), 4, WhenFull::Prune);
    let segment = archive.create(0, WITNESS).expect("creates");
    let full = Arc::new(AtomicBool::new(false));
    let mut log = AuditLog::new(segment, None, 1, vec![filled_ring(&full, 100)], full);
    log.append(Record::epoch(9, [1; 32]));
    assert!(!log.is_durable());
    assert_eq!(perform(&mut log, Instant::now()), 1);
    assert!(log.is_durable());
    assert_eq!(log.status().next_sequence, 101);

    let newest = archive.newest().expect("reads").expect("one");
    assert_eq!(newest.segment.records, 101);
    assert_eq!(newest.witness, Witness { epoch: 9, ..WITNESS });
    assert!(!newest.clean, "no stop record");
    let mut last = Record::default();
    newest.segment.file.read_exact_at(bytemuck::bytes_of_mut(&mut last), record_offset(100)).expect("reads");
    assert_eq!(last.key, 99);
}

#[test]
fn a_clean_stop_is_told_from_a_crash_and_the_newest_epoch_counts() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let archive = archive(directory.path(), 4, WhenFull::Prune);
    let full = Arc::new(AtomicBool::new(false));
    let mut log = AuditLog::new(archive.create(0, WITNESS).expect("creates"), None, 1, Vec::new(), full);
    for record in [Record::epoch(12, [0; 32]), Record::rollback_accepted(5), Record::stop()] {
        log.append(record);
    }
    perform(&mut log, Instant::now());
    let newest = archive.newest().expect("reads").expect("one");
    assert!(newest.clean);
    assert_eq!(newest.witness.epoch, 12);
}

#[test]
fn a_failed_write_is_repeated_and_refuses_operations_meanwhile() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let archive = archive(directory.path(), 4, WhenFull::Refuse);
    let full = Arc::new(AtomicBool::new(false));
    let ring = filled_ring(&full, 10);
    let rings = vec![Arc::clone(&ring)];
    let mut log =
        AuditLog::new(archive.create(0, WITNESS).expect("creates"), None, 1, rings, Arc::clone(&full));
    let now = Instant::now();
    let first = log.next_write(now).map(|write| (write.offset, write.bytes.to_vec())).expect("due");
    assert!(log.next_write(now).is_none(), "one at a time");
    log.written(Err(std::io::ErrorKind::StorageFull.into()), now);
    assert!(ring.reserve(&mut 0).is_none(), "refused while the disk is full");
    let later = now + Duration::from_secs(1);
    let again = log.next_write(later).map(|write| (write.offset, write.bytes.to_vec())).expect("repeated");
    assert_eq!(first, again);
    log.written(Ok(again.1.len()), later);
    assert!(ring.reserve(&mut 0).is_some());
    assert!(log.is_durable());
}

#[test]
fn a_full_segment_gives_way_to_the_next_and_none_means_refusal() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let archive = archive(directory.path(), 8, WhenFull::Refuse);
    let full = Arc::new(AtomicBool::new(false));
    let mut segment = archive.create(0, WITNESS).expect("creates");
    segment.records = SEGMENT_RECORDS - 3;
    let ring = filled_ring(&full, 10);
    let mut log = AuditLog::new(segment, None, 1, vec![Arc::clone(&ring)], Arc::clone(&full));
    let mut now = Instant::now();
    let wanted = log.needs_segment(now).expect("more than half full");
    assert_eq!(wanted, SEGMENT_RECORDS);
    assert_eq!(log.needs_segment(now), None, "asked once");
    perform(&mut log, now);
    now += Duration::from_secs(1);
    assert_eq!(perform(&mut log, now), 0, "no room");
    assert!(ring.reserve(&mut 0).is_none());
    log.segment(archive.create(wanted, WITNESS), 2, now);
    now += Duration::from_secs(1);
    assert_eq!(perform(&mut log, now), 1);
    assert!(log.is_durable());
    assert_eq!(log.status().next_sequence, SEGMENT_RECORDS + 7);
    assert!(ring.reserve(&mut 0).is_some());
}

/// The next segment is made long before it is needed; what the current one records meanwhile counts.
#[test]
fn a_segment_made_in_advance_hides_nothing_of_its_predecessor() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let archive = archive(directory.path(), 4, WhenFull::Prune);
    let full = Arc::new(AtomicBool::new(false));
    let current = archive.create(0, WITNESS).expect("creates");
    archive.create(SEGMENT_RECORDS, Witness { epoch: 8, ..WITNESS }).expect("creates");
    let mut log = AuditLog::new(current, None, 2, Vec::new(), Arc::clone(&full));
    log.append(Record::start(70));
    log.append(Record::epoch(12, [0; 32]));
    perform(&mut log, Instant::now());

    let newest = archive.newest().expect("reads").expect("some");
    assert_eq!(newest.witness, Witness { epoch: 12, ..WITNESS });
    assert_eq!(newest.lost_max, 70, "whoever may lose most counts");
    assert!(!newest.clean, "no stop record in the segment that was written");
    assert_eq!((newest.segment.first_sequence, newest.segment.records), (0, 2), "it is gone on in");

    // Full at last: the one that waits is next, and begins with the newest epoch.
    let mut segment = newest.segment;
    segment.records = SEGMENT_RECORDS;
    let mut log = AuditLog::new(segment, newest.next, 2, Vec::new(), full);
    log.append(Record::epoch(13, [0; 32]));
    perform(&mut log, Instant::now());
    assert_eq!(log.status().next_sequence, SEGMENT_RECORDS + 2);
    let newest = archive.newest().expect("reads").expect("some");
    assert_eq!((newest.segment.first_sequence, newest.witness.epoch), (SEGMENT_RECORDS, 13));
    assert!(newest.next.is_none());
}

#[test]
fn pruning_keeps_the_newest_and_refusing_keeps_all() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let pruning = archive(directory.path(), 2, WhenFull::Prune);
    for number in 0..3 {
        pruning.create(number * SEGMENT_RECORDS, WITNESS).expect("creates");
    }
    assert_eq!(pruning.segments().expect("lists"), [SEGMENT_RECORDS, 2 * SEGMENT_RECORDS]);
    let refusing = archive(directory.path(), 2, WhenFull::Refuse);
    let refused = refusing.create(3 * SEGMENT_RECORDS, WITNESS).err().expect("full");
    assert!(is_full(&refused), "{refused}");
    assert!(refused.to_string().contains("audit.keep"));
    assert_eq!(refusing.segments().expect("lists").len(), 2);
}

#[test]
fn what_is_no_segment_is_an_error_that_names_the_file() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let archive = archive(directory.path(), 4, WhenFull::Prune);
    archive.create(0, WITNESS).expect("creates");
    let path = directory.path().join(format!("{:020}.audit", 0));
    for (offset, wrong) in [(0, "not an audit segment"), (8, "unknown version"), (32, "renamed")] {
        let before = std::fs::read(&path).expect("reads");
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opens");
        file.write_all_at(&[0xa5], offset).expect("writes");
        let error = archive.newest().err().expect("refused").to_string();
        assert!(error.contains(wrong) && error.contains(".audit"), "{error}");
        file.write_all_at(&before[..64], 0).expect("restores");
    }
    assert!(archive.newest().is_ok());
}
