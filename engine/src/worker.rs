//! A worker: one thread that owns channels, runs the pipeline over them, and sleeps when nobody wants anything.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keylane_shm::{EngineFlags, Parker};

use crate::bells::{self, Bells};
use crate::counters::Counters;
use crate::engine::number;
use crate::limits::{PARK_MAX, TURN_ENTRIES_MAX};
use crate::mailbox::Mailbox;
use crate::messages::{ChannelSeat, FromWorker, ToWorker};
use crate::os::registers;
use crate::pipeline::Pipeline;
use crate::seat::Seats;
use crate::sessions::Sessions;

/// Longest sleep when nothing needs polling; a worker looks around this often even if every bell failed.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// How a worker waits when it finds nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It never sleeps.
    BusyPoll,
    /// It spins so long, then sleeps.
    SpinThenPark(Duration),
}

/// The ends of the mailboxes that a worker holds.
pub struct Ports {
    /// Messages to it.
    pub inbox: Arc<Mailbox<ToWorker>>,
    /// Messages to the control thread.
    pub control: Arc<Mailbox<FromWorker>>,
}

/// A worker's state.
pub struct Worker {
    index: usize,
    ports: Ports,
    flags: Arc<EngineFlags>,
    parker: Parker,
    waiting: Waiting,
    counters: Arc<Counters>,
    sessions: Sessions,
    bells: Bells,
    seats: Seats,
    pipeline: Pipeline,
    /// Messages that the control thread had no room for yet.
    unsent: VecDeque<FromWorker>,
    /// Sessions that rang since the last look at the rings.
    rung: Vec<u32>,
    draining: bool,
    drained: bool,
    stopped: bool,
}

impl Worker {
    /// A worker without channels.
    pub fn new(
        index: usize,
        ports: Ports,
        flags: Arc<EngineFlags>,
        waiting: Waiting,
        counters: Arc<Counters>,
        pipeline: Pipeline,
    ) -> std::io::Result<Self> {
        let parker = Parker::new()?;
        parker.add(ports.inbox.as_fd(), 0)?;
        Ok(Self {
            index,
            ports,
            flags,
            parker,
            waiting,
            counters,
            sessions: Sessions::default(),
            bells: Bells::default(),
            seats: Seats::default(),
            pipeline,
            unsent: VecDeque::new(),
            rung: Vec::new(),
            draining: false,
            drained: false,
            stopped: false,
        })
    }

    /// Runs until told to stop.
    pub fn run(mut self) {
        self.counters.started();
        let mut idle_since = None;
        while !self.stopped {
            if self.turn() {
                idle_since = None;
                continue;
            }
            let now = Instant::now();
            let idle = now - *idle_since.get_or_insert(now);
            match self.waiting {
                Waiting::SpinThenPark(budget) if idle >= budget => {
                    self.sleep();
                    idle_since = None;
                }
                _ => std::hint::spin_loop(),
            }
        }
    }

    /// One round: messages, every channel's entries, one slice of work. Returns whether there was anything to do.
    ///
    /// Looking comes before the inbox and taking after it: a client hears of a handle only when its binding is in the
    /// inbox, so that whatever it had submitted by the look names handles that are known by the taking.
    fn turn(&mut self) -> bool {
        for seat in self.seats.iter_mut() {
            self.pipeline.look(seat);
        }
        let mut progress = self.read_inbox();
        progress |= self.take_in();
        progress |= self.pipeline.run_slice(&mut self.seats);
        self.pipeline.ring_clients(&mut self.seats);
        self.pipeline.settle(false);
        if self.pipeline.audit_presses() {
            self.ports.control.ring();
            self.counters.syscalls.add(1);
        }
        self.report_broken();
        self.report_drained();
        self.send_unsent();
        progress
    }

    fn take_in(&mut self) -> bool {
        let mut left = TURN_ENTRIES_MAX;
        let mut last = None;
        for seat in self.seats.in_turn() {
            let (index, session) = (seat.index(), seat.session());
            let taken = self.pipeline.take_in(seat, &self.sessions, self.draining);
            if taken > 0 {
                self.rung.retain(|&rung| rung != session);
            }
            left = left.saturating_sub(taken);
            if left == 0 || !self.pipeline.has_room() {
                last = Some(index);
                break;
            }
        }
        let progress = left < TURN_ENTRIES_MAX;
        if let Some(last) = last {
            // Whoever comes behind had no turn yet, so that nobody rang for nothing.
            self.seats.begin_behind(last);
        } else if !self.rung.is_empty() {
            let now = Instant::now();
            for session in self.rung.drain(..) {
                self.bells.rang_for_nothing(&self.parker, session, now);
            }
        }
        progress
    }

