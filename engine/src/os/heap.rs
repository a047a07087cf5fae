//! A thread-safe allocator over one range of secret memory.
//!
//! The range is parted into slabs of 16 KiB. A slab holds blocks of one size class, or belongs to a *run* of slabs
//! that is one large allocation. All book-keeping is outside the range: an overrun inside it corrupts no pointer of
//! the allocator, and what is free is zero, wholly. Exhaustion is an answer, never an abort.
//!
//! Locks: one per size class, one for the pool of slabs; a class's lock may be held when the pool's is taken, never
//! the other way round, and never two classes' at once. A slab's class does not change while one of its blocks lives.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

mod class;

use class::{CLASSES, Class};

/// Bytes of a slab.
pub(super) const SLAB_BYTES: usize = 16 * 1024;
/// Alignment of every block; what C's malloc promises.
pub(super) const BLOCK_ALIGN: usize = 16;

const BITMAP_WORDS: usize = SLAB_BYTES / BLOCK_ALIGN / 64;
/// "No slab" in a list.
const NONE: u32 = u32::MAX;
/// `Slab::class` of a slab in the pool.
const FREE: u16 = u16::MAX;
/// `Slab::class` of a slab that belongs to a run.
const RUN: u16 = u16::MAX - 1;

/// Book-keeping of one slab. The lock of its class, or of the pool, orders every access but that to `class`.
struct Slab {
    class: AtomicU16,
    /// Blocks in use; for the first slab of a run, the run's slabs.
    live: AtomicU32,
    /// A set bit is a block in use.
    blocks: [AtomicU64; BITMAP_WORDS],
    next: AtomicU32,
    previous: AtomicU32,
}

impl Slab {
    fn new() -> Self {
        Self {
            class: AtomicU16::new(FREE),
            live: AtomicU32::new(0),
            blocks: [const { AtomicU64::new(0) }; BITMAP_WORDS],
            next: AtomicU32::new(NONE),
            previous: AtomicU32::new(NONE),
        }
    }

    /// Takes the first free one of `blocks` blocks.
    fn take(&self, blocks: u32) -> Option<u32> {
        for (index, word) in (0u32..).zip(&self.blocks) {
            let taken = word.load(Relaxed);
            let block = index * 64 + taken.trailing_ones();
            if taken != u64::MAX && block < blocks {
                word.store(taken | 1 << (block % 64), Relaxed);
                self.live.store(self.live.load(Relaxed) + 1, Relaxed);
                return Some(block);
            }
        }
        None
    }

    /// Gives `block` back and says how many are still in use.
    fn give(&self, block: u32) -> u32 {
        let word = &self.blocks[block as usize / 64];
        let bit = 1 << (block % 64);
        debug_assert!(word.load(Relaxed) & bit != 0, "block freed twice");
        word.store(word.load(Relaxed) & !bit, Relaxed);
        let live = self.live.load(Relaxed) - 1;
        self.live.store(live, Relaxed);
        live
    }
}

/// Slabs of one class that have a free block: a doubly linked list through [`Slab::next`].
struct Partial {
    first: u32,
}

/// Which slabs are in use.
struct Pool {
    taken: Vec<bool>,
    /// No slab below this one is free.
    hint: usize,
}

impl Pool {
    /// Takes `count` neighbouring slabs, the lowest that fit.
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut free = 0;
        for index in self.hint..self.taken.len() {
            free = if self.taken[index] { 0 } else { free + 1 };
            if free == count {
                let first = index + 1 - count;
                self.taken[first..=index].fill(true);
                if first == self.hint {
                    self.hint = index + 1;
                }
                return Some(first);
            }
        }
        None
    }

    fn give(&mut self, first: usize, count: usize) {
        self.taken[first..first + count].fill(false);
        self.hint = self.hint.min(first);
    }
}

/// The allocator.
pub(super) struct Heap {
    start: NonNull<u8>,
    slabs: Box<[Slab]>,
    partial: [Mutex<Partial>; CLASSES],
    pool: Mutex<Pool>,
    used_slabs: AtomicUsize,
}

