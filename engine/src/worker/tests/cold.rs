//! Requests whose key has no prepared context yet.

use std::sync::Arc;

use keylane_api::control::{KeyId, SlotId};
use keylane_api::wire::{KeyHandle, Operation, SubmissionHeader};
use keylane_api::{Algorithm, Scheme, Status};

use super::{Peer, Running, Waiting, Worker};
use crate::admin::GrantId;
use crate::crypto::KeyContext;
use crate::directory::{KeyRecord, LiveGrant};
use crate::key;
use crate::messages::{Binding, PreparerJob, ToWorker};
use crate::policy::Policy;
use crate::store::KeyRow;

/// A worker with a request in it that waits for its key's context.
struct Asked {
    running: Running,
    worker: Worker,
    peer: Peer,
    grant: Arc<LiveGrant>,
    key: Arc<KeyRecord>,
    context: Arc<KeyContext>,
}

impl Asked {
    fn new() -> Self {
        let (running, mut worker) = Running::idle(Waiting::BusyPoll);
        let peer = running.connect(1, 1);
        let material = key::generate(Algorithm::P256).expect("a key");
        let context = Arc::new(KeyContext::prepare(&material, None).expect("a context"));
        let key = Arc::new(KeyRecord::new(KeyRow {
            key: KeyId(1),
            slot: SlotId(1),
            label: "k".to_owned(),
            algorithm: Algorithm::P256,
            public: Vec::new(),
            policy: Policy::parse("sign").expect("a policy"),
        }));
        let grant = Arc::new(LiveGrant::new(GrantId(1)));
        let (bound, by) = (Arc::clone(&key), Arc::clone(&grant));
        let binding = Binding { session: 1, index: 0, generation: 0, key: bound, grant: by };
        assert!(running.inbox.send(ToWorker::Bind(binding)).is_ok());
        worker.turn();
        let mut asked = Self { running, worker, peer, grant, key, context };
        asked.submit();
        asked.worker.turn();
        let Some(PreparerJob::Prepare { key, worker: 0 }) = asked.running.preparer.receive() else {
            panic!("the worker asks for the context");
        };
        assert_eq!(key.key, asked.key.key);
        asked
    }

    fn submit(&mut self) {
        let header = SubmissionHeader {
            tag: 1,
            operation: Operation::Sign as u16,
            scheme: Scheme::EcdsaP256Sha256 as u16,
            length: 4,
            key: KeyHandle { session: 1, index: 0, generation: 0, reserved: 0 },
            ..SubmissionHeader::default()
        };
        self.peer.submit(&self.running.flags, header, b"sign");
    }

    /// The preparer answers, and the worker takes a turn.
    fn prepared(&mut self) -> Option<Status> {
        let (key, outcome) = (Arc::clone(&self.key), Ok(Arc::clone(&self.context)));
        assert!(self.running.inbox.send(ToWorker::ContextReady { key, outcome }).is_ok());
        self.worker.turn();
        Status::from_code(self.peer.completion().0.status)
    }
}

/// I10. Without this a context that goes as soon as it comes lets a request ask for ever.
#[test]
fn a_request_that_waited_runs_although_its_context_was_evicted() {
    let mut asked = Asked::new();
    assert!(asked.key.context.pin().is_none());
    assert_eq!(asked.prepared(), Some(Status::Ok));
    assert!(asked.running.preparer.receive().is_none(), "and asks no second time");
}

/// I4. Admitted is not yet begun.
#[test]
fn a_revoked_grant_stops_what_waits_in_the_queue() {
    let mut asked = Asked::new();
    asked.grant.revoke();
    assert_eq!(asked.prepared(), Some(Status::StaleHandle));
    // Nor does its handle name anything, whether or not the worker has heard so.
    asked.submit();
    asked.worker.turn();
    assert_eq!(Status::from_code(asked.peer.completion().0.status), Some(Status::StaleHandle));
    assert_eq!(asked.running.counters.signatures.get(), 0);
}
