//! Whatever happens in whatever order: every operation is answered once, no tag is taken twice, no room is lost.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Completed, Table, Ticket};
use crate::client::call::Call;
use crate::error::{Error, ProtocolFault};
use crate::wire::{CompletionHeader, SubmissionHeader};
use crate::{Status, wire};

const ENTRIES: usize = 8;

#[derive(Clone, Debug)]
enum Step {
    /// Submits, with so many milliseconds of time.
    Add(u64),
    /// Sends the next.
    Send,
    /// The next cannot be sent.
    FailUnsent,
    /// The engine answers one that it has.
    Complete(usize, Status),
    /// The engine answers one that it has not.
    Lie(u64),
    Take(usize),
    TakeNext,
    Abandon(usize),
    /// So many milliseconds pass.
    Pass(u64),
    Requeue,
    FailAll,
}

fn step() -> impl Strategy<Value = Step> {
    let statuses = [Status::Ok, Status::Busy, Status::StaleHandle, Status::Draining];
    prop_oneof![
        6 => (0_u64..50).prop_map(Step::Add),
        6 => Just(Step::Send),
        1 => Just(Step::FailUnsent),
        6 => (any::<usize>(), prop::sample::select(statuses.to_vec())).prop_map(|(n, s)| Step::Complete(n, s)),
        1 => any::<u64>().prop_map(Step::Lie),
        3 => any::<usize>().prop_map(Step::Take),
        3 => Just(Step::TakeNext),
        2 => any::<usize>().prop_map(Step::Abandon),
        2 => (0_u64..20).prop_map(Step::Pass),
        1 => Just(Step::Requeue),
        1 => Just(Step::FailAll),
    ]
}

/// What an onlooker knows.
struct Model {
    table: Table,
    now: Instant,
    /// Those whose result nobody has taken or given up.
    open: Vec<Ticket>,
    /// What the engine has, by tag.
    engine: Vec<u64>,
    tags: HashSet<u64>,
    payloads: HashMap<Ticket, [u8; 8]>,
}

impl Model {
    fn new() -> Self {
        Self {
            table: Table::new(ENTRIES),
            now: Instant::now(),
            open: Vec::new(),
            engine: Vec::new(),
            tags: HashSet::new(),
            payloads: HashMap::new(),
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Add(millis) => self.add(millis),
            Step::Send => self.send(),
            Step::FailUnsent => self.table.fail_unsent(Error::PublicKey),
            Step::Complete(..) if self.engine.is_empty() => {}
            Step::Complete(which, status) => {
                let tag = self.engine.swap_remove(which % self.engine.len());
                self.complete(tag, status);
            }
            Step::Lie(tag) => self.lie(tag),
            Step::Take(_) | Step::Abandon(_) if self.open.is_empty() => {}
            Step::Take(which) => {
                let ticket = self.open[which % self.open.len()];
                if let Some(outcome) = self.table.take(ticket) {
                    self.taken(ticket, outcome);
                }
            }
            Step::TakeNext => {
                if let Some((ticket, outcome)) = self.table.take_next() {
                    self.taken(ticket, outcome);
                }
            }
            Step::Abandon(which) => {
                let ticket = self.open.swap_remove(which % self.open.len());
                self.table.abandon(ticket);
                assert!(matches!(self.table.take(ticket), Some(Err(Error::UnknownTicket))));
            }
            Step::Pass(millis) => {
                self.now += Duration::from_millis(millis);
                self.table.expire(self.now, || Error::DeadlineExceeded);
                assert!(self.table.next_deadline().is_none_or(|next| next > self.now));
            }
            Step::Requeue => {
                self.engine.clear();
                self.table.requeue();
            }
            Step::FailAll => {
                self.engine.clear();
                self.table.fail_all(&Error::PublicKey);
                assert!(!self.table.is_busy());
            }
        }
        assert_eq!(self.table.sent(), self.engine.len());
    }

    fn add(&mut self, millis: u64) {
        let payload = (self.tags.len() as u64).to_le_bytes();
        match self.table.add(&Call::Ping(&payload), self.now + Duration::from_millis(millis)) {
            Ok(ticket) => {
                assert!(self.tags.insert(ticket.0), "a tag was taken twice");
                self.payloads.insert(ticket, payload);
                self.open.push(ticket);
            }
            Err(error) => {
                assert!(matches!(error, Error::RingFull { entries: ENTRIES }));
                assert!(self.open.len() + self.engine.len() >= ENTRIES, "room was lost");
            }
        }
    }

    fn send(&mut self) {
        let Some(sending) = self.table.next_unsent() else { return };
        let octets: &[u8] = bytemuck::cast_slice(sending.entry);
        let (header, payload) = octets.split_at(wire::SUBMISSION_HEADER_BYTES);
        let header: SubmissionHeader = bytemuck::pod_read_unaligned(header);
        assert_eq!(payload, self.payloads[&Ticket(header.tag)]);
        self.engine.push(header.tag);
        self.table.mark_sent();
    }

    fn complete(&mut self, tag: u64, status: Status) {
        let payload = if status == Status::Ok { &self.payloads[&Ticket(tag)][..] } else { &[] };
        let length = u32::try_from(payload.len()).unwrap();
        let header = CompletionHeader { tag, status: status as u16, length, ..Default::default() };
        let completed = self.table.complete(header, payload).unwrap();
        assert!(!matches!(completed, Completed::Forget(..)), "a ping has no key");
    }

    fn lie(&mut self, tag: u64) {
        if !self.engine.contains(&tag) {
            let header = CompletionHeader { tag, ..Default::default() };
            let refused = self.table.complete(header, &[]);
            assert!(matches!(refused, Err(ProtocolFault::UnknownTag(unknown)) if unknown == tag));
        }
    }

    fn taken(&mut self, ticket: Ticket, outcome: super::Outcome) {
        let position = self.open.iter().position(|open| *open == ticket);
        self.open.swap_remove(position.expect("an operation was answered twice"));
        if let Ok(echo) = outcome {
            assert_eq!(echo, self.payloads[&ticket], "answers were crossed");
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_doubled_or_crossed(steps in prop::collection::vec(step(), 1..300)) {
        let mut model = Model::new();
        for step in &steps {
            model.run(step);
        }
        // Whatever is left ends with its deadline, and all room comes back with the ring.
        model.run(&Step::Pass(1_000));
        while let Some((ticket, outcome)) = model.table.take_next() {
            model.taken(ticket, outcome);
        }
        prop_assert!(model.open.is_empty(), "never answered: {:?}", model.open);
        model.run(&Step::Requeue);
        for _ in 0..ENTRIES {
            prop_assert!(model.table.add(&Call::Ping(&[]), model.now).is_ok());
        }
    }
}