// SAFETY: the range belongs to the heap alone, which hands out disjoint blocks; its book-keeping is atomic and locked.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Heap {
    /// Manages `bytes` of memory from `start` on.
    ///
    /// # Safety
    /// The range is readable, writable and zero, used by nobody else, and lives as long as the heap and its blocks.
    /// `start` is aligned to 16 KiB.
    pub(super) unsafe fn new(start: NonNull<u8>, bytes: usize) -> Self {
        debug_assert!(start.as_ptr().addr().is_multiple_of(SLAB_BYTES));
        let slabs = bytes / SLAB_BYTES;
        Self {
            start,
            slabs: (0..slabs).map(|_| Slab::new()).collect(),
            partial: [const { Mutex::new(Partial { first: NONE }) }; CLASSES],
            pool: Mutex::new(Pool { taken: vec![false; slabs], hint: 0 }),
            used_slabs: AtomicUsize::new(0),
        }
    }

    /// Bytes of the slabs in use.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_slabs.load(Relaxed) * SLAB_BYTES
    }

    /// Whether `address` lies in the range.
    pub(super) fn contains(&self, address: *const u8) -> bool {
        let start = self.start.as_ptr().addr();
        (start..start + self.slabs.len() * SLAB_BYTES).contains(&address.addr())
    }

    /// A block of at least `bytes`, all zero, aligned to 16 (large ones to 16 KiB); `None` when there is no room.
    pub(super) fn allocate(&self, bytes: usize) -> Option<NonNull<u8>> {
        let block = self.try_allocate(bytes).or_else(|| {
            self.reclaim();
            self.try_allocate(bytes)
        })?;
        #[cfg(test)]
        record::allocated(block, self.block_bytes(block));
        Some(block)
    }

    fn try_allocate(&self, bytes: usize) -> Option<NonNull<u8>> {
        match Class::of(bytes) {
            Some(class) => self.allocate_block(class),
            None => self.allocate_run(bytes.div_ceil(SLAB_BYTES)),
        }
    }

    /// Erases a block and takes it back.
    ///
    /// # Safety
    /// `block` came from [`allocate`](Self::allocate) of this heap, was not freed since, and nobody uses it any more.
    pub(super) unsafe fn free(&self, block: NonNull<u8>) {
        #[cfg(test)]
        record::freed(block);
        // SAFETY: the caller gives up the block, whose size the heap knows.
        unsafe { erase(block, self.block_bytes(block)) };
        let (slab, offset) = self.locate(block);
        match Class::from_code(self.slabs[slab].class.load(Relaxed)) {
            Some(class) => self.free_block(class, slab, class.block_at(offset)),
            None => self.free_run(slab),
        }
    }

    /// Bytes that `block`, a block in use, really has.
    pub(super) fn block_bytes(&self, block: NonNull<u8>) -> usize {
        let slab = &self.slabs[self.locate(block).0];
        match Class::from_code(slab.class.load(Relaxed)) {
            Some(class) => class.bytes(),
            None => slab.live.load(Relaxed) as usize * SLAB_BYTES,
        }
    }

    fn allocate_block(&self, class: Class) -> Option<NonNull<u8>> {
        let mut partial = lock(&self.partial[class.index()]);
        if partial.first == NONE {
            let index = u32::try_from(self.take_slabs(1)?).ok()?;
            self.slabs[index as usize].class.store(class.code(), Relaxed);
            self.link(&mut partial, index);
        }
        let index = partial.first;
        let slab = &self.slabs[index as usize];
        let block = slab.take(class.blocks())?;
        if slab.live.load(Relaxed) == class.blocks() {
            self.unlink(&mut partial, index);
        }
        Some(self.address(index as usize, block as usize * class.bytes()))
    }

    fn free_block(&self, class: Class, index: usize, block: u32) {
        let mut partial = lock(&self.partial[class.index()]);
        let slab = &self.slabs[index];
        let live = slab.give(block);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "slabs are counted in u32: 64 TiB of secret memory"
        )]
        let number = index as u32;
        if live + 1 == class.blocks() {
            self.link(&mut partial, number);
        }
        // One empty slab stays with its class, so that a lone block that comes and goes costs no slab each time.
        let alone = partial.first == number && slab.next.load(Relaxed) == NONE;
        if live == 0 && !alone {
            self.unlink(&mut partial, number);
            self.give_slabs(index, 1);
        }
    }

    fn allocate_run(&self, slabs: usize) -> Option<NonNull<u8>> {
        let first = self.take_slabs(slabs)?;
        let run = &self.slabs[first..first + slabs];
        for slab in run {
            slab.class.store(RUN, Relaxed);
        }
        run[0].live.store(u32::try_from(slabs).ok()?, Relaxed);
        Some(self.address(first, 0))
    }

    fn free_run(&self, first: usize) {
        let slabs = self.slabs[first].live.swap(0, Relaxed) as usize;
        self.give_slabs(first, slabs);
    }

    /// Gives the empty slabs that classes keep back to the pool.
    fn reclaim(&self) {
        for partial in &self.partial {
            let mut partial = lock(partial);
            let mut index = partial.first;
            while index != NONE {
                let slab = &self.slabs[index as usize];
                let next = slab.next.load(Relaxed);
                if slab.live.load(Relaxed) == 0 {
                    self.unlink(&mut partial, index);
                    self.give_slabs(index as usize, 1);
                }
                index = next;
            }
        }
    }

    fn take_slabs(&self, count: usize) -> Option<usize> {
        let first = lock(&self.pool).take(count)?;
        self.used_slabs.fetch_add(count, Relaxed);
        Some(first)
    }

    fn give_slabs(&self, first: usize, count: usize) {
        for slab in &self.slabs[first..first + count] {
            slab.class.store(FREE, Relaxed);
        }
        lock(&self.pool).give(first, count);
        self.used_slabs.fetch_sub(count, Relaxed);
    }

    fn link(&self, partial: &mut Partial, index: u32) {
        let slab = &self.slabs[index as usize];
        slab.previous.store(NONE, Relaxed);
        slab.next.store(partial.first, Relaxed);
        if let Some(second) = self.slabs.get(partial.first as usize) {
            second.previous.store(index, Relaxed);
        }
        partial.first = index;
    }

    fn unlink(&self, partial: &mut Partial, index: u32) {
        let slab = &self.slabs[index as usize];
        let (previous, next) = (slab.previous.load(Relaxed), slab.next.load(Relaxed));
        match self.slabs.get(previous as usize) {
            Some(before) => before.next.store(next, Relaxed),
            None => partial.first = next,
        }
        if let Some(after) = self.slabs.get(next as usize) {
            after.previous.store(previous, Relaxed);
        }
    }

    fn locate(&self, block: NonNull<u8>) -> (usize, usize) {
        let offset = block.as_ptr().addr() - self.start.as_ptr().addr();
        (offset / SLAB_BYTES, offset % SLAB_BYTES)
    }

    fn address(&self, slab: usize, offset: usize) -> NonNull<u8> {
        let address = self.start.as_ptr().wrapping_add(slab * SLAB_BYTES + offset);
        // SAFETY: the offset is inside the range, which does not wrap around the end of memory.
        unsafe { NonNull::new_unchecked(address) }
    }
}

/// Writes zeros in a way that no compiler removes.
///
/// # Safety
/// `bytes` from `start` on are writable and nobody else uses them.
pub(super) unsafe fn erase(start: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { ptr::write_bytes(start.as_ptr(), 0, bytes) };
    // SAFETY: no instruction; it only claims to read what `start` points to, so the zeros must have been written.
    unsafe { std::arch::asm!("/* {0} */", in(reg) start.as_ptr(), options(nostack, preserves_flags)) };
}

/// Book-keeping is consistent whenever a lock is free, and nothing panics while one is held: poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod record;
#[cfg(test)]
mod tests;
