//! The path of one operation, one file per stage, in this order; each stage consumes its predecessor's type and none
//! calls backwards. This file alone decides what runs next.

pub mod admit;
pub mod audit;
pub mod batch;
pub mod check;
pub mod complete;
pub mod execute;
pub mod intake;
pub mod lookup;
pub mod refusals;
pub mod request;

use std::sync::Arc;

use keylane_api::{Blame, Status};
use keylane_shm::RingFault;

use self::admit::Verdict;
use self::audit::Auditor;
use self::batch::Batcher;
use self::check::Signed;
use self::intake::Taken;
use self::lookup::{Lookup, Ready, ReadyOperation};
use self::request::{Answer, Buffer, Buffers};
use crate::counters::Counters;
use crate::crypto::{Checked, KeyContext, MultiBuffer};
use crate::directory::KeyRecord;
use crate::limits::{BATCH_MAX, INTAKE_BURST, WORKER_REQUESTS_MAX};
use crate::seat::{Seat, Seats};
use crate::sessions::Sessions;

/// A peer that broke protocol, found while its channel was served.
pub struct Broken {
    /// Its position among the seats.
    pub seat: u32,
    /// The channel: another may have the position by now.
    pub channel: u32,
    /// How.
    pub fault: RingFault,
}

/// The stages of one worker and what lies between them.
pub struct Pipeline {
    buffers: Buffers,
    batcher: Batcher,
    lookup: Lookup,
    kernels: MultiBuffer,
    /// Signatures of the batch that is being answered.
    signed: Vec<Option<Signed>>,
    auditor: Auditor,
    answers: Vec<Answer>,
    /// Requests between intake and complete.
    in_flight: usize,
    /// Positions of the channels with completions that their clients were not told of.
    unrung: Vec<u32>,
    counters: Arc<Counters>,
    /// Peers that broke protocol since the worker last looked.
    pub broken: Vec<Broken>,
}

impl Pipeline {
    /// An empty pipeline; allocates what it will ever need.
    pub fn new(lookup: Lookup, kernels: MultiBuffer, auditor: Auditor, counters: Arc<Counters>) -> Self {
        Self {
            buffers: Buffers::default(),
            batcher: Batcher::default(),
            lookup,
            kernels,
            signed: Vec::with_capacity(BATCH_MAX),
            auditor,
            answers: Vec::with_capacity(WORKER_REQUESTS_MAX),
            in_flight: 0,
            unrung: Vec::with_capacity(WORKER_REQUESTS_MAX),
            counters,
            broken: Vec::new(),
        }
    }

    /// Whether the control thread must be told that the audit ring fills.
    pub fn audit_presses(&mut self) -> bool {
        self.auditor.presses()
    }

    /// Whether no request is between intake and complete.
    pub fn is_empty(&self) -> bool {
        self.in_flight == 0
    }

    /// Whether one more request finds room.
    pub fn has_room(&self) -> bool {
        self.in_flight < WORKER_REQUESTS_MAX
    }

    /// Records what was only counted so far and is due; when the worker is about to stop, everything.
    pub fn settle(&mut self, stopping: bool) {
        self.auditor.settle_refusals(stopping);
    }

    /// Looks how much a channel has to offer, and takes nothing yet.
    pub fn look(&mut self, seat: &mut Seat) {
        if let Err(fault) = seat.look() {
            self.broken(seat, fault);
        }
    }

    fn broken(&mut self, seat: &Seat, fault: RingFault) {
        self.broken.push(Broken { seat: seat.index(), channel: seat.channel(), fault });
    }

    /// Takes in what a channel offered at the last look: at most [`INTAKE_BURST`] entries, and no more than its session
    /// may have in flight. Returns how many.
    pub fn take_in(&mut self, seat: &mut Seat, sessions: &Sessions, draining: bool) -> u32 {
        let wanted = seat.offered().min(INTAKE_BURST).min(seat.share_left());
        if wanted > 0 {
            self.auditor.tick();
        }
        let mut taken = 0;
        while taken < wanted && self.has_room() {
            match intake::take(seat, &mut self.buffers) {
                Ok(Some(entry)) => {
                    self.in_flight += 1;
                    self.admit(entry, seat, sessions, draining);
                }
                Ok(None) => break,
                Err(fault) => {
                    self.broken(seat, fault);
                    break;
                }
            }
            taken += 1;
        }
        if taken > 0 {
            seat.half.submissions().release();
            self.counters.requests.add(taken.into());
        }
        taken
    }

    fn admit(&mut self, taken: Taken, seat: &mut Seat, sessions: &Sessions, draining: bool) {
        let answer = match taken {
            Taken::Answer(answer) => answer,
            Taken::Request(request) => {
                let Self { auditor, buffers, .. } = self;
                match admit::admit(request, seat.session(), draining, sessions, auditor, buffers) {
                    Verdict::Run(admitted) => return self.batcher.add(admitted),
                    Verdict::Answer(answer) => answer,
                }
            }
        };
        self.send(answer, seat);
    }

