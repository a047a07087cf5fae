//! The keeper: the one thread that may wait for a disk, a hash or a key. It alone holds the store.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use keylane_api::Status;
use keylane_kernels::Kernels;
use keylane_shm::Parker;

use crate::admin::Request;
use crate::audit::{Archive, Witness};
use crate::contexts::Clock;
use crate::crypto::KeyContext;
use crate::directory::KeyRecord;
use crate::key::{self, Material};
use crate::limits::KEY_FILE_BYTES_MAX;
use crate::mailbox::Mailbox;
use crate::messages::{Change, Committed, KeeperDone, KeeperJob, Refusal, ToWorker};
use crate::os::registers;
use crate::os::secret::{self, SecretBytes};
use crate::policy::Policy;
use crate::store::{Store, StoreError};

/// Secret memory that contexts leave free: room for signatures in progress and for keys that come and go.
const HEADROOM_BYTES: usize = 1024 * 1024;
/// Longest wait of an idle keeper before it looks at its inbox by itself.
const IDLE: Duration = Duration::from_secs(1);

/// The ends of the mailboxes that the keeper holds.
pub struct Ports {
    /// Jobs.
    pub inbox: Arc<Mailbox<KeeperJob>>,
    /// Answers to the control thread.
    pub control: Arc<Mailbox<KeeperDone>>,
    /// Answers to workers.
    pub workers: Vec<Arc<Mailbox<ToWorker>>>,
}

/// The keeper's state.
pub struct Keeper {
    ports: Ports,
    parker: Parker,
    store: Store,
    archive: Archive,
    /// What contexts are prepared for.
    kernels: Option<Kernels>,
    clock: Clock,
}

impl Keeper {
    /// A keeper of this store and audit archive.
    pub fn new(ports: Ports, store: Store, archive: Archive, kernels: Option<Kernels>) -> io::Result<Self> {
        let parker = Parker::new()?;
        parker.add(ports.inbox.as_fd(), 0)?;
        Ok(Self { ports, parker, store, archive, kernels, clock: Clock::default() })
    }

    /// Works until told to stop.
    pub fn run(mut self) {
        loop {
            let Some(job) = self.ports.inbox.receive() else {
                // What a sleeping thread's registers hold is written to memory that is not secret.
                registers::wipe();
                // A wait that fails only means that the keeper looks at its inbox again.
                let _ = self.parker.park(Some(IDLE), |_| ());
                continue;
            };
            match job {
                KeeperJob::Change { ticket, request, file } => {
                    let outcome = self.change(request, file);
                    deliver(&self.ports.control, KeeperDone::Change { ticket, outcome });
                }
                KeeperJob::Prepare { key, worker } => {
                    let outcome = self.prepare(&key);
                    if let Some(inbox) = self.ports.workers.get(worker) {
                        deliver(inbox, ToWorker::ContextReady { key, outcome });
                    }
                }
                KeeperJob::NextSegment { first_sequence } => {
                    let segment = self.archive.create(first_sequence, witness(&self.store));
                    let segments = self.archive.segments().map_or(0, |segments| segments.len() as u64);
                    deliver(&self.ports.control, KeeperDone::Segment { segment, segments });
                }
                KeeperJob::Stop => return,
            }
        }
    }

    /// Prepares a key's context, evicting others while secret memory is short.
    fn prepare(&mut self, key: &Arc<KeyRecord>) -> Result<(), Status> {
        if key.is_deleted() {
            return Err(Status::StaleHandle);
        }
        // Another worker may have asked for the same key.
        if key.context.pin().is_some() {
            return Ok(());
        }
        while is_short() && self.clock.evict() {}
        loop {
            match self.context(key) {
                Ok(context) => {
                    self.clock.put(key, context);
                    return Ok(());
                }
                Err(Status::ContextsFull) if self.clock.evict() => {}
                Err(status) => return Err(status),
            }
        }
    }

