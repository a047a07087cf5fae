//! The engine's flag page: one sleep word for each worker, which every client reads and none can write.

use std::sync::Arc;

use crate::memory::Memory;
use crate::sync::{Ordering, fence};

/// Awake, and looking at its rings.
const AWAKE: u32 = 0;
/// Parked, or about to look once more and park.
const ASLEEP: u32 = 1;

/// The workers' side. Each worker writes its own word only.
#[derive(Debug)]
pub struct EngineFlags {
    page: Arc<Memory>,
}

impl EngineFlags {
    pub(crate) fn new(page: Arc<Memory>) -> Self {
        Self { page }
    }

    /// Asks clients to ring. To be followed by one more look at every ring, and only then by parking.
    ///
    /// # Panics
    /// When the page has no word for `worker`.
    pub fn announce_sleep(&self, worker: usize) {
        self.page.line(worker).store(ASLEEP, Ordering::Relaxed);
        // SYNC: worker-sleep (sleep word, then tails). Pairs with `ClientFlags::sleeps`
        // and `ClientChannel::owner_sleeps`.
        fence(Ordering::SeqCst);
    }

    /// Asks clients not to ring any more.
    ///
    /// # Panics
    /// When the page has no word for `worker`.
    pub fn announce_awake(&self, worker: usize) {
        self.page.line(worker).store(AWAKE, Ordering::Relaxed);
    }
}

/// A client's side.
#[derive(Debug)]
pub struct ClientFlags {
    page: Arc<Memory>,
}

impl ClientFlags {
    pub(crate) fn new(page: Arc<Memory>) -> Self {
        Self { page }
    }

    /// Whether a worker must be rung; also `true` for one that the page does not know. To be called after every
    /// publication.
    pub fn sleeps(&self, worker: usize) -> bool {
        // SYNC: worker-sleep (tail, then sleep word). Pairs with `EngineFlags::announce_sleep`.
        fence(Ordering::SeqCst);
        self.shows_asleep(worker)
    }

    /// As [`ClientFlags::sleeps`], for who has fenced already.
    pub(crate) fn shows_asleep(&self, worker: usize) -> bool {
        self.page.lines().get(worker).is_none_or(|line| line.word().load() != AWAKE)
    }
}
