//! Who is to be visited, in the order of coming, each at most once.

use std::collections::{HashSet, VecDeque};

use super::Source;

/// See the module's description.
#[derive(Default)]
pub(super) struct Agenda {
    queue: VecDeque<Source>,
    queued: HashSet<Source>,
}

impl Agenda {
    /// Adds a source behind all others, unless it waits already.
    pub(super) fn add(&mut self, source: Source) {
        if self.queued.insert(source) {
            self.queue.push_back(source);
        }
    }

    /// Takes the source that waits longest.
    pub(super) fn next(&mut self) -> Option<Source> {
        let source = self.queue.pop_front()?;
        self.queued.remove(&source);
        Some(source)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