    fn context(&self, key: &KeyRecord) -> Result<KeyContext, Status> {
        let material = self.store.unwrap_key(key.key).map_err(|cause| {
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

    fn change(&mut self, request: Request, file: Option<OwnedFd>) -> Result<Committed, Refusal> {
        let change = match request {
            Request::SlotCreate { name } => Change::SlotCreated(self.store.create_slot(&name)?),
            Request::GrantAdd { slot, who, listener } => {
                let slot = self.slot(&slot)?;
                Change::GrantAdded(self.store.add_grant(slot, who, listener)?)
            }
            Request::GrantRevoke { grant } => {
                self.store.revoke_grant(grant)?;
                Change::GrantRevoked(grant)
            }
            Request::KeyGenerate { slot, label, algorithm, allow } => {
                let policy = policy(allow.as_deref())?;
                let slot = self.slot(&slot)?;
                let material = key::generate(algorithm)?;
                Change::KeyAdded(self.store.put_key(slot, &label, policy, &material)?)
            }
            Request::KeyImport { slot, label, allow } => {
                let policy = policy(allow.as_deref())?;
                let slot = self.slot(&slot)?;
                let material = import(file)?;
                Change::KeyAdded(self.store.put_key(slot, &label, policy, &material)?)
            }
            Request::KeyDelete { slot, label } => {
                let slot = self.slot(&slot)?;
                Change::KeyDeleted(self.store.delete_key(slot, &label)?)
            }
            _ => return Err(Refusal::new(Status::UnknownOperation, "not a change of the store")),
        };
        Ok(Committed { change, epoch: self.store.epoch(), commitment: self.store.commitment() })
    }

    fn slot(&self, name: &str) -> Result<keylane_api::control::SlotId, Refusal> {
        let row = self.store.slot_named(name);
        row.map(|row| row.slot).ok_or_else(|| {
            Refusal::new(Status::NotFound, format!("no slot is named {name:?}; see `keylane slot list`"))
        })
    }
}

/// What an audit segment that is made now says of the store.
pub fn witness(store: &Store) -> Witness {
    Witness { store: store.uuid().into_bytes(), epoch: store.epoch() }
}

/// The keeper may wait for room; whoever reads the mailbox never waits for the keeper.
fn deliver<T>(mailbox: &Mailbox<T>, message: T) {
    let mut message = message;
    while let Err(back) = mailbox.send(message) {
        message = back;
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_short() -> bool {
    secret::report().is_ok_and(|report| report.bytes.saturating_sub(report.used_bytes) < HEADROOM_BYTES)
}

fn policy(allow: Option<&str>) -> Result<Policy, Refusal> {
    let parsed = allow.map_or(Ok(Policy::DEFAULT), Policy::parse);
    parsed.map_err(|cause| Refusal::new(Status::Malformed, cause.to_string()))
}

/// Reads a key file into secret memory, and only there.
fn import(file: Option<OwnedFd>) -> Result<Material, Refusal> {
    let refuse = |detail: String| Refusal::new(Status::KeyRefused, detail);
    let file = file.ok_or_else(|| refuse("the request carries no key file".to_owned()))?;
    let mut file = std::fs::File::from(file);
    let metadata = file.metadata().map_err(|cause| refuse(format!("cannot read the key file: {cause}")))?;
    let bytes = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if !metadata.is_file() || bytes == 0 || bytes > KEY_FILE_BYTES_MAX {
        return Err(refuse(format!("a key file is a regular file of 1 to {KEY_FILE_BYTES_MAX} octets")));
    }
    let mut text = SecretBytes::zeroed(bytes)?;
    file.read_exact(&mut text).map_err(|cause| refuse(format!("cannot read the key file: {cause}")))?;
    Ok(key::import(&text)?)
}

fn status_of(cause: &StoreError) -> Status {
    if cause.is_out_of_memory() { Status::ContextsFull } else { Status::Store }
}

impl Refusal {
    /// A refusal of this class.
    pub fn new(status: Status, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }
}

impl From<StoreError> for Refusal {
    fn from(cause: StoreError) -> Self {
        Self::new(cause.status(), cause.to_string())
    }
}

impl From<key::KeyRefusal> for Refusal {
    fn from(cause: key::KeyRefusal) -> Self {
        Self::new(Status::KeyRefused, cause.to_string())
    }
}

impl From<key::KeyError> for Refusal {
    fn from(cause: key::KeyError) -> Self {
        Self::new(Status::Internal, cause.to_string())
    }
}

impl From<secret::SecretMemoryError> for Refusal {
    fn from(cause: secret::SecretMemoryError) -> Self {
        Self::new(Status::ContextsFull, cause.to_string())
    }
}
