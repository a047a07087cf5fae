//! A thousand clients over four threads: every answer arrives once, and at the one who asked.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what must hold by failing")]

use std::time::{Duration, Instant};

use keylane_api::control::{ChannelShape, KeySelector};
use keylane_api::{Call, ChannelOptions, Client, Input, Key, Ticket};
use keylane_tests::engine::SLOT;
use keylane_tests::signing::{tls13, tls13_scheme, transcript, verifies};
use keylane_tests::{Options, Token};

const THREADS: u64 = 4;
const CLIENTS: u64 = 250;
const KEYS: usize = 8;

/// One client of a thread: asks, waits for its own answer, asks again.
struct Asker {
    who: u64,
    asked: u64,
    answered: u64,
    pending: Option<(Ticket, Vec<u8>)>,
}

impl Asker {
    fn ask(&mut self, channel: &mut keylane_api::Channel, key: &Key, deadline: Instant) {
        let message = tls13(&transcript(self.who, self.asked));
        let call = Call::Sign { key, scheme: tls13_scheme(key.algorithm()), input: Input::Message(&message) };
        let ticket = channel.submit(call, deadline).expect("an entry for every client");
        self.asked += 1;
        self.pending = Some((ticket, message));
    }

    fn listen(&mut self, channel: &mut keylane_api::Channel, key: &Key) -> bool {
        let Some((ticket, message)) = &self.pending else { return false };
        let Some(outcome) = channel.take(*ticket) else { return false };
        let raw = outcome.expect("the engine is up");
        assert!(
            verifies(key.public(), tls13_scheme(key.algorithm()), message, &raw),
            "client {} got another's answer",
            self.who
        );
        assert!(channel.take(*ticket).is_none_or(|twice| twice.is_err()), "answered twice");
        self.answered += 1;
        self.pending = None;
        true
    }
}

fn crowd(client: &Client, keys: &[Key], thread: u64, end: Instant) -> u64 {
    let shape = ChannelShape { entries: 256, ..ChannelOptions::default().shape };
    let mut channel = client.channel(ChannelOptions { shape, event_driven: false }).expect("a channel");
    let mut askers: Vec<_> = (0..CLIENTS)
        .map(|number| Asker { who: thread * CLIENTS + number, asked: 0, answered: 0, pending: None })
        .collect();
    let deadline = end + Duration::from_mins(1);
    loop {
        let asking = Instant::now() < end;
        for (number, asker) in askers.iter_mut().enumerate() {
            let key = &keys[number % keys.len()];
            asker.listen(&mut channel, key);
            if asking && asker.pending.is_none() {
                asker.ask(&mut channel, key, deadline);
            }
        }
        if !asking && askers.iter().all(|asker| asker.pending.is_none()) {
            break;
        }
        channel.wait(Instant::now() + Duration::from_secs(1));
    }
    assert!(askers.iter().all(|asker| asker.asked == asker.answered && asker.answered > 0));
    askers.iter().map(|asker| asker.answered).sum()
}

#[test]
fn a_thousand_clients_get_their_own_answers() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    let client = engine.client();
    let keys: Vec<_> = (0..KEYS)
        .map(|number| {
            let (label, algorithm) = (format!("k{number}"), if number == 0 { "rsa-2048" } else { "p-256" });
            engine.keylane(&["key", "generate", "--slot", SLOT, "--label", &label, "--algorithm", algorithm]);
            let selector = KeySelector::Label { slot: Some(SLOT.to_owned()), label };
            client.key(&selector, Instant::now() + Duration::from_secs(20)).expect("the key is there")
        })
        .collect();
    let end = Instant::now() + Duration::from_secs(30);
    let answered: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let (client, keys) = (&client, &keys);
                    move || crowd(client, keys, thread, end)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panicked")).sum()
    });
    let worker = &engine.status()["workers"][0];
    assert_eq!(worker["signatures"].as_u64(), Some(answered), "lost or doubled");
    assert_eq!(worker["check_failures"], 0);
    println!("{answered} signatures");
    engine.terminate();
}
