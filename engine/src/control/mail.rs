//! What workers and keeper report.

use std::time::Instant;

use keylane_api::Status;

use super::admins::refused_reply;
use super::{Control, views};
use crate::admin::Reply;
use crate::audit::Record;
use crate::messages::{Change, Committed, FromWorker, KeeperDone};

impl Control {
    pub(super) fn read_mail(&mut self, now: Instant) {
        while let Some(message) = self.from_workers.receive() {
            self.hear_worker(&message);
        }
        while let Some(message) = self.from_keeper.receive() {
            self.hear_keeper(message, now);
        }
    }

    fn hear_worker(&mut self, message: &FromWorker) {
        match *message {
            FromWorker::Closed { channel } => {
                if let Some(home) = self.desk.sessions.channel_closed(channel) {
                    self.desk.workers.channel_closed(home.worker);
                }
            }
            FromWorker::Detached { session, worker } => {
                for _ in 0..self.desk.sessions.left(session, worker) {
                    self.desk.workers.channel_closed(worker);
                }
            }
            FromWorker::Quarantine { session, channel, ref fault } => {
                // A second channel of a session that is on its way out says nothing new.
                if let Some(peer) = self.desk.sessions.get(session).map(|session| session.peer) {
                    tracing::warn!(session, channel, %fault, pid = peer.pid, uid = peer.uid, "quarantined");
                    self.desk.quarantined += 1;
                    self.dismiss(session, Status::Quarantined, Status::Quarantined.text());
                }
            }
            FromWorker::Drained { worker } => self.phase.drained(worker),
        }
    }

    fn hear_keeper(&mut self, message: KeeperDone, now: Instant) {
        match message {
            KeeperDone::Change { ticket, outcome } => {
                let admin = self.keeper.redeem(ticket);
                let reply = match outcome {
                    Ok(committed) => self.committed(committed, now),
                    Err(refused) => refused_reply(refused),
                };
                if let Some(admin) = admin {
                    self.answer_admin(admin, &reply);
                }
            }
            KeeperDone::Segment { segment, segments } => self.log.segment(segment, segments, now),
        }
    }

    /// Follows a change that is on disk: the epoch goes to the audit log, and sessions see the change.
    fn committed(&mut self, committed: Committed, now: Instant) -> Reply {
        let Committed { change, epoch, commitment } = committed;
        self.store_epoch = epoch;
        self.log.append(Record::epoch(epoch, commitment));
        let directory = &self.desk.directory;
        let concerns_grants = matches!(change, Change::GrantAdded(_) | Change::GrantRevoked(_));
        let reply = match &change {
            Change::SlotCreated(row) => Reply::Slot(views::new_slot(row)),
            Change::GrantAdded(row) => Reply::Grant(views::grant(directory, row)),
            Change::KeyAdded(row) => Reply::Key(views::new_key(directory, row)),
            Change::GrantRevoked(_) | Change::KeyDeleted(_) => Reply::Done,
        };
        for session in self.desk.follow(change) {
            self.dismiss(session, Status::NotGranted, "the grant was revoked; see `keylane grant list`");
        }
        if concerns_grants && !self.desk.draining {
            self.doors.follow(&mut self.reactor, &self.desk.directory, now);
        }
        reply
    }
}
