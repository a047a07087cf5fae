//! The channel of one thread: submits operations, collects results, waits for them, and finds its way back to the
//! engine.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

use keylane_shm::{Geometry, Own};

use super::Key;
use super::call::{Call, Input};
use super::events::Events;
use super::home::{Home, Patience};
use super::link::Link;
use super::pace::Pace;
use super::table::{Outcome, Table, Ticket};
use crate::Scheme;
use crate::control::ChannelShape;
use crate::error::{ConnectError, Error, ProtocolFault};
use crate::signature::Signature;
use crate::wire::{COMPLETION_BYTES_DEFAULT, SUBMISSION_BYTES_DEFAULT, SUBMISSION_HEADER_BYTES};

/// Looks at the ring between two at the clock.
const SPINS: u32 = 32;

mod upkeep;
use upkeep::{SLICE, live};

/// How a channel is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelOptions {
    /// Sizes of its rings. As many operations as it has entries can be in flight or uncollected.
    pub shape: ChannelShape,
    /// Whether an event loop waits for it, by [`Channel::descriptor`] and [`Channel::turn`].
    pub event_driven: bool,
}

impl ChannelOptions {
    /// For a thread that waits for each operation before the next. A few spare entries take those that were given up
    /// at their deadline.
    pub fn one_at_a_time() -> Self {
        Self { shape: ChannelShape { entries: 16, ..Self::default().shape }, event_driven: false }
    }
}

impl Default for ChannelOptions {
    /// 128 entries that hold every TLS signature, for a thread that waits itself.
    fn default() -> Self {
        Self {
            shape: ChannelShape {
                entries: 128,
                submission_bytes: SUBMISSION_BYTES_DEFAULT,
                completion_bytes: COMPLETION_BYTES_DEFAULT,
            },
            event_driven: false,
        }
    }
}

/// A channel to the engine: one thread's, and cheap to use for it. Opened on first use, and again whenever the engine
/// restarted: operations without an answer are then sent again, which is harmless, as all of them may be repeated.
#[derive(Debug)]
pub struct Channel {
    home: Arc<Home>,
    options: ChannelOptions,
    table: Table,
    link: Option<Own<Link>>,
    pace: Pace,
    events: Option<Events>,
    /// Why there is no link.
    trouble: Option<Arc<ConnectError>>,
    next_look: Instant,
    generation: u64,
}

impl Channel {
    pub(super) fn new(home: Arc<Home>, options: ChannelOptions) -> Result<Self, Error> {
        let ChannelShape { entries, submission_bytes, completion_bytes } = options.shape;
        Geometry::new(entries, submission_bytes, completion_bytes)?;
        let events = if options.event_driven { Some(Events::new()?) } else { None };
        Ok(Self {
            table: Table::new(entries as usize),
            link: None,
            pace: Pace::new(home.config()),
            events,
            trouble: None,
            next_look: Instant::now(),
            generation: keylane_shm::generation(),
            home,
            options,
        })
    }

    /// Submits an operation. If there is no engine now, it is sent when there is one again.
    ///
    /// # Errors
    /// [`Error::RingFull`] or [`Error::PayloadTooLong`], at once. All others come as the operation's result, by
    /// `deadline`.
    pub fn submit(&mut self, call: Call<'_>, deadline: Instant) -> Result<Ticket, Error> {
        self.recognise_fork();
        let ticket = self.take_in(&call, deadline)?;
        self.send(Patience::brief(Instant::now()));
        self.schedule_tick();
        Ok(ticket)
    }

    /// Takes in what the engine answered, ends what is past its deadline, and attaches again if the engine is back.
    /// Never sleeps; an engine that restarts may hold it up for some milliseconds. A thread that spins calls this.
    pub fn drive(&mut self) {
        self.progress(Patience::brief(Instant::now()));
    }

    /// The result of an operation, once it has one. The ticket is void then.
    pub fn take(&mut self, ticket: Ticket) -> Option<Result<Vec<u8>, Error>> {
        self.table.take(ticket)
    }

    /// The operation that was answered next, and its result.
    pub fn take_next(&mut self) -> Option<(Ticket, Result<Vec<u8>, Error>)> {
        self.table.take_next()
    }

    /// The result of an operation; if it has none yet, `waker` is woken when it has one. Somebody must drive the
    /// channel for that ([`Channel::turn`], [`Channel::wait`], [`Channel::drive`]).
    pub fn poll(&mut self, ticket: Ticket, waker: &Waker) -> Poll<Result<Vec<u8>, Error>> {
        if let Some(outcome) = self.table.take(ticket) {
            return Poll::Ready(outcome);
        }
        self.table.set_waker(ticket, waker);
        Poll::Pending
    }

    /// Gives an operation up. Its entry comes free when the engine has answered it.
    pub fn abandon(&mut self, ticket: Ticket) {
        self.table.abandon(ticket);
    }

    /// Whether an operation is on its way.
    pub fn is_busy(&self) -> bool {
        self.table.is_busy()
    }

    /// Waits until a result can be collected, at most until `deadline` and only as long as an operation is on its
    /// way. `false` when there is none to collect.
    pub fn wait(&mut self, deadline: Instant) -> bool {
        self.wait_until(deadline, Table::has_answers)
    }

