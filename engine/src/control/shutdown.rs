//! From SIGTERM to the end: no new work, what is in flight is answered, the log reaches the disk.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};

use super::Control;
use crate::audit::Record;
use crate::limits::DRAIN_MAX;
use crate::messages::ToWorker;
use crate::os::process::{Notice, notify};

/// How far the engine is on its way out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is not.
    Serving,
    /// These workers still have requests in flight.
    Draining { until: Instant, busy: BTreeSet<usize> },
    /// The log is on its way to the disk.
    Flushing { until: Instant },
    /// Nothing is left to do.
    Ended,
}

impl Phase {
    /// A worker has nothing in flight any more.
    pub(super) fn drained(&mut self, worker: usize) {
        if let Self::Draining { busy, .. } = self {
            busy.remove(&worker);
        }
    }
}

impl Control {
    /// Begins to shut down; whoever asks twice does not want to wait.
    pub(super) fn hear_stop(&mut self, now: Instant) {
        let mut octets = [0; 16];
        let mut asked = false;
        while self.stop.read(&mut octets).is_ok_and(|read| read > 0) {
            asked = true;
        }
        match &mut self.phase {
            Phase::Serving if asked => self.begin_to_drain(now),
            Phase::Draining { until, .. } | Phase::Flushing { until } if asked => *until = now,
            _ => {}
        }
    }

    fn begin_to_drain(&mut self, now: Instant) {
        tracing::info!("shutting down: answering what is in flight");
        tell_service_manager(Notice::Stopping);
        self.desk.draining = true;
        self.doors.close_for_clients(&mut self.reactor);
        self.desk.workers.broadcast(|| ToWorker::Drain);
        let busy = (0..self.desk.workers.len()).collect();
        self.phase = Phase::Draining { until: now + DRAIN_MAX, busy };
    }

    /// Takes the next step out when the present one is done, or has taken too long.
    pub(super) fn shut_down_by_and_by(&mut self, now: Instant) {
        match &self.phase {
            Phase::Draining { busy, .. } if busy.is_empty() && self.keeper.is_idle() => {
                // Says that nothing was lost before it, so only now.
                self.log.append(Record::stop());
                self.phase = Phase::Flushing { until: now + DRAIN_MAX };
            }
            Phase::Draining { until, busy } if now >= *until => {
                tracing::warn!(?busy, "requests are still in flight; not waiting any longer");
                self.phase = Phase::Flushing { until: now + DRAIN_MAX };
            }
            Phase::Flushing { .. } if self.log.is_durable() => self.phase = Phase::Ended,
            Phase::Flushing { until } if now >= *until => {
                tracing::error!("the audit log could not be written to its end");
                self.phase = Phase::Ended;
            }
            _ => {}
        }
    }
}

/// The engine's signals, for as long as this lives: each makes the other end of a socket readable.
pub(super) struct Signals(Vec<SigId>);

impl Signals {
    pub(super) fn register(stopper: &UnixStream) -> io::Result<Self> {
        let mut signals = Self(Vec::new());
        for signal in [SIGTERM, SIGINT] {
            signals.0.push(pipe::register(signal, stopper.try_clone()?)?);
        }
        Ok(signals)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for signal in self.0.drain(..) {
            unregister(signal);
        }
    }
}

/// A service manager that cannot be told is no reason to stop.
pub(super) fn tell_service_manager(notice: Notice) {
    if let Err(error) = notify(notice) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}
