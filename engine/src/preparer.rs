//! The preparer: the thread that unwraps keys and prepares their contexts. It waits for no disk but the store's, so that
//! no signature waits for the keeper to generate a key or to make an audit segment.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keylane_api::Status;
use keylane_api::control::SlotId;
use keylane_kernels::Kernels;
use keylane_shm::Parker;

use crate::contexts::Clock;
use crate::crypto::KeyContext;
use crate::directory::KeyRecord;
use crate::keeper::{deliver, lock};
use crate::mailbox::Mailbox;
use crate::messages::{PreparerJob, ToWorker};
use crate::os::registers;
use crate::os::secret;
use crate::store::{Store, StoreError};

/// Secret memory that contexts leave free: room for signatures in progress and for keys that come and go.
const HEADROOM_BYTES: usize = 1024 * 1024;
/// Longest wait of an idle preparer before it looks at its inbox by itself.
const IDLE: Duration = Duration::from_secs(1);

/// The ends of the mailboxes that the preparer holds.
pub struct Ports {
    /// Jobs.
    pub inbox: Arc<Mailbox<PreparerJob>>,
    /// Answers to workers.
    pub workers: Vec<Arc<Mailbox<ToWorker>>>,
}

/// The preparer's state.
pub struct Preparer {
    ports: Ports,
    parker: Parker,
    store: Arc<Mutex<Store>>,
    /// What contexts are prepared for.
    kernels: Option<Kernels>,
    clock: Clock,
    turns: Turns,
}

impl Preparer {
    /// A preparer of the keys of this store.
    pub fn new(ports: Ports, store: Arc<Mutex<Store>>, kernels: Option<Kernels>) -> io::Result<Self> {
        let parker = Parker::new()?;
        parker.add(ports.inbox.as_fd(), 0)?;
        Ok(Self { ports, parker, store, kernels, clock: Clock::default(), turns: Turns::default() })
    }

    /// Works until told to stop.
    pub fn run(mut self) {
        loop {
            while let Some(job) = self.ports.inbox.receive() {
                match job {
                    PreparerJob::Prepare { key, worker } => self.turns.add(key, worker),
                    PreparerJob::Stop => return,
                }
            }
            let Some((key, worker)) = self.turns.next() else {
                // What a sleeping thread's registers hold is written to memory that is not secret.
                registers::wipe();
                // A wait that fails only means that the preparer looks at its inbox again.
                let _ = self.parker.park(Some(IDLE), |_| ());
                continue;
            };
            let outcome = self.prepare(&key);
            if let Some(inbox) = self.ports.workers.get(worker) {
                deliver(inbox, ToWorker::ContextReady { key, outcome });
            }
        }
    }

    /// Prepares a key's context, evicting others while secret memory is short.
    fn prepare(&mut self, key: &Arc<KeyRecord>) -> Result<Arc<KeyContext>, Status> {
        if key.is_deleted() {
            return Err(Status::StaleHandle);
        }
        // Another worker may have asked for the same key.
        if let Some(context) = key.context.pin() {
            return Ok(context);
        }
        while is_short() && self.clock.evict() {}
        loop {
            match self.context(key) {
                Ok(context) => return Ok(self.clock.put(key, context)),
                Err(Status::ContextsFull) if self.clock.evict() => {}
                Err(status) => return Err(status),
            }
        }
    }

    fn context(&self, key: &KeyRecord) -> Result<KeyContext, Status> {
        let material = lock(&self.store).unwrap_key(key.key).map_err(|cause| {
            tracing::error!(key = key.key.0, %cause, "cannot unwrap a key");
            status_of(&cause)
        })?;
        KeyContext::prepare(&material, self.kernels).map_err(|cause| {
            if !cause.is_out_of_memory() {
                tracing::error!(key = key.key.0, %cause, "cannot prepare a key");
                return Status::Internal;
            }
            Status::ContextsFull
        })
    }
}

fn is_short() -> bool {
    secret::report().is_ok_and(|report| report.bytes.saturating_sub(report.used_bytes) < HEADROOM_BYTES)
}

fn status_of(cause: &StoreError) -> Status {
    if cause.is_out_of_memory() { Status::ContextsFull } else { Status::Store }
}

/// Keys that are to be prepared. Slots take turns: a tenant with thousands of cold keys makes the others wait for one of
/// them. Bounded by the requests that workers hold, each of which asks for one key.
#[derive(Default)]
struct Turns {
    waiting: HashMap<SlotId, VecDeque<(Arc<KeyRecord>, usize)>>,
    order: VecDeque<SlotId>,
}

impl Turns {
    fn add(&mut self, key: Arc<KeyRecord>, worker: usize) {
        let slot = key.slot;
        let of_slot = self.waiting.entry(slot).or_default();
        if of_slot.is_empty() {
            self.order.push_back(slot);
        }
        of_slot.push_back((key, worker));
    }

    fn next(&mut self) -> Option<(Arc<KeyRecord>, usize)> {
        let slot = self.order.pop_front()?;
        let of_slot = self.waiting.get_mut(&slot)?;
        let next = of_slot.pop_front();
        if of_slot.is_empty() {
            self.waiting.remove(&slot);
        } else {
            self.order.push_back(slot);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use keylane_api::Algorithm;
    use keylane_api::control::{KeyId, SlotId};

    use super::Turns;
    use crate::directory::KeyRecord;
    use crate::policy::Policy;
    use crate::store::KeyRow;

    fn key(slot: u32, number: u64) -> Arc<KeyRecord> {
        let (label, public) = (number.to_string(), Vec::new());
        let (slot, key, algorithm) = (SlotId(slot), KeyId(number), Algorithm::P256);
        Arc::new(KeyRecord::new(KeyRow { key, slot, label, algorithm, public, policy: Policy::DEFAULT }))
    }

    /// I10. Whoever has thousands of cold keys is one of those who wait.
    #[test]
    fn slots_take_turns() {
        let mut turns = Turns::default();
        (0..1_000).for_each(|number| turns.add(key(1, number), 0));
        turns.add(key(2, 2_000), 1);
        turns.add(key(2, 2_001), 1);
        let order: Vec<u64> = std::iter::from_fn(|| turns.next()).map(|(key, _)| key.key.0).collect();
        assert_eq!(order[..5], [0, 2_000, 1, 2_001, 2]);
        assert_eq!((order.len(), turns.waiting.len()), (1_002, 0));
    }
}
