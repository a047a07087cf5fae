//! Where a client's threads meet: one session for all of them, and one attempt at a time to get it back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use keylane_shm::PerProcess;

use super::Obstacle;
use super::session::Session;
use crate::config::Config;
use crate::error::ConnectError;

/// Pause after the first failed attempt; doubled after each further one.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// A session that ends sooner counts as a failed attempt: what broke it may break the next.
const PROVEN: Duration = Duration::from_secs(1);

/// How long an event loop may be held up by one question: many times what an engine in good health needs, even on a
/// busy machine.
const BRIEF: Duration = Duration::from_millis(200);

/// What all clones of a client share.
#[derive(Debug)]
pub(super) struct Home {
    config: Config,
    cores: usize,
    station: PerProcess<Station>,
}

/// One process's part of it.
#[derive(Debug, Default)]
struct Station {
    state: Mutex<State>,
    changed: Condvar,
    spinning: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    attached: Option<Attached>,
    /// A thread tries to attach.
    attaching: bool,
    failures: u32,
    /// No attempt before.
    next_attempt: Option<Instant>,
    /// Why the last attempt failed.
    trouble: Option<Arc<ConnectError>>,
}

#[derive(Debug)]
struct Attached {
    session: Arc<Session>,
    since: Instant,
}

/// How long a thread may be held up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// By pauses and by other threads' attempts.
    pub(super) others: Instant,
    /// By its own questions to the engine.
    pub(super) answers: Instant,
}

impl Patience {
    /// Of a thread that has nothing else to do before `deadline`.
    pub(super) fn until(deadline: Instant) -> Self {
        Self { others: deadline, answers: deadline }
    }

    /// Of an event loop, which others wait for.
    pub(super) fn brief(now: Instant) -> Self {
        Self { others: now, answers: now + BRIEF }
    }
}

impl Home {
    pub(super) fn new(config: Config) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { config, cores, station: PerProcess::new() }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The session, attached again if it ended.
    pub(super) fn session(&self, patience: Patience) -> Result<Arc<Session>, Obstacle> {
        let station = self.station();
        loop {
            if let Some(session) = station.claim(patience.others)? {
                return Ok(session);
            }
            let opened = Session::open(&self.config.socket, patience.answers);
            if let Err(error) = &opened {
                tracing::debug!(%error, "cannot attach to the engine");
            }
            station.settle(opened)?;
        }
    }

    /// Runs `spin` if a core is free for it beside the engine's worker and the threads that spin already.
    pub(super) fn spin(&self, spin: impl FnOnce()) {
        let spinning = &self.station().spinning;
        let threads = spinning.fetch_add(1, Ordering::Relaxed) + 1;
        if threads < self.cores || self.config.busy_poll {
            spin();
        }
        spinning.fetch_sub(1, Ordering::Relaxed);
    }

    fn station(&self) -> &Station {
        self.station.get_or_make(|inherited| {
            if let Some(session) = inherited.and_then(Station::inherited_session) {
                session.close_inherited();
            }
            Station::default()
        })
    }
}

impl Station {
    /// The session; or `None` when this thread is to attach, and to [`Station::settle`] afterwards.
    fn claim(&self, deadline: Instant) -> Result<Option<Arc<Session>>, Obstacle> {
        let mut state = self.state();
        loop {
            if let Some(session) = state.live_session() {
                return Ok(Some(session));
            }
            let now = Instant::now();
            let pause = state.next_attempt.filter(|next| *next > now);
            if !state.attaching && pause.is_none() {
                state.attaching = true;
                return Ok(None);
            }
            if now >= deadline {
                return Err(Obstacle::Passing(state.trouble.clone()));
            }
            let wake_up = pause.filter(|_| !state.attaching).unwrap_or(deadline).min(deadline);
            state = self.changed.wait_timeout(state, wake_up - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Tells the others how an attempt went. What will not pass by itself is an error at once.
    fn settle(&self, opened: Result<Option<Session>, ConnectError>) -> Result<(), Obstacle> {
        let mut state = self.state();
        state.attaching = false;
        self.changed.notify_all();
        match opened {
            Ok(None) => {
                // This thread's time is up, which says little of the engine: what is known of it stays known.
                state.pause();
                Err(Obstacle::Passing(state.trouble.clone()))
            }
            Ok(Some(session)) => {
                state.attached = Some(Attached { session: Arc::new(session), since: Instant::now() });
                state.trouble = None;
                Ok(())
            }
            Err(error) => {
                state.pause();
                let error = Arc::new(error);
                state.trouble = Some(error.clone());
                if error.is_passing() { Ok(()) } else { Err(Obstacle::from(error)) }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The parent's session, unless one of its threads was just here.
    fn inherited_session(&self) -> Option<Arc<Session>> {
        Some(self.state.try_lock().ok()?.attached.as_ref()?.session.clone())
    }
}

impl State {
    fn live_session(&mut self) -> Option<Arc<Session>> {
        let attached = self.attached.as_ref()?;
        if attached.session.is_alive() {
            return Some(attached.session.clone());
        }
        if attached.since.elapsed() < PROVEN {
            self.pause();
        } else {
            self.failures = 0;
        }
        self.attached = None;
        None
    }

    fn pause(&mut self) {
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        self.next_attempt = Some(Instant::now() + pause);
    }
}