    fn read_inbox(&mut self) -> bool {
        let mut progress = false;
        while let Some(message) = self.ports.inbox.receive() {
            self.obey(message);
            progress = true;
        }
        progress
    }

    fn obey(&mut self, message: ToWorker) {
        match message {
            ToWorker::Open(seat) => self.open(*seat),
            ToWorker::Close { channel } => {
                self.remove_seats(|seat| seat.channel() == channel);
                self.tell(FromWorker::Closed { channel });
            }
            ToWorker::Detach { session } => self.detach(session),
            ToWorker::Bind(binding) => self.sessions.bind(binding),
            ToWorker::Unbind { session, index } => self.sessions.unbind(session, index),
            ToWorker::ContextReady { key, outcome } => {
                self.pipeline.context_ready(&key, &outcome, &mut self.seats);
            }
            ToWorker::Drain => self.draining = true,
            ToWorker::Stop => self.stopped = true,
        }
    }

    fn open(&mut self, mut seat: ChannelSeat) {
        let session = seat.session;
        if let Some(bell) = seat.bell.take()
            && let Err(cause) = self.bells.add(&self.parker, session, bell)
        {
            // Without a doorbell the session is served whenever the worker wakes, at the pace of SLEEP_MAX.
            tracing::error!(session, %cause, "cannot wait for a session's doorbell");
        }
        // Before the first look: from here on the client looks at this worker's sleep word.
        seat.half.own(number(self.index));
        self.seats.add(seat);
        self.counters.channels.add(1);
    }

    fn remove_seats(&mut self, gone: impl Fn(&crate::seat::Seat) -> bool) {
        let removed = self.seats.remove(gone);
        self.counters.channels.add(0u64.wrapping_sub(removed));
    }

    fn detach(&mut self, session: u32) {
        self.remove_seats(|seat| seat.session() == session);
        self.bells.remove(&self.parker, session);
        self.sessions.remove(session);
        self.tell(FromWorker::Detached { session, worker: self.index });
    }

    /// A channel whose peer broke protocol is not looked at again.
    fn report_broken(&mut self) {
        while let Some(broken) = self.pipeline.broken.pop() {
            let seat = self.seats.at(broken.seat).filter(|seat| seat.channel() == broken.channel);
            let Some((session, channel)) = seat.map(|seat| (seat.session(), seat.channel())) else {
                continue;
            };
            self.remove_seats(|seat| seat.channel() == channel);
            self.tell(FromWorker::Quarantine { session, channel, fault: broken.fault });
        }
    }

    fn report_drained(&mut self) {
        if self.draining && !self.drained && self.pipeline.is_empty() {
            self.drained = true;
            self.pipeline.settle(true);
            self.tell(FromWorker::Drained { worker: self.index });
        }
    }

    fn tell(&mut self, message: FromWorker) {
        self.unsent.push_back(message);
    }

    fn send_unsent(&mut self) {
        while let Some(message) = self.unsent.pop_front() {
            if let Err(message) = self.ports.control.send(message) {
                self.unsent.push_front(message);
                return;
            }
            self.counters.syscalls.add(1);
        }
    }

    /// Sleeps until a doorbell or a message. The order is announce, fence, look once more, sleep: whoever submits
    /// after the look sees the announcement and rings.
    fn sleep(&mut self) {
        self.flags.announce_sleep(self.index);
        if self.turn() {
            self.flags.announce_awake(self.index);
            return;
        }
        let timeout = if self.bells.any_muted() || !self.unsent.is_empty() { PARK_MAX } else { SLEEP_MAX };
        // What a sleeping thread's registers hold is written to memory that is not secret.
        registers::wipe();
        let rung = &mut self.rung;
        let parked = self.parker.park(Some(timeout), |token| {
            // Once is enough, however often it rings while the worker has no room.
            rung.extend(bells::session(token).filter(|session| !rung.contains(session)));
        });
        self.flags.announce_awake(self.index);
        self.counters.parks.add(1);
        self.counters.syscalls.add(1);
        if let Err(cause) = parked {
            tracing::error!(worker = self.index, %cause, "cannot sleep");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.bells.unmute(&self.parker, Instant::now());
    }
}

#[cfg(test)]
mod tests;
