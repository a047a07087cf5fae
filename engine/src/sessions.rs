//! What a worker knows of sessions: the keys behind their handles.

use std::collections::HashMap;
use std::sync::Arc;

use keylane_api::wire::KeyHandle;

use crate::directory::{KeyRecord, LiveGrant};
use crate::messages::Binding;

/// A key that a session may name.
pub struct Bound {
    generation: u32,
    /// The key.
    pub key: Arc<KeyRecord>,
    /// The grant under which the session sees it.
    pub grant: Arc<LiveGrant>,
}

/// The sessions of one worker.
#[derive(Default)]
pub struct Sessions {
    /// Handle tables by session.
    sessions: HashMap<u32, Vec<Option<Bound>>>,
}

impl Sessions {
    /// Learns a handle.
    pub fn bind(&mut self, binding: Binding) {
        let Binding { session, index, generation, key, grant } = binding;
        let handles = self.sessions.entry(session).or_default();
        let index = index as usize;
        if handles.len() <= index {
            handles.resize_with(index + 1, || None);
        }
        if let Some(place) = handles.get_mut(index) {
            *place = Some(Bound { generation, key, grant });
        }
    }

    /// Forgets a handle.
    pub fn unbind(&mut self, session: u32, index: u32) {
        if let Some(place) =
            self.sessions.get_mut(&session).and_then(|handles| handles.get_mut(index as usize))
        {
            *place = None;
        }
    }

    /// The key behind a handle, if it is one of this session's.
    pub fn bound(&self, session: u32, handle: KeyHandle) -> Option<&Bound> {
        if handle.session != session {
            return None;
        }
        let bound = self.sessions.get(&session)?.get(handle.index as usize)?.as_ref()?;
        (bound.generation == handle.generation).then_some(bound)
    }

    /// Forgets a session.
    pub fn remove(&mut self, session: u32) {
        self.sessions.remove(&session);
    }
}
