use std::alloc::{Layout, alloc_zeroed};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

/// A heap over memory that is never given back, so that its blocks can be inspected after they were freed.
fn heap(slabs: usize) -> Heap {
    let layout = Layout::from_size_align(slabs * SLAB_BYTES, SLAB_BYTES).unwrap();
    // SAFETY: the layout is not empty.
    let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
    // SAFETY: fresh zeros, aligned, leaked.
    unsafe { Heap::new(start, slabs * SLAB_BYTES) }
}

fn bytes_of<'a>(block: NonNull<u8>, bytes: usize) -> &'a mut [u8] {
    // SAFETY: the tests pass blocks of a leaked range, and look at one at a time.
    unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), bytes) }
}

fn free(heap: &Heap, block: NonNull<u8>) {
    // SAFETY: the tests free each block once.
    unsafe { heap.free(block) }
}

#[test]
fn classes_cover_every_size_with_little_waste() {
    for bytes in 0..=SLAB_BYTES / 2 {
        let class = Class::of(bytes).unwrap();
        assert!(class.bytes() >= bytes, "{bytes}");
        assert!(class.bytes().is_multiple_of(BLOCK_ALIGN));
        assert!(class.bytes() <= bytes + (bytes / 4).max(BLOCK_ALIGN), "{bytes}");
        if let Some(smaller) = class.code().checked_sub(1).and_then(Class::from_code) {
            assert!(smaller.bytes() < bytes.max(1), "{bytes} would fit into a smaller class");
        }
    }
    assert_eq!(Class::of(SLAB_BYTES / 2 + 1), None);
    assert_eq!(Class::from_code(FREE), None);
    assert_eq!(Class::from_code(RUN), None);
}

#[test]
fn exhaustion_is_an_answer_and_everything_comes_back() {
    let heap = heap(8);
    for bytes in [1, 48, 700, 8192, SLAB_BYTES, 3 * SLAB_BYTES] {
        let blocks: Vec<_> = std::iter::from_fn(|| heap.allocate(bytes)).collect();
        assert!(blocks.len() >= 2, "{bytes}");
        assert_eq!(heap.allocate(bytes), None);
        for block in blocks {
            free(&heap, block);
        }
        // What one size gave back, one allocation of all of it gets: empty slabs do not stay with their class.
        let all = heap.allocate(8 * SLAB_BYTES).expect("every slab is free again");
        assert_eq!(heap.used_bytes(), 8 * SLAB_BYTES);
        assert_eq!(heap.allocate(1), None);
        free(&heap, all);
        assert_eq!(heap.used_bytes(), 0);
    }
    assert_eq!(heap.allocate(usize::MAX), None);
}

#[test]
fn runs_fill_the_gaps_between_others() {
    let heap = heap(4);
    let runs: Vec<_> = (0..4).map(|_| heap.allocate(SLAB_BYTES).unwrap()).collect();
    free(&heap, runs[1]);
    free(&heap, runs[2]);
    assert_eq!(heap.allocate(3 * SLAB_BYTES), None);
    assert_eq!(heap.allocate(2 * SLAB_BYTES), Some(runs[1]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Blocks are aligned, large enough, zero, and none overlaps another: each keeps the pattern that it was given.
    #[test]
    fn blocks_are_zero_aligned_and_disjoint(steps in prop::collection::vec((any::<bool>(), 0usize..40_000, any::<usize>()), 1..200)) {
        let heap = heap(24);
        let mut live: Vec<(NonNull<u8>, usize, u8)> = Vec::new();
        for (step, (grow, bytes, pick)) in steps.into_iter().enumerate() {
            if grow || live.is_empty() {
                let Some(block) = heap.allocate(bytes) else { continue };
                prop_assert!(block.as_ptr().addr().is_multiple_of(BLOCK_ALIGN));
                let size = heap.block_bytes(block);
                prop_assert!(size >= bytes);
                prop_assert!(heap.contains(block.as_ptr()));
                prop_assert!(heap.contains(&raw const bytes_of(block, size)[size - 1]));
                prop_assert!(bytes_of(block, size).iter().all(|&byte| byte == 0));
                let mark = u8::try_from(step % 255).unwrap() + 1;
                bytes_of(block, size).fill(mark);
                live.push((block, size, mark));
            } else {
                let (block, size, mark) = live.swap_remove(pick % live.len());
                prop_assert!(bytes_of(block, size).iter().all(|&byte| byte == mark));
                free(&heap, block);
                prop_assert!(bytes_of(block, size).iter().all(|&byte| byte == 0), "not erased");
            }
        }
        for (block, size, mark) in live {
            prop_assert!(bytes_of(block, size).iter().all(|&byte| byte == mark));
            free(&heap, block);
        }
        heap.reclaim();
        prop_assert_eq!(heap.used_bytes(), 0);
    }
}

/// Threads that allocate in one another's classes, and free what another allocated, never share a block.
#[test]
fn threads_share_no_block() {
    let heap = Arc::new(heap(64));
    let (to_other, from_other): (Vec<_>, Vec<_>) = (0..2).map(|_| std::sync::mpsc::sync_channel(64)).unzip();
    let threads =
        from_other.into_iter().zip(to_other.into_iter().rev()).zip(1u8..).map(|((inbox, outbox), mark)| {
            let heap = Arc::clone(&heap);
            std::thread::spawn(move || {
                let mut size = usize::from(mark);
                for _ in 0..100_000 {
                    size = (size * 1_103 + 12_345) % 3_000;
                    let Some(block) = heap.allocate(size) else { continue };
                    assert!(bytes_of(block, size).iter().all(|&byte| byte == 0));
                    bytes_of(block, size).fill(mark);
                    if outbox.try_send((block.as_ptr().addr(), size)).is_err() {
                        assert!(bytes_of(block, size).iter().all(|&byte| byte == mark));
                        free(&heap, block);
                    }
                    if let Ok((address, size)) = inbox.try_recv() {
                        let block = NonNull::new(heap.start.as_ptr().with_addr(address)).unwrap();
                        assert!(bytes_of(block, size).iter().all(|&byte| byte == 3 - mark));
                        free(&heap, block);
                    }
                }
                drop(outbox);
                while let Ok((address, _)) = inbox.recv() {
                    free(&heap, NonNull::new(heap.start.as_ptr().with_addr(address)).unwrap());
                }
            })
        });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    heap.reclaim();
    assert_eq!(heap.used_bytes(), 0);
}
