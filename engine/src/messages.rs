//! What the engine's threads say to each other. Each mailbox has one receiver.
//!
//! ```text
//! control ──ToWorker──► worker ──FromWorker──► control
//!    │                     └──PreparerJob──► preparer ──ToWorker::ContextReady──► worker
//!    └──KeeperJob──► keeper ──KeeperDone──► control
//! ```

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use keylane_api::Status;
use keylane_shm::{EngineChannel, RingFault};

use crate::admin::{self, GrantId};
use crate::audit::Segment;
use crate::crypto::KeyContext;
use crate::directory::{KeyRecord, LiveGrant};
use crate::store::{GrantRow, KeyRow, SlotRow};

/// A channel on its way to the worker that will own it.
pub struct ChannelSeat {
    /// Its session.
    pub session: u32,
    /// Its number, unique in the engine.
    pub channel: u32,
    /// The engine's half of its rings.
    pub half: EngineChannel,
    /// Octets of its entries: submission, completion.
    pub entry_bytes: (u32, u32),
    /// The doorbell of (session, worker), if this is the session's first channel at that worker; the worker only
    /// ever waits on it, and never reads or writes it.
    pub bell: Option<OwnedFd>,
    /// Where one byte wakes the client's event loop; a futex wake if none.
    pub wake: Option<OwnedFd>,
}

/// A key that a session may name from now on.
pub struct Binding {
    /// The session.
    pub session: u32,
    /// Position in the session's handle table.
    pub index: u32,
    /// Generation of that position.
    pub generation: u32,
    /// The key.
    pub key: Arc<KeyRecord>,
    /// The grant under which the session sees the key's slot.
    pub grant: Arc<LiveGrant>,
}

/// To a worker.
pub enum ToWorker {
    /// Owns this channel from now on.
    Open(Box<ChannelSeat>),
    /// Gives up a channel; answered by [`FromWorker::Closed`].
    Close {
        /// The channel.
        channel: u32,
    },
    /// Gives up all channels and handles of a session; answered by [`FromWorker::Detached`].
    Detach {
        /// The session.
        session: u32,
    },
    /// Knows one more handle. Sent to every worker before the client hears of it.
    Bind(Binding),
    /// Forgets a handle.
    Unbind {
        /// The session.
        session: u32,
        /// Position in the session's handle table.
        index: u32,
    },
    /// A key's context has been prepared, or could not be.
    ContextReady {
        /// The key.
        key: Arc<KeyRecord>,
        /// The context, which is good for the requests that wait for it even if it is evicted before they run, or with
        /// what they are answered.
        outcome: Result<Arc<KeyContext>, Status>,
    },
    /// Answers what is in flight, refuses what is new with `Draining`; answered by [`FromWorker::Drained`].
    Drain,
    /// Ends the thread.
    Stop,
}

/// From a worker to the control thread.
pub enum FromWorker {
    /// A channel is gone.
    Closed {
        /// The channel.
        channel: u32,
    },
    /// A session is gone from this worker.
    Detached {
        /// The session.
        session: u32,
        /// The worker.
        worker: usize,
    },
    /// A peer broke protocol on a ring: its session must be detached everywhere.
    Quarantine {
        /// The session.
        session: u32,
        /// The channel.
        channel: u32,
        /// How.
        fault: RingFault,
    },
    /// Nothing is in flight any more.
    Drained {
        /// The worker.
        worker: usize,
    },
}

/// To the keeper thread.
pub enum KeeperJob {
    /// Changes the store.
    Change {
        /// Echoed in the answer.
        ticket: u64,
        /// `SlotCreate`, `GrantAdd`, `GrantRevoke`, `KeyGenerate`, `KeyImport` or `KeyDelete`.
        request: admin::Request,
        /// The key file of `KeyImport`.
        file: Option<OwnedFd>,
    },
    /// Creates the audit segment that starts at this sequence, deletes those beyond what is kept.
    NextSegment {
        /// Sequence number of its first record.
        first_sequence: u64,
    },
    /// Ends the thread.
    Stop,
}

/// To the preparer thread.
pub enum PreparerJob {
    /// Unwraps a key and prepares its context; answered by [`ToWorker::ContextReady`].
    Prepare {
        /// The key.
        key: Arc<KeyRecord>,
        /// Who waits for it.
        worker: usize,
    },
    /// Ends the thread.
    Stop,
}

/// From the keeper thread to the control thread.
pub enum KeeperDone {
    /// To [`KeeperJob::Change`].
    Change {
        /// The job's.
        ticket: u64,
        /// What is now in the store, committed, or why nothing is.
        outcome: Result<Committed, Refusal>,
    },
    /// To [`KeeperJob::NextSegment`].
    Segment {
        /// The new segment, or why there is none.
        segment: io::Result<Segment>,
        /// Segments on disk now.
        segments: u64,
    },
}

/// A committed change of the store.
pub struct Committed {
    /// What changed.
    pub change: Change,
    /// The store's epoch after it.
    pub epoch: u64,
    /// Commitment over all rows at that epoch.
    pub commitment: [u8; 32],
}

/// One change of the store.
pub enum Change {
    /// A slot was created.
    SlotCreated(SlotRow),
    /// A grant was added.
    GrantAdded(GrantRow),
    /// A grant was revoked.
    GrantRevoked(GrantId),
    /// A key was generated or imported.
    KeyAdded(KeyRow),
    /// A key was deleted.
    KeyDeleted(keylane_api::control::KeyId),
}

/// Why an administrator's request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The class.
    pub status: Status,
    /// Names the culprit and the remedy.
    pub detail: String,
}
