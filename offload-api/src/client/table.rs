//! The operations of one channel, from submission until the engine is done with them and their results are collected.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;
use std::time::Instant;

use super::Key;
use super::call::{Call, Gives};
use crate::Status;
use crate::error::{Error, ProtocolFault};
use crate::wire::{CompletionHeader, KeyHandle, SUBMISSION_HEADER_BYTES, SubmissionHeader};

/// What an operation gave.
pub(super) type Outcome = Result<Vec<u8>, Error>;

/// Names an operation of a channel until its result is collected. It is the tag on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

impl Ticket {
    fn new(index: usize, generation: u32) -> Self {
        Self((u64::from(generation) << 32) | index as u64)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half is the index")]
    fn index(self) -> usize {
        (self.0 as u32) as usize
    }
}

/// Where an operation is on its way to the engine and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// To be sent, for the first time or again.
    Unsent,
    /// The engine has it.
    Sent,
    /// Neither.
    Over,
}

/// Who submitted an operation.
#[derive(Debug)]
enum Asker {
    Waits,
    /// May collect this.
    Answered(Outcome),
    /// Has collected it, or does not want it any more.
    Left,
}

/// Room for one operation. It is free once the operation is over and its asker has left: as long as the engine has
/// it, its tag stays taken.
#[derive(Debug)]
struct Place {
    generation: u32,
    stage: Stage,
    asker: Asker,
    /// The submission entry, kept to be sent again.
    entry: Vec<u64>,
    key: Option<Key>,
    gives: Gives,
    deadline: Instant,
    /// Its handle was stale once already.
    resolved_again: bool,
    waker: Option<Waker>,
}

impl Place {
    fn new() -> Self {
        Self {
            generation: 0,
            stage: Stage::Over,
            asker: Asker::Left,
            entry: Vec::new(),
            key: None,
            gives: Gives::Any,
            deadline: Instant::now(),
            resolved_again: false,
            waker: None,
        }
    }

    fn is_free(&self) -> bool {
        self.stage == Stage::Over && matches!(self.asker, Asker::Left)
    }

    fn waits(&self) -> bool {
        matches!(self.asker, Asker::Waits)
    }
}

/// What is needed to send an operation.
#[derive(Debug)]
pub(super) struct Sending<'a> {
    pub(super) entry: &'a mut [u64],
    pub(super) key: Option<&'a Key>,
    pub(super) deadline: Instant,
}

/// What is to be done after a completion.
#[derive(Debug)]
pub(super) enum Completed {
    Nothing,
    /// This handle of this key is stale.
    Forget(Key, KeyHandle),
    /// The engine takes nothing new on this ring.
    Leave,
}

/// A channel's operations: at most as many as it has entries, so that no ring is ever asked for more.
#[derive(Debug)]
pub(super) struct Table {
    places: Vec<Place>,
    free: Vec<usize>,
    unsent: VecDeque<usize>,
    sent: usize,
    /// Answered, in order; those collected by ticket stand here too until they come up.
    answered: VecDeque<Ticket>,
    /// Not later than the deadline of any operation that somebody waits for.
    next_deadline: Option<Instant>,
}

impl Table {
    pub(super) fn new(entries: usize) -> Self {
        Self {
            places: (0..entries).map(|_| Place::new()).collect(),
            free: (0..entries).rev().collect(),
            unsent: VecDeque::with_capacity(entries),
            sent: 0,
            answered: VecDeque::with_capacity(entries),
            next_deadline: None,
        }
    }

    /// Takes an operation in, to be sent.
    pub(super) fn add(&mut self, call: &Call<'_>, deadline: Instant) -> Result<Ticket, Error> {
        let index = self.free.pop().ok_or(Error::RingFull { entries: self.places.len() })?;
        let place = &mut self.places[index];
        place.generation = place.generation.wrapping_add(1);
        let ticket = Ticket::new(index, place.generation);
        call.write(ticket.0, &mut place.entry);
        place.asker = Asker::Waits;
        place.key = call.key().cloned();
        place.gives = call.gives();
        place.deadline = deadline;
        place.resolved_again = false;
        self.queue(index);
        self.next_deadline = Some(self.next_deadline.map_or(deadline, |next| next.min(deadline)));
        Ok(ticket)
    }

