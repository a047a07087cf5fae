//! Prepared key contexts: pinned by workers without waiting, prepared and evicted by the keeper.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use crate::crypto::KeyContext;
use crate::directory::KeyRecord;

/// The place of a key's prepared context.
#[derive(Default)]
pub struct ContextCell {
    prepared: RwLock<Option<Arc<KeyContext>>>,
    asked: AtomicBool,
    used: AtomicBool,
}

impl ContextCell {
    /// The context, pinned for as long as the answer lives. Never waits: while the keeper changes the cell it counts
    /// as empty.
    pub fn pin(&self) -> Option<Arc<KeyContext>> {
        let cell = self.prepared.try_read().ok()?;
        let context = cell.as_ref()?;
        // A load first: a store by every worker for every request would move the line between cores.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(context))
    }

    /// Forgets the context; its secrets are erased when the last pin goes.
    pub fn erase(&self) {
        self.replace(None);
    }

    fn replace(&self, context: Option<Arc<KeyContext>>) {
        // Nothing panics while the lock is held; a poisoned cell is still a cell.
        let mut cell = self.prepared.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let old = std::mem::replace(&mut *cell, context);
        drop(cell);
        // Erasing takes time; workers must not find the cell locked meanwhile.
        drop(old);
    }
}

/// The keeper's side: which keys have a context, and whose goes next when secret memory is full (CLOCK).
#[derive(Default)]
pub struct Clock {
    hand: VecDeque<Arc<KeyRecord>>,
}

impl Clock {
    /// Gives a key its context.
    pub fn put(&mut self, key: &Arc<KeyRecord>, context: KeyContext) {
        key.context.replace(Some(Arc::new(context)));
        // Deleted meanwhile: `remove_key` may have erased the cell before the line above.
        if key.is_deleted() {
            key.context.erase();
        } else {
            self.hand.push_back(Arc::clone(key));
        }
    }

    /// Evicts the first key that was not used since the hand passed it; `false` when there is none to evict.
    pub fn evict(&mut self) -> bool {
        // Twice round at most: the first round clears every mark.
        for _ in 0..self.hand.len().saturating_mul(2) {
            let Some(key) = self.hand.pop_front() else { break };
            if key.is_deleted() {
                continue;
            }
            if key.context.used.swap(false, Ordering::Relaxed) {
                self.hand.push_back(key);
                continue;
            }
            key.context.erase();
            return true;
        }
        false
    }

    /// Contexts that are prepared.
    pub fn len(&self) -> usize {
        self.hand.len()
    }

    /// Whether no context is prepared.
    pub fn is_empty(&self) -> bool {
        self.hand.is_empty()
    }
}

impl ContextCell {
    /// Whether the caller is the one who must ask the keeper for the context.
    pub fn claim(&self) -> bool {
        !self.asked.swap(true, Ordering::AcqRel)
    }

    /// The keeper has answered; the next miss asks again.
    pub fn answered(&self) {
        self.asked.store(false, Ordering::Release);
    }
}
