//! What a ring costs one core: no other process, no cache line that travels. `keylane-perf ring` has those.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails is no measurement")]
#![allow(missing_docs, reason = "criterion_group makes undocumented functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use keylane_shm::{ClientChannel, ClientFlags, EngineChannel, EngineFlags, Geometry};

const ENTRIES: u32 = 256;
/// Octets of an entry: the smallest, and those that the engine's entries have by default.
const ENTRY_BYTES: [u32; 3] = [64, 256, 640];
/// Entries published at once.
const BURST: u32 = 64;

fn channel(bytes: u32) -> (EngineChannel, ClientChannel) {
    let geometry = Geometry::new(ENTRIES, bytes, bytes).unwrap();
    let (engine, descriptors) = EngineChannel::create(geometry).unwrap();
    (engine, ClientChannel::map(geometry, descriptors).unwrap())
}

/// Entries through a ring, whole.
fn through(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("through");
    for bytes in ENTRY_BYTES {
        let (mut engine, mut client) = channel(bytes);
        let mut words = vec![7; bytes as usize / 8];
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("one", bytes), |bencher| {
            bencher.iter(|| {
                client.submissions().push(black_box(&words)).unwrap();
                client.submissions().publish();
                engine.submissions().pop(&mut words).unwrap();
                engine.submissions().release();
            });
        });
        group.throughput(Throughput::Elements(BURST.into()));
        group.bench_function(BenchmarkId::new("burst", bytes), |bencher| {
            bencher.iter(|| {
                for _ in 0..BURST {
                    client.submissions().push(black_box(&words)).unwrap();
                }
                client.submissions().publish();
                while engine.submissions().pop(&mut words).unwrap() {}
                engine.submissions().release();
            });
        });
    }
    group.finish();
}

/// A header read first, and then as much of the entry as it says.
fn front(criterion: &mut Criterion) {
    let (mut engine, mut client) = channel(640);
    let mut header = [0; 5];
    let mut payload = [0; 17];
    criterion.bench_function("front", |bencher| {
        bencher.iter(|| {
            client.submissions().push(&[7; 22]).unwrap();
            client.submissions().publish();
            let mut front = engine.submissions().front().unwrap().unwrap();
            front.read(0, &mut header);
            front.read(header.len(), &mut payload);
            front.consume();
            engine.submissions().release();
            black_box((&header, &payload));
        });
    });
}

/// What each side asks after a publication, when nobody sleeps: a full fence each.
fn wakefulness(criterion: &mut Criterion) {
    let (engine, client) = channel(64);
    let (page, fd) = EngineFlags::create(1).unwrap();
    let flags = ClientFlags::map(fd).unwrap();
    engine.own(0);
    page.announce_awake(0);
    criterion.bench_function("owner_sleeps", |bencher| bencher.iter(|| client.owner_sleeps(&flags)));
    criterion.bench_function("client_sleeps", |bencher| bencher.iter(|| engine.client_sleeps()));
}

/// A channel, from nothing to both sides mapped.
fn open(criterion: &mut Criterion) {
    criterion.bench_function("open", |bencher| bencher.iter(|| channel(256)));
}

criterion_group!(benches, through, front, wakefulness, open);
criterion_main!(benches);
