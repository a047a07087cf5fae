//! The only door to atomics in this crate: the real ones, or loom's when models are checked.
//!
//! They are types of our own and not re-exports, so that lints see through which door one came, and so that only
//! what works on memory shared with a peer exists: there is no read-modify-write, which could not end if the peer
//! kept changing the word, and loads are relaxed, because stronger ones are not defined on a read-only mapping. An
//! acquire is a load and then a [`fence`].

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "this is the door")]

#[cfg(not(loom))]
use core::sync::atomic as inner;
#[cfg(loom)]
use loom::sync::atomic as inner;

pub(crate) use core::sync::atomic::Ordering;
#[cfg(loom)]
pub(crate) use modelled::SharedU64;

/// A word of 32 bits that another process may read or write at any time.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct SharedU32(inner::AtomicU32);

impl SharedU32 {
    /// A word outside shared memory.
    #[cfg(loom)]
    pub(crate) fn new(value: u32) -> Self {
        Self(inner::AtomicU32::new(value))
    }

    /// What it holds now.
    pub(crate) fn load(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Overwrites it.
    pub(crate) fn store(&self, value: u32, ordering: Ordering) {
        self.0.store(value, ordering);
    }

    /// For futexes.
    #[cfg(not(loom))]
    pub(crate) fn as_futex(&self) -> &inner::AtomicU32 {
        &self.0
    }
}

/// A word of 64 bits that another process may read or write at any time. Among honest peers a cursor orders every
/// access to it; a dishonest one gets no data race, only words of its own making.
#[cfg(not(loom))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct SharedU64(inner::AtomicU64);

#[cfg(not(loom))]
impl SharedU64 {
    /// What it holds now.
    pub(crate) fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Overwrites it.
    pub(crate) fn store(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// Orders what this thread does before against what it does after.
pub(crate) fn fence(ordering: Ordering) {
    inner::fence(ordering);
}

#[cfg(loom)]
mod modelled {
    use loom::cell::UnsafeCell;

    /// A word whose accesses cursors must order: loom reports any two that they do not. Loom's atomic would hide a
    /// missing release before an overwrite, because loom never lets a load see a later store.
    #[derive(Debug)]
    pub(crate) struct SharedU64(UnsafeCell<u64>);

    // SAFETY: loom checks that accesses of several threads are ordered, which is what the models are for.
    unsafe impl Sync for SharedU64 {}

    impl SharedU64 {
        pub(crate) fn new(value: u64) -> Self {
            Self(UnsafeCell::new(value))
        }

        pub(crate) fn load(&self) -> u64 {
            // SAFETY: the pointer is that of a live cell, and loom stops the model at a data race.
            self.0.with(|word| unsafe { *word })
        }

        pub(crate) fn store(&self, value: u64) {
            // SAFETY: as in `load`.
            self.0.with_mut(|word| unsafe { *word = value });
        }
    }
}