    /// What an event loop waits for, if the channel was opened for one: readable when [`Channel::turn`] has something
    /// to do. The same for the channel's life; a forked child has another one after its first turn.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(AsFd::as_fd)
    }

    /// One turn of an event loop, to be called when the [descriptor](Channel::descriptor) is readable. It becomes
    /// readable again by a completion, an engine that is gone, a deadline, or the next attempt to attach.
    pub fn turn(&mut self) {
        self.recognise_fork();
        if let Some(events) = &mut self.events {
            events.take_tick();
        }
        if let Some(link) = live(&mut self.link) {
            link.take_wakes();
        }
        loop {
            self.progress(Patience::brief(Instant::now()));
            match live(&mut self.link).map(Link::announce_sleep) {
                Some(Ok(false)) => {}
                Some(Ok(true)) | None => break,
                Some(Err(fault)) => self.give_up(fault),
            }
        }
        self.schedule_tick();
    }

    /// Signs, and waits for it.
    ///
    /// # Errors
    /// See [`Error`]; none comes later than `deadline`.
    pub fn sign(
        &mut self,
        key: &Key,
        scheme: Scheme,
        input: Input<'_>,
        deadline: Instant,
    ) -> Result<Signature, Error> {
        let raw = self.execute(Call::Sign { key, scheme, input }, deadline)?;
        let bytes = u32::try_from(raw.len()).unwrap_or(u32::MAX);
        Signature::new(key.algorithm(), raw).ok_or_else(|| ProtocolFault::Length(bytes).into())
    }

    /// Sends octets to the engine and back.
    ///
    /// # Errors
    /// As [`Channel::sign`].
    pub fn ping(&mut self, payload: &[u8], deadline: Instant) -> Result<Vec<u8>, Error> {
        self.execute(Call::Ping(payload), deadline)
    }

    /// Random octets of the engine.
    ///
    /// # Errors
    /// As [`Channel::sign`].
    pub fn random(&mut self, bytes: u32, deadline: Instant) -> Result<Vec<u8>, Error> {
        self.execute(Call::Random(bytes), deadline)
    }

    /// The key's public half as the engine has it, DER `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// As [`Channel::sign`].
    pub fn export_public(&mut self, key: &Key, deadline: Instant) -> Result<Vec<u8>, Error> {
        self.execute(Call::ExportPublic(key), deadline)
    }

    fn take_in(&mut self, call: &Call<'_>, deadline: Instant) -> Result<Ticket, Error> {
        let bytes_max = self.options.shape.submission_bytes as usize - SUBMISSION_HEADER_BYTES;
        let bytes = call.payload_bytes();
        if bytes > bytes_max {
            return Err(Error::PayloadTooLong { bytes, bytes_max });
        }
        self.table.add(call, deadline)
    }

    fn execute(&mut self, call: Call<'_>, deadline: Instant) -> Outcome {
        let ticket = self.take_in(&call, deadline)?;
        self.wait_until(deadline, |table| table.is_settled(ticket));
        // Settled at the latest by its deadline.
        self.table.take(ticket).unwrap_or(Err(Error::DeadlineExceeded))
    }

    fn wait_until(&mut self, deadline: Instant, settled: impl Fn(&mut Table) -> bool) -> bool {
        let began = Instant::now();
        loop {
            let next = self.table.next_deadline().unwrap_or(deadline).min(deadline);
            self.progress(Patience::until(next));
            if settled(&mut self.table) {
                self.pace.learn(began.elapsed());
                return true;
            }
            let now = Instant::now();
            if now >= deadline || !self.table.is_busy() {
                self.expire(now);
                return settled(&mut self.table);
            }
            if let Err(fault) = self.idle(now, next) {
                self.give_up(fault);
            }
        }
    }

    /// Spins, then sleeps, until there are completions; at most until `deadline` or the next look at the engine.
    fn idle(&mut self, now: Instant, deadline: Instant) -> Result<(), ProtocolFault> {
        let until = deadline.min(self.next_look);
        let Some(link) = live(&mut self.link).filter(|link| link.session().is_alive()) else { return Ok(()) };
        let spin_until = if self.pace.is_busy_poll() { until } else { until.min(now + self.pace.budget()) };
        if spin_until > now {
            self.home.spin(|| spin(link, spin_until));
        }
        if self.pace.is_busy_poll() { Ok(()) } else { link.sleep(until) }
    }

    fn schedule_tick(&mut self) {
        if let Some(events) = &mut self.events
            && self.table.is_busy()
        {
            let now = Instant::now();
            let next = self.table.next_deadline().unwrap_or(now + SLICE).min(now + SLICE);
            events.tick_at(next, now);
        }
    }
}

/// Spins until there are completions, at most until `end`.
fn spin(link: &mut Link, end: Instant) {
    while Instant::now() < end {
        for _ in 0..SPINS {
            // A fault is found again by whoever reads.
            if link.has_completions() != Ok(false) {
                return;
            }
            std::hint::spin_loop();
        }
    }
}