    /// Runs the next slice, if anything waits. Returns whether it did.
    pub fn run_slice(&mut self, seats: &mut Seats) -> bool {
        let Some(mut batch) = self.batcher.next_slice() else { return false };
        self.auditor.tick();
        let Self { lookup, auditor, buffers, counters, answers, .. } = self;
        let mut ready = lookup.pin(&mut batch, auditor, buffers, counters, |answer| answers.push(answer));
        self.batcher.recycle(batch.operations);
        self.count_batch(ready.operations.len());
        self.run(&mut ready, seats);
        self.lookup.recycle(ready.operations);
        self.send_answers(seats);
        true
    }

    /// On the kernels together, or else one by one on the scalar path.
    fn run(&mut self, ready: &mut Ready, seats: &mut Seats) {
        let Self { kernels, buffers, counters, signed, .. } = self;
        signed.clear();
        if execute::batch(ready, kernels) {
            check::batch(ready, kernels, buffers, counters, signed);
        }
        let mut signed = std::mem::take(&mut self.signed);
        let outcomes = signed.drain(..).chain(std::iter::repeat_with(|| None));
        for (operation, outcome) in ready.operations.drain(..).zip(outcomes) {
            match outcome {
                Some((result, checked)) => self.finish(operation, Ok(checked), result, seats),
                None => self.run_one(operation, seats),
            }
        }
        self.signed = signed;
    }

    fn run_one(&mut self, operation: ReadyOperation, seats: &mut Seats) {
        match execute::scalar(operation, &mut self.buffers) {
            Err(operation) => {
                let answer = self.auditor.refused(operation.admitted, Status::Busy, &mut self.buffers);
                self.route(answer, seats);
            }
            Ok(mut computed) => {
                let verdict = check::check(&mut computed, &self.counters);
                self.finish(computed.operation, verdict, computed.result, seats);
            }
        }
        // An operation takes longer than a wake: the client works on this answer while the next is computed.
        self.ring_clients(seats);
    }

    /// Records an operation and answers it.
    fn finish(
        &mut self,
        operation: ReadyOperation,
        verdict: Result<Checked, Status>,
        mut result: Buffer,
        seats: &mut Seats,
    ) {
        let origin = operation.admitted.origin;
        let (status, result) = match verdict {
            Ok(checked) => (Status::Ok, Some((result, checked.length()))),
            Err(status) => {
                check::wipe(&mut result);
                self.buffers.give(result);
                (status, None)
            }
        };
        self.auditor.record(operation.admitted, status, &mut self.buffers);
        self.route(Answer { origin, status, result }, seats);
    }

    /// A context was prepared, or could not be.
    pub fn context_ready(
        &mut self,
        key: &KeyRecord,
        outcome: &Result<Arc<KeyContext>, Status>,
        seats: &mut Seats,
    ) {
        self.auditor.tick();
        let Self { lookup, batcher, auditor, buffers, answers, .. } = self;
        lookup.ready(key, outcome, batcher, auditor, buffers, |answer| answers.push(answer));
        self.send_answers(seats);
    }

    fn send_answers(&mut self, seats: &mut Seats) {
        while let Some(answer) = self.answers.pop() {
            self.route(answer, seats);
        }
    }

    /// Sends an answer to its channel, if that is still there.
    fn route(&mut self, answer: Answer, seats: &mut Seats) {
        if let Some(seat) = seats.find(answer.origin) {
            return self.send(answer, seat);
        }
        self.in_flight -= 1;
        if let Some((entry, _)) = answer.result {
            self.buffers.give(entry);
        }
    }

    fn send(&mut self, answer: Answer, seat: &mut Seat) {
        self.count(answer.status);
        self.in_flight -= 1;
        seat.answered();
        match complete::complete(seat, answer, &mut self.buffers) {
            Ok(true) => self.unrung.push(seat.index()),
            Ok(false) => {}
            Err(fault) => self.broken(seat, fault),
        }
    }

    /// Wakes the clients that sleep and have something new.
    pub fn ring_clients(&mut self, seats: &mut Seats) {
        for index in self.unrung.drain(..) {
            if seats.at(index).is_some_and(Seat::ring) {
                self.counters.wakes.add(1);
                self.counters.syscalls.add(1);
            }
        }
    }

    fn count(&self, status: Status) {
        let counter = match status.blame() {
            Blame::Nobody => &self.counters.succeeded,
            Blame::Refusal => &self.counters.refused,
            Blame::Fault => &self.counters.faults,
            Blame::Error => &self.counters.errors,
        };
        counter.add(1);
        if status == Status::AuditFull {
            self.counters.audit_full.add(1);
        }
    }

    fn count_batch(&self, fill: usize) {
        let Some(counter) = fill.checked_sub(1).and_then(|index| self.counters.fill.get(index)) else {
            return;
        };
        counter.add(1);
        self.counters.batches.add(1);
        self.counters.signatures.add(fill as u64);
    }
}
