//! For fault campaigns: which blocks of secret memory a computation leaves in use, and bits to flip in them.

use std::cell::RefCell;
use std::ptr::NonNull;

/// Start and bytes of each block.
type Blocks = Vec<(NonNull<u8>, usize)>;

thread_local! {
    /// While somebody records.
    static BLOCKS: RefCell<Option<Blocks>> = const { RefCell::new(None) };
}

/// Runs `make` and tells which words of secret memory it allocated on this thread and did not free.
pub(crate) fn record<R>(make: impl FnOnce() -> R) -> (R, Vec<Word>) {
    BLOCKS.set(Some(Vec::new()));
    let made = make();
    let blocks = BLOCKS.take().unwrap_or_default();
    let words = blocks.into_iter().flat_map(|(start, bytes)| {
        (0..bytes / 8).map(move |index| Word(start.cast::<u64>().as_ptr().wrapping_add(index)))
    });
    (made, words.collect())
}

pub(super) fn allocated(block: NonNull<u8>, bytes: usize) {
    recorded(|blocks| blocks.push((block, bytes)));
}

pub(super) fn freed(block: NonNull<u8>) {
    recorded(|blocks| blocks.retain(|&(start, _)| start != block));
}

fn recorded(change: impl FnOnce(&mut Blocks)) {
    // aws-lc frees its own thread's state when Rust's is gone already.
    let _ = BLOCKS.try_with(|blocks| blocks.borrow_mut().as_mut().map(change));
}

/// One word of secret memory.
pub(crate) struct Word(*mut u64);

impl Word {
    /// Whether this looks like part of a number: pointers, lengths and counters are below 2^48.
    pub(crate) fn is_number(&self) -> bool {
        // SAFETY: the test that recorded the block keeps it in use.
        let value = unsafe { self.0.read_volatile() };
        value >= 1 << 48
    }

    /// Flips a bit.
    pub(crate) fn flip(&mut self, bit: usize) {
        // SAFETY: as above; nobody computes with it meanwhile.
        let value = unsafe { self.0.read_volatile() };
        // SAFETY: as above.
        unsafe { self.0.write_volatile(value ^ 1 << bit) };
    }
}
