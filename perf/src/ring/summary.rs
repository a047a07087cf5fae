//! What `keylane-perf ring` prints.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Way;
use crate::environment::Environment;
use crate::figures::{float, median};
use crate::latency::Latencies;
use crate::report::{Goal, Printed};
use crate::table::number;

/// Times that a ring's round trip should go into a blocking socket's.
const ROUND_TRIP_GOAL: f64 = 50.0;
/// Times that a socket's messages should go into a ring's, one way.
const ENTRIES_GOAL: f64 = 25.0;

/// One turn of one way.
#[derive(Clone, Debug)]
pub struct Round {
    latencies: Latencies,
    entries_per_s: f64,
}

impl Round {
    /// From the latencies of round trips, and the time that `messages` took one way.
    pub fn new(latencies: Latencies, messages: u64, elapsed: Duration) -> Self {
        Self { latencies, entries_per_s: float(messages) / elapsed.as_secs_f64() }
    }
}

/// What every way reached, and how the ring compares with the blocking socket.
#[derive(Debug, Serialize)]
pub struct Summary {
    ring: Figures,
    ring_parking: Figures,
    unix_socket: Figures,
    unix_socket_spinning: Figures,
    ratio: Ratio,
    environment: Environment,
}

#[derive(Debug, Serialize)]
struct Figures {
    round_trip_ns: Quantiles,
    entries_per_s: f64,
    /// Least and most of the rounds.
    #[serde(skip)]
    spread: (f64, f64),
}

#[derive(Debug, Serialize)]
struct Quantiles {
    p50: f64,
    p99: f64,
}

#[derive(Debug, Serialize)]
struct Ratio {
    round_trip_p50: f64,
    entries_per_s: f64,
}

impl Summary {
    /// Of all rounds, at least one of each way.
    pub fn new(environment: Environment, rounds: &[(Way, Round)]) -> Self {
        let of = |way| Figures::new(rounds.iter().filter(|(turn, _)| *turn == way).map(|(_, round)| round));
        let (ring, unix_socket) = (of(Way::Ring), of(Way::UnixSocket));
        let ratio = Ratio {
            round_trip_p50: unix_socket.round_trip_ns.p50 / ring.round_trip_ns.p50,
            entries_per_s: ring.entries_per_s / unix_socket.entries_per_s,
        };
        let (ring_parking, unix_socket_spinning) = (of(Way::RingParking), of(Way::UnixSocketSpinning));
        Self { ring, ring_parking, unix_socket, unix_socket_spinning, ratio, environment }
    }
}

impl Figures {
    fn new<'a>(rounds: impl Iterator<Item = &'a Round>) -> Self {
        let mut latencies = Latencies::default();
        let mut rates = Vec::new();
        for round in rounds {
            latencies.merge(&round.latencies);
            rates.push(round.entries_per_s);
        }
        let quantile = |quantile| latencies.quantile_us(quantile).map_or(f64::NAN, |us| us * 1e3);
        let spread =
            (rates.iter().copied().fold(f64::NAN, f64::min), rates.iter().copied().fold(f64::NAN, f64::max));
        Self {
            round_trip_ns: Quantiles { p50: quantile(0.5), p99: quantile(0.99) },
            entries_per_s: median(rates).unwrap_or(f64::NAN),
            spread,
        }
    }
}

impl Printed for Summary {
    fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n", self.environment)?;
        writeln!(out, "{:<22} {:>10} {:>10}  entries/s", "", "p50 ns", "p99 ns")?;
        for (name, figures) in [
            ("ring", &self.ring),
            ("ring, parking", &self.ring_parking),
            ("Unix socket", &self.unix_socket),
            ("Unix socket, spinning", &self.unix_socket_spinning),
        ] {
            let Figures { round_trip_ns: Quantiles { p50, p99 }, entries_per_s, spread: (least, most) } =
                figures;
            let [p50, p99, entries, least, most] =
                [p50, p99, entries_per_s, least, most].map(|value| number(*value));
            writeln!(out, "{name:<22} {p50:>10} {p99:>10}  {entries} ({least}–{most})")?;
        }
        let Ratio { round_trip_p50, entries_per_s } = self.ratio;
        writeln!(out)?;
        let times = |value: f64| (value * 10.0).round() / 10.0;
        writeln!(
            out,
            "{}",
            Goal::at_least(
                "round trip, times shorter than the socket's",
                times(round_trip_p50),
                ROUND_TRIP_GOAL
            )
        )?;
        writeln!(
            out,
            "{}",
            Goal::at_least("entries/s, times the socket's", times(entries_per_s), ENTRIES_GOAL)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_say_how_much_better_the_ring_is() {
        let round = |us, messages| {
            let mut latencies = Latencies::default();
            latencies.record(Duration::from_micros(us));
            Round::new(latencies, messages, Duration::from_secs(1))
        };
        let rounds = [
            (Way::Ring, round(1, 1_000)),
            (Way::Ring, round(1, 3_000)),
            (Way::UnixSocket, round(60, 40)),
            (Way::RingParking, round(60, 1)),
            (Way::UnixSocketSpinning, round(3, 1)),
        ];
        let summary = Summary::new(Environment::observe("none"), &rounds);
        let json: serde_json::Value = serde_json::from_str(&summary.json().unwrap()).unwrap();
        assert_eq!(json["ring"]["entries_per_s"], 2_000.0);
        assert_eq!(json["ratio"]["entries_per_s"], 50.0);
        let ratio = json["ratio"]["round_trip_p50"].as_f64().unwrap();
        assert!((59.0..61.0).contains(&ratio), "{ratio}");
        for way in ["ring", "ring_parking", "unix_socket", "unix_socket_spinning"] {
            assert!(
                json[way]["round_trip_ns"]["p50"].is_number()
                    && json[way]["round_trip_ns"]["p99"].is_number()
            );
        }
        let text = summary.to_string();
        for expected in ["Goal held: round trip", "Goal held: entries/s", "(1,000–3,000)"] {
            assert!(text.contains(expected), "{expected} in:\n{text}");
        }
    }
}
