//! What a committed change of the store means for sessions that are running.

use std::sync::Arc;

use crate::admin::GrantId;
use crate::directory::{Directory, KeyRecord};
use crate::messages::{Binding, Change, ToWorker};

use super::desk::Desk;
use super::handles::{Handles, Position};
use super::sessions::Session;

impl Desk {
    /// Follows a change. Returns the sessions that nothing is granted to any more: they end, as if they came now.
    pub(super) fn follow(&mut self, change: Change) -> Vec<u32> {
        match change {
            Change::SlotCreated(_) | Change::KeyAdded(_) => {
                self.directory.apply(change);
                Vec::new()
            }
            Change::KeyDeleted(_) => {
                if let Some(key) = self.directory.apply(change) {
                    self.forget_key(&key);
                }
                Vec::new()
            }
            Change::GrantAdded(ref row) => {
                let listener = row.listener.clone();
                self.directory.apply(change);
                self.look_again(|session| session.listener == listener)
            }
            Change::GrantRevoked(grant) => {
                self.directory.apply(change);
                self.look_again(|session| sees_by(session, grant))
            }
        }
    }

    fn forget_key(&mut self, key: &KeyRecord) {
        for (number, session) in self.sessions.iter_mut() {
            for position in session.handles.of_key(key.key) {
                session.handles.release(position);
                self.workers.broadcast(|| ToWorker::Unbind { session: number, index: position.index });
            }
        }
    }

    /// Determines anew what the sessions that `concerned` picks see; returns those that see nothing.
    fn look_again(&mut self, concerned: impl Fn(&Session) -> bool) -> Vec<u32> {
        let mut blind = Vec::new();
        for (number, session) in self.sessions.iter_mut().filter(|(_, session)| concerned(session)) {
            session.visible = self.directory.visible(session.listener.as_deref(), session.peer);
            if session.visible.is_empty() {
                blind.push(number);
            }
            for position in session.handles.follow(&session.visible) {
                self.workers.broadcast(|| renewed(&self.directory, number, &session.handles, position));
            }
        }
        blind
    }
}

fn sees_by(session: &Session, grant: GrantId) -> bool {
    session.visible.values().any(|&shown_by| shown_by == grant)
}

/// A key that is still held is bound again, under the grant that shows it now.
fn renewed(directory: &Directory, session: u32, handles: &Handles, position: Position) -> ToWorker {
    let Position { index, generation } = position;
    let held = handles.get(position).and_then(|held| Some((held, directory.live(held.grant)?)));
    match held {
        Some((held, grant)) => {
            let (key, grant) = (held.key.clone(), Arc::clone(grant));
            ToWorker::Bind(Binding { session, index, generation, key, grant })
        }
        None => ToWorker::Unbind { session, index },
    }
}