    /// The operation to send next.
    pub(super) fn next_unsent(&mut self) -> Option<Sending<'_>> {
        let place = &mut self.places[*self.unsent.front()?];
        Some(Sending { entry: &mut place.entry, key: place.key.as_ref(), deadline: place.deadline })
    }

    /// The operation that was next is with the engine.
    pub(super) fn mark_sent(&mut self) {
        if let Some(index) = self.unsent.pop_front() {
            self.places[index].stage = Stage::Sent;
            self.sent += 1;
        }
    }

    /// The operation that was next will never be sent.
    pub(super) fn fail_unsent(&mut self, error: Error) {
        if let Some(index) = self.unsent.pop_front() {
            self.places[index].stage = Stage::Over;
            self.answer(index, Err(error));
        }
    }

    /// Operations that the engine has, those that nobody waits for included.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    /// Whether an operation waits to be sent or answered.
    pub(super) fn is_busy(&self) -> bool {
        self.sent > 0 || !self.unsent.is_empty()
    }

    /// Takes a completion in.
    pub(super) fn complete(
        &mut self,
        header: CompletionHeader,
        payload: &[u8],
    ) -> Result<Completed, ProtocolFault> {
        let index = self.find(Ticket(header.tag)).ok_or(ProtocolFault::UnknownTag(header.tag))?;
        let status = Status::from_code(header.status).ok_or(ProtocolFault::UnknownStatus(header.status))?;
        let place = &mut self.places[index];
        if place.stage != Stage::Sent {
            return Err(ProtocolFault::UnknownTag(header.tag));
        }
        if !fits(status, place.gives, payload) {
            return Err(ProtocolFault::Length(header.length));
        }
        place.stage = Stage::Over;
        self.sent -= 1;
        match status {
            Status::StaleHandle if place.waits() && !mem::replace(&mut place.resolved_again, true) => {
                let (key, handle) = (place.key.clone(), handle(&place.entry));
                self.queue(index);
                return Ok(key.map_or(Completed::Nothing, |key| Completed::Forget(key, handle)));
            }
            Status::Draining if place.waits() => {
                self.queue(index);
                return Ok(Completed::Leave);
            }
            Status::Ok => self.answer(index, Ok(payload.to_vec())),
            refusal => self.answer(index, Err(Error::refused(refusal))),
        }
        Ok(Completed::Nothing)
    }

    /// The ring is gone: what somebody still waits for is to be sent again.
    pub(super) fn requeue(&mut self) {
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            if place.stage != Stage::Sent {
                continue;
            }
            place.stage = Stage::Over;
            if place.waits() { self.queue(index) } else { self.free_if_over(index) }
        }
        self.sent = 0;
    }

    /// The ring is gone, and every operation has failed with it.
    pub(super) fn fail_all(&mut self, error: &Error) {
        self.requeue();
        self.fail_all_unsent(error);
    }

    /// None of those that are to be sent will be.
    pub(super) fn fail_all_unsent(&mut self, error: &Error) {
        while !self.unsent.is_empty() {
            self.fail_unsent(error.clone());
        }
    }

    /// When the next operation runs out of time, or earlier.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline
    }

    /// Answers those whose time is up. `of_unsent` says why an operation was not even sent.
    pub(super) fn expire(&mut self, now: Instant, of_unsent: impl Fn() -> Error) {
        if self.next_deadline.is_none_or(|next| next > now) {
            return;
        }
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            if !place.waits() || place.deadline > now {
                continue;
            }
            if place.stage == Stage::Unsent {
                place.stage = Stage::Over;
                self.unsent.retain(|unsent| *unsent != index);
                self.answer(index, Err(of_unsent()));
            } else {
                self.answer(index, Err(Error::DeadlineExceeded));
            }
        }
        self.next_deadline =
            self.places.iter().filter(|place| place.waits()).map(|place| place.deadline).min();
    }

    /// The result of an operation, once it has one.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Outcome> {
        let Some(index) = self.find(ticket) else { return Some(Err(Error::UnknownTicket)) };
        match mem::replace(&mut self.places[index].asker, Asker::Left) {
            Asker::Answered(outcome) => {
                self.free_if_over(index);
                Some(outcome)
            }
            Asker::Waits => {
                self.places[index].asker = Asker::Waits;
                None
            }
            Asker::Left => Some(Err(Error::UnknownTicket)),
        }
    }

    /// The next operation that was answered, in order of the answers.
    pub(super) fn take_next(&mut self) -> Option<(Ticket, Outcome)> {
        while let Some(ticket) = self.answered.pop_front() {
            if self.is_answered(ticket) {
                return Some((ticket, self.take(ticket)?));
            }
        }
        None
    }

    /// Whether a result waits to be collected.
    pub(super) fn has_answers(&mut self) -> bool {
        while let Some(ticket) = self.answered.front() {
            if self.is_answered(*ticket) {
                return true;
            }
            self.answered.pop_front();
        }
        false
    }

    /// Whether `take` has something to say.
    pub(super) fn is_settled(&self, ticket: Ticket) -> bool {
        self.find(ticket).is_none_or(|index| !self.places[index].waits())
    }

    /// Nobody wants this operation's result any more.
    pub(super) fn abandon(&mut self, ticket: Ticket) {
        let Some(index) = self.find(ticket) else { return };
        let place = &mut self.places[index];
        place.asker = Asker::Left;
        place.waker = None;
        if place.stage == Stage::Unsent {
            place.stage = Stage::Over;
            self.unsent.retain(|unsent| *unsent != index);
        }
        self.free_if_over(index);
    }

    /// Wakes this when the operation is answered.
    pub(super) fn set_waker(&mut self, ticket: Ticket, waker: &Waker) {
        if let Some(index) = self.find(ticket) {
            let known = &mut self.places[index].waker;
            match known {
                Some(known) => known.clone_from(waker),
                None => *known = Some(waker.clone()),
            }
        }
    }

    /// The place of an operation that is not over and left.
    fn find(&self, ticket: Ticket) -> Option<usize> {
        let index = ticket.index();
        let place = self.places.get(index)?;
        (Ticket::new(index, place.generation) == ticket && !place.is_free()).then_some(index)
    }

    fn is_answered(&self, ticket: Ticket) -> bool {
        self.find(ticket).is_some_and(|index| matches!(self.places[index].asker, Asker::Answered(_)))
    }

    fn queue(&mut self, index: usize) {
        self.places[index].stage = Stage::Unsent;
        self.unsent.push_back(index);
    }

    /// Answers an operation if somebody waits for it.
    fn answer(&mut self, index: usize, outcome: Outcome) {
        let place = &mut self.places[index];
        if place.waits() {
            place.asker = Asker::Answered(outcome);
            self.answered.push_back(Ticket::new(index, place.generation));
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
        self.free_if_over(index);
    }

    fn free_if_over(&mut self, index: usize) {
        let place = &mut self.places[index];
        if place.is_free() {
            place.key = None;
            self.free.push(index);
        }
    }
}

/// The key that an entry that was sent names.
fn handle(entry: &[u64]) -> KeyHandle {
    let octets: &[u8] = bytemuck::cast_slice(entry);
    bytemuck::pod_read_unaligned::<SubmissionHeader>(&octets[..SUBMISSION_HEADER_BYTES]).key
}

/// Whether a completion carries what its operation gives.
fn fits(status: Status, gives: Gives, payload: &[u8]) -> bool {
    match (status, gives) {
        (Status::Ok, Gives::Exactly(bytes)) => payload.len() == bytes,
        (Status::Ok, Gives::Any) => true,
        _ => payload.is_empty(),
    }
}

#[cfg(test)]
mod tests;
