//! A key of an engine as a program holds it: resolved when needed, and again when its handle has become stale.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use keylane_shm::PerProcess;

use super::Obstacle;
use super::session::Session;
use crate::control::{KeyInfo, KeySelector, Request};
use crate::error::Error;
use crate::reference::KeyReference;
use crate::wire::KeyHandle;
use crate::{Algorithm, Scheme};

/// A key. Clones are the same key; threads may share one, and forked children may use it.
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    selector: KeySelector,
    algorithm: Algorithm,
    public: Vec<u8>,
    schemes: Vec<Scheme>,
    /// At most one for each session that lives.
    handles: PerProcess<Mutex<Vec<Resolved>>>,
}

struct Resolved {
    session: Weak<Session>,
    number: u64,
    handle: KeyHandle,
}

impl Key {
    /// The key that `selector` names, whose public half is the DER `SubjectPublicKeyInfo` `public`. Needs no engine;
    /// operations fail with [`Error::KeyMismatch`] if the engine's key turns out to be another.
    ///
    /// # Errors
    /// [`Error::PublicKey`].
    pub fn new(selector: KeySelector, public: Vec<u8>) -> Result<Self, Error> {
        let algorithm = Algorithm::of_public(&public).ok_or(Error::PublicKey)?;
        let schemes = algorithm.schemes().to_vec();
        Ok(Self(Arc::new(Inner { selector, algorithm, public, schemes, handles: PerProcess::new() })))
    }

    /// The key that a reference stands for. Needs no engine.
    pub fn of_reference(reference: &KeyReference) -> Self {
        Self(Arc::new(Inner {
            selector: reference.selector(),
            algorithm: reference.algorithm(),
            public: reference.public().to_vec(),
            schemes: reference.algorithm().schemes().to_vec(),
            handles: PerProcess::new(),
        }))
    }

    /// What it is.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// Its public half, DER `SubjectPublicKeyInfo`.
    pub fn public(&self) -> &[u8] {
        &self.0.public
    }

    /// Schemes in which it may sign: by its policy if the engine was asked for it, else all of its algorithm.
    pub fn schemes(&self) -> &[Scheme] {
        &self.0.schemes
    }

    /// Asks the engine for a key that is known by its name only.
    pub(super) fn resolve(
        selector: &KeySelector,
        session: &Arc<Session>,
        deadline: Instant,
    ) -> Result<Self, Obstacle> {
        let KeyInfo { handle, algorithm, public, schemes, .. } = session.resolve(selector, deadline)?;
        let selector = selector.clone();
        let key = Self(Arc::new(Inner { selector, algorithm, public, schemes, handles: PerProcess::new() }));
        key.remember(session, handle);
        Ok(key)
    }

    /// Its handle in this session.
    pub(super) fn handle(&self, session: &Arc<Session>, deadline: Instant) -> Result<KeyHandle, Obstacle> {
        let known =
            self.0.handles().iter().find(|resolved| resolved.number == session.number()).map(|it| it.handle);
        if let Some(handle) = known {
            return Ok(handle);
        }
        let info = session.resolve(&self.0.selector, deadline)?;
        if info.public != self.0.public {
            session.post(Request::ReleaseKey { handle: info.handle });
            return Err(Error::KeyMismatch { key: self.to_string() }.into());
        }
        Ok(self.remember(session, info.handle))
    }

    /// Gives its handle in this session back: the engine calls it stale. Not the one that another thread has got since.
    pub(super) fn forget(&self, session: &Session, stale: KeyHandle) {
        let is_stale =
            |resolved: &mut Resolved| resolved.number == session.number() && resolved.handle == stale;
        if self.0.handles().extract_if(.., is_stale).next().is_some() {
            // A handle may be good and the grant behind it gone.
            session.post(Request::ReleaseKey { handle: stale });
        }
    }

    /// Keeps a handle; the other one if another thread was faster.
    fn remember(&self, session: &Arc<Session>, handle: KeyHandle) -> KeyHandle {
        let mut handles = self.0.handles();
        if let Some(known) = handles.iter().find(|resolved| resolved.number == session.number()) {
            session.post(Request::ReleaseKey { handle });
            return known.handle;
        }
        handles.retain(|resolved| resolved.session.strong_count() > 0);
        handles.push(Resolved { session: Arc::downgrade(session), number: session.number(), handle });
        handle
    }
}

impl Inner {
    fn handles(&self) -> MutexGuard<'_, Vec<Resolved>> {
        let handles = self.handles.get_or_make(|_| Mutex::new(Vec::new()));
        handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(handles) = self.handles.get() else { return };
        for resolved in handles.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(session) = resolved.session.upgrade() {
                session.post(Request::ReleaseKey { handle: resolved.handle });
            }
        }
    }
}

/// As messages name it.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.selector {
            KeySelector::Label { slot: Some(slot), label } => write!(f, "{label:?} in slot {slot:?}"),
            KeySelector::Label { slot: None, label } => write!(f, "{label:?}"),
            KeySelector::Object { slot, key } => write!(f, "{} in slot {}", key.0, slot.0),
            KeySelector::Public(_) => write!(f, "with a given public key"),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.0.selector).field(&self.0.algorithm).finish()
    }
}
