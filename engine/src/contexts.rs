//! Prepared key contexts: pinned by workers without waiting, prepared and evicted by the preparer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use crate::crypto::KeyContext;
use crate::directory::KeyRecord;

/// The place of a key's prepared context.
#[derive(Default)]
pub struct ContextCell {
    prepared: RwLock<Option<Arc<KeyContext>>>,
    used: AtomicBool,
}

impl ContextCell {
    /// The context, pinned for as long as the answer lives. Never waits: while the preparer changes the cell it counts
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

/// The preparer's side: which keys have a context, and whose goes next when secret memory is full (CLOCK).
#[derive(Default)]
pub struct Clock {
    hand: VecDeque<Arc<KeyRecord>>,
}

impl Clock {
    /// Gives a key its context, which counts as used: somebody waits for it.
    pub fn put(&mut self, key: &Arc<KeyRecord>, context: KeyContext) -> Arc<KeyContext> {
        let context = Arc::new(context);
        key.context.replace(Some(Arc::clone(&context)));
        key.context.used.store(true, Ordering::Relaxed);
        // Deleted meanwhile: `remove_key` may have erased the cell before the line above.
        if key.is_deleted() {
            key.context.erase();
        } else {
            self.hand.push_back(Arc::clone(key));
        }
        context
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use keylane_api::Algorithm;
    use keylane_api::control::{KeyId, SlotId};

    use super::Clock;
    use crate::crypto::KeyContext;
    use crate::directory::KeyRecord;
    use crate::key;
    use crate::policy::Policy;
    use crate::store::KeyRow;

    /// A key without a context, and a context for it.
    fn cold(number: u64) -> (Arc<KeyRecord>, KeyContext) {
        let (label, public, algorithm) = (number.to_string(), Vec::new(), Algorithm::P256);
        let (slot, key, policy) = (SlotId(1), KeyId(number), Policy::DEFAULT);
        let row = KeyRow { key, slot, label, algorithm, public, policy };
        let context = KeyContext::prepare(&key::generate(algorithm).unwrap(), None).unwrap();
        (Arc::new(KeyRecord::new(row)), context)
    }

    #[test]
    fn a_new_context_is_not_the_first_to_go() {
        let mut clock = Clock::default();
        let (old, context) = cold(1);
        clock.put(&old, context);
        assert!(old.context.pin().is_some());
        let (new, context) = cold(2);
        clock.put(&new, context);
        assert!(clock.evict());
        assert!(old.context.pin().is_none() && new.context.pin().is_some());
        assert!(clock.evict() && !clock.evict());
        assert!(clock.is_empty());
    }
}
