//! What a forked child must not share with its parent.
//!
//! A child inherits its parent's memory as it was at that moment: locks held by threads that it does not have, rings
//! that it no longer maps. What lives here tells the two processes apart by one load of a word that Linux wipes in
//! children, makes each process its own values, and forgets inherited ones without touching them.

#![expect(
    clippy::disallowed_types,
    reason = "no peer shares these atomics; they are private to this process"
)]

use core::marker::PhantomData;
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use memmap2::MmapOptions;
use rustix::mm::{Advice, madvise};

/// The newest generation in this process or an ancestor: ordinary memory, which a child inherits.
static NEWEST: AtomicU64 = AtomicU64::new(0);
/// The word that is zero in a new process.
static MARKER: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
/// What [`MARKER`] points to where Linux wipes nothing (before 4.14, or a sandbox): then the process number decides.
static UNWIPED: AtomicU64 = AtomicU64::new(0);

/// A number that this process has and no ancestor had; the same for all of its threads. Costs two loads.
pub fn generation() -> u64 {
    let marker = marker();
    if ptr::eq(marker, &raw const UNWIPED) {
        return u64::from(rustix::process::getpid().as_raw_nonzero().get().unsigned_abs());
    }
    match marker.load(Ordering::Relaxed) {
        0 => name(marker),
        known => known,
    }
}

/// Names a new process. No lock: a fork may happen at any time.
#[cold]
fn name(marker: &AtomicU64) -> u64 {
    let proposed = NEWEST.fetch_add(1, Ordering::Relaxed) + 1;
    match marker.compare_exchange(0, proposed, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => proposed,
        Err(known) => known,
    }
}

fn marker() -> &'static AtomicU64 {
    let known = MARKER.load(Ordering::Acquire);
    let marker = if known.is_null() { install_marker() } else { known };
    // SAFETY: it points to `UNWIPED`, or to the start of a mapping that is never unmapped, is aligned to a page and
    // holds zeros at first. Needed because only a page of its own can be wiped.
    unsafe { &*marker }
}

#[cold]
fn install_marker() -> *mut AtomicU64 {
    let page = wiped_page();
    let word = page.as_ref().map(|page| page.as_mut_ptr().cast());
    let proposed = word.unwrap_or((&raw const UNWIPED).cast_mut());
    let null = ptr::null_mut();
    match MARKER.compare_exchange(null, proposed, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            mem::forget(page);
            proposed
        }
        Err(known) => known,
    }
}

/// A page that is all zero in every child.
fn wiped_page() -> Option<memmap2::MmapRaw> {
    let bytes = size_of::<AtomicU64>();
    let page = memmap2::MmapRaw::from(MmapOptions::new().len(bytes).map_anon().ok()?);
    // SAFETY: the range is that of the mapping just made, which nothing points into yet. Needed because memmap2 lacks
    // this advice.
    unsafe { madvise(page.as_mut_ptr().cast(), bytes, Advice::LinuxWipeOnFork) }.ok()?;
    Some(page)
}

/// A value of which every process has its own. A forked child leaks its parent's and makes a new one on first use.
#[derive(Debug)]
pub struct PerProcess<T> {
    current: AtomicPtr<Instance<T>>,
    owns: PhantomData<Box<Instance<T>>>,
}

#[derive(Debug)]
struct Instance<T> {
    generation: u64,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    /// No process has one yet.
    pub const fn new() -> Self {
        Self { current: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    /// This process's value, if it has one.
    pub fn get(&self) -> Option<&T> {
        let instance = self.instance()?;
        (instance.generation == generation()).then_some(&instance.value)
    }

    /// This process's value, made now if it has none. `make` gets the parent's, to salvage what can be salvaged
    /// without waiting: a lock in it may be held by a thread that this process does not have. Threads that make one
    /// at the same time agree on one of theirs.
    pub fn get_or_make(&self, make: impl FnOnce(Option<&T>) -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let inherited = self.instance();
        let value = make(inherited.map(|instance| &instance.value));
        let expected = inherited.map_or(ptr::null_mut(), |instance| ptr::from_ref(instance).cast_mut());
        let proposed = Box::into_raw(Box::new(Instance { generation: generation(), value }));
        let settled =
            match self.current.compare_exchange(expected, proposed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => proposed,
                Err(settled) => {
                    // SAFETY: `proposed` came from a box just now and nobody else has seen it.
                    drop(unsafe { Box::from_raw(proposed) });
                    settled
                }
            };
        // SAFETY: as in `instance`; it is not null, and of this process: the only other change of `current` is this.
        unsafe { &(*settled).value }
    }

    fn instance(&self) -> Option<&Instance<T>> {
        // SAFETY: null, or from `Box::into_raw` above. It is freed by `drop` only, or never if another process's
        // succeeds it, so it outlives the borrow of `self`. Needed because a lock could be inherited locked.
        unsafe { self.current.load(Ordering::Acquire).as_ref() }
    }
}

impl<T: Send + Sync> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let current = *self.current.get_mut();
        // SAFETY: as in `instance`.
        if unsafe { current.as_ref() }.is_some_and(|instance| instance.generation == generation()) {
            // SAFETY: from a box, and `&mut self` says that nobody borrows it.
            drop(unsafe { Box::from_raw(current) });
        }
    }
}

/// A value that only the process that made it may touch or drop: mappings that a child does not inherit, descriptors
/// that mean the parent. A forked child sees nothing, and leaks it.
#[derive(Debug)]
pub struct Own<T> {
    generation: u64,
    value: Option<T>,
}

impl<T> Own<T> {
    /// A value of this process.
    pub fn new(value: T) -> Self {
        Self { generation: generation(), value: Some(value) }
    }

    /// The value, unless it is the parent's.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.generation == generation())
    }

    /// The value, unless it is the parent's.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.as_mut().filter(|_| self.generation == generation())
    }
}

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        if self.generation != generation() {
            mem::forget(self.value.take());
        }
    }
}
