//! What travels, the same over every lane.

use std::io;
use std::time::{Duration, Instant};

use super::Way;
use super::lane::Lane;
use crate::latency::Latencies;

/// 64 octets.
pub type Message = [u64; 8];

/// Messages sent one way before the reader answers; two bursts are under way at once.
pub const BURST: u64 = 512;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// One message at a time, answered.
    RoundTrips,
    /// Messages that are answered once for each [`BURST`].
    OneWay,
}

/// A turn of one way.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Phase {
    /// Over which lane.
    pub way: Way,
    /// Which pattern.
    pub kind: Kind,
    /// How many messages.
    pub messages: u64,
}

/// The client's part of [`Kind::RoundTrips`]: each latency is from one answer to the next.
pub fn ask(lane: &mut dyn Lane, messages: u64) -> io::Result<Latencies> {
    let mut latencies = Latencies::default();
    let mut start = Instant::now();
    for number in 0..messages {
        lane.send(&message(number))?;
        expect(number, &lane.receive()?)?;
        let end = Instant::now();
        latencies.record(end - start);
        start = end;
    }
    Ok(latencies)
}

/// The peer's part of [`Kind::RoundTrips`].
pub fn answer(lane: &mut dyn Lane, messages: u64) -> io::Result<()> {
    for _ in 0..messages {
        let message = lane.receive()?;
        lane.send(&message)?;
    }
    Ok(())
}

/// The client's part of [`Kind::OneWay`]: the time until the reader has answered the last burst.
pub fn send(lane: &mut dyn Lane, messages: u64) -> io::Result<Duration> {
    let start = Instant::now();
    let bursts = messages / BURST;
    for burst in 0..bursts {
        if burst >= 2 {
            expect(burst - 2, &lane.receive()?)?;
        }
        for number in burst * BURST..(burst + 1) * BURST {
            lane.send(&message(number))?;
        }
    }
    for burst in bursts.saturating_sub(2)..bursts {
        expect(burst, &lane.receive()?)?;
    }
    Ok(start.elapsed())
}

/// The peer's part of [`Kind::OneWay`].
pub fn receive(lane: &mut dyn Lane, messages: u64) -> io::Result<()> {
    for burst in 0..messages / BURST {
        for number in burst * BURST..(burst + 1) * BURST {
            expect(number, &lane.receive()?)?;
        }
        lane.send(&message(burst))?;
    }
    Ok(())
}

fn message(number: u64) -> Message {
    [number; 8]
}

fn expect(number: u64, got: &Message) -> io::Result<()> {
    if *got == message(number) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, format!("message {number} arrived as {got:?}")))
}
