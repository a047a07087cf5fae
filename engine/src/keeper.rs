//! The keeper: the one thread that may wait for whatever takes long, a disk, a hash, the generation of a key. It alone
//! changes the store; the preparer, for which signatures wait, reads keys from it between two changes.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keylane_api::Status;
use keylane_shm::Parker;

use crate::admin::Request;
use crate::audit::{Archive, Witness};
use crate::key::{self, Material};
use crate::limits::KEY_FILE_BYTES_MAX;
use crate::mailbox::Mailbox;
use crate::messages::{Change, Committed, KeeperDone, KeeperJob, Refusal};
use crate::os::registers;
use crate::os::secret::{self, SecretBytes};
use crate::policy::Policy;
use crate::store::{Store, StoreError};

/// Longest wait of an idle keeper before it looks at its inbox by itself.
const IDLE: Duration = Duration::from_secs(1);

/// The ends of the mailboxes that the keeper holds.
pub struct Ports {
    /// Jobs.
    pub inbox: Arc<Mailbox<KeeperJob>>,
    /// Answers to the control thread.
    pub control: Arc<Mailbox<KeeperDone>>,
}

/// The keeper's state.
pub struct Keeper {
    ports: Ports,
    parker: Parker,
    store: Arc<Mutex<Store>>,
    archive: Archive,
}

impl Keeper {
    /// A keeper of this store and audit archive.
    pub fn new(ports: Ports, store: Arc<Mutex<Store>>, archive: Archive) -> io::Result<Self> {
        let parker = Parker::new()?;
        parker.add(ports.inbox.as_fd(), 0)?;
        Ok(Self { ports, parker, store, archive })
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
                KeeperJob::NextSegment { first_sequence } => {
                    let segment = self.archive.create(first_sequence, witness(&lock(&self.store)));
                    let segments = self.archive.segments().map_or(0, |segments| segments.len() as u64);
                    deliver(&self.ports.control, KeeperDone::Segment { segment, segments });
                }
                KeeperJob::Stop => return,
            }
        }
    }

    fn change(&self, request: Request, file: Option<OwnedFd>) -> Result<Committed, Refusal> {
        let change = match request {
            Request::SlotCreate { name } => Change::SlotCreated(lock(&self.store).create_slot(&name)?),
            Request::GrantAdd { slot, who, listener } => {
                let slot = self.slot(&slot)?;
                Change::GrantAdded(lock(&self.store).add_grant(slot, who, listener)?)
            }
            Request::GrantRevoke { grant } => {
                lock(&self.store).revoke_grant(grant)?;
                Change::GrantRevoked(grant)
            }
            Request::KeyGenerate { slot, label, algorithm, allow } => {
                let policy = policy(allow.as_deref())?;
                let slot = self.slot(&slot)?;
                let material = key::generate(algorithm)?;
                Change::KeyAdded(lock(&self.store).put_key(slot, &label, policy, &material)?)
            }
            Request::KeyImport { slot, label, allow } => {
                let policy = policy(allow.as_deref())?;
                let slot = self.slot(&slot)?;
                let material = import(file)?;
                Change::KeyAdded(lock(&self.store).put_key(slot, &label, policy, &material)?)
            }
            Request::KeyDelete { slot, label } => {
                let slot = self.slot(&slot)?;
                Change::KeyDeleted(lock(&self.store).delete_key(slot, &label)?)
            }
            _ => return Err(Refusal::new(Status::UnknownOperation, "not a change of the store")),
        };
        let store = lock(&self.store);
        Ok(Committed { change, epoch: store.epoch(), commitment: store.commitment() })
    }

    fn slot(&self, name: &str) -> Result<keylane_api::control::SlotId, Refusal> {
        let slot = lock(&self.store).slot_named(name).map(|row| row.slot);
        slot.ok_or_else(|| {
            Refusal::new(Status::NotFound, format!("no slot is named {name:?}; see `keylane slot list`"))
        })
    }
}

/// What an audit segment that is made now says of the store.
pub fn witness(store: &Store) -> Witness {
    Witness { store: store.uuid().into_bytes(), epoch: store.epoch() }
}

/// The store, for one change or one look.
pub fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    // A thread that panics ends the engine.
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeper and preparer may wait for room; whoever reads the mailbox never waits for them.
pub fn deliver<T>(mailbox: &Mailbox<T>, message: T) {
    let mut message = message;
    while let Err(back) = mailbox.send(message) {
        message = back;
        std::thread::sleep(Duration::from_millis(1));
    }
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
