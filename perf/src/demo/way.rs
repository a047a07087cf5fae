//! One way of serving: a key, the place where it is, a server, and what was measured of it.

use std::fmt;
use std::time::Duration;

use keylane_api::Algorithm;

use super::meter::Counters;
use super::token::Token;
use crate::failure::Failure;
use crate::figures::{CpuPerOp, Figures, Ratio, float, ratio};
use crate::interrupt::Interrupt;
use crate::latency::Latencies;
use crate::processor_time;
use crate::report::Row;
use crate::tls::KeyPlace;
use crate::tls::clients::{Clients, Order, Outcome};
use crate::tls::server::Server;

/// What all ways share.
pub struct Bench<'a> {
    /// The engine and its keys.
    pub token: Token,
    /// Who makes the load.
    pub clients: Clients,
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
}

/// One way of serving.
pub struct Way {
    algorithm: Algorithm,
    place: KeyPlace,
    server: Server,
    /// Between two handshakes while latencies are measured.
    interval: Duration,
    rounds: Vec<Figures>,
    latencies: Latencies,
    fill_histogram: Vec<u64>,
    verified: u64,
    failed: u64,
    complaint: Option<String>,
}

impl Way {
    /// A way of which nothing is measured yet.
    pub fn new(algorithm: Algorithm, place: KeyPlace, server: Server) -> Self {
        Self {
            algorithm,
            place,
            server,
            interval: Duration::ZERO,
            rounds: Vec::new(),
            latencies: Latencies::default(),
            fill_histogram: Vec::new(),
            verified: 0,
            failed: 0,
            complaint: None,
        }
    }

    /// Fixes the handshakes per second at which latencies are measured.
    pub fn offer(&mut self, per_s: f64) {
        self.interval = Duration::from_secs_f64(per_s.max(1.0).recip());
    }

    /// Handshakes per second at which latencies are measured.
    pub fn offered(&self) -> f64 {
        self.interval.as_secs_f64().recip()
    }

    /// The key, as reports spell it.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm.name()
    }

    /// Handshakes that verified.
    pub fn verified(&self) -> u64 {
        self.verified
    }

    /// Handshakes that failed.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// What failed first in the rounds, if anything did.
    pub fn complaint(&self) -> Option<String> {
        self.complaint.clone()
    }

    /// Runs it once without measuring: the handshakes per second that it can do. Here a failed handshake ends the
    /// demo, because all that follows would fail as well.
    pub fn warm_up(&mut self, bench: &mut Bench<'_>, duration: Duration) -> Result<f64, Failure> {
        let outcome = self.load(bench, duration, None)?;
        match outcome.failure {
            None => Ok(float(outcome.verified) / outcome.elapsed.as_secs_f64()),
            Some(client) => Err(self.failure(client, bench)?),
        }
    }

    /// Measures one round: a stretch in which the clients ask for all that the server can do, and one in which they
    /// come at a fixed pace.
    pub fn round(&mut self, bench: &mut Bench<'_>, stretch: Duration) -> Result<(), Failure> {
        let before = self.meters(bench)?;
        let most = self.load(bench, stretch, None)?;
        let after = self.meters(bench)?;
        let paced = self.load(bench, stretch, Some(self.interval))?;
        let mut figures = figures(&most, after.0.saturating_sub(before.0), &after.1.since(&before.1));
        [figures.p50_us, figures.p99_us, figures.p999_us] = quantiles(&paced.latencies);
        self.rounds.push(figures);
        self.latencies.merge(&paced.latencies);
        self.add_fills(&after.1.since(&before.1).fill_histogram);
        for outcome in [most, paced] {
            self.verified += outcome.verified;
            self.failed += outcome.failed;
            if let (None, Some(client)) = (&self.complaint, outcome.failure) {
                self.complaint = Some(self.failure(client, bench)?.to_string());
            }
        }
        Ok(())
    }

    /// How it did against `base`, round by round.
    pub fn against(&self, base: &Self) -> Ratio {
        Ratio::between(&self.rounds, base.place.name(), &base.rounds)
    }

    /// The report's row. `connections` were open at once, and the engine has `workers`.
    pub fn into_row(self, connections: usize, workers: usize) -> Row {
        let mut figures = Figures::median(&self.rounds);
        [figures.p50_us, figures.p99_us, figures.p999_us] = quantiles(&self.latencies);
        let in_engine = self.place == KeyPlace::Keylane;
        Row {
            algorithm: Some(self.algorithm.name()),
            mode: Some(self.place.name()),
            in_flight: Some(connections),
            threads: Some(connections),
            workers: in_engine.then_some(workers),
            clients: Some(connections),
            keys: Some(1),
            figures,
            fill_histogram: in_engine.then_some(self.fill_histogram),
            verified: Some(self.verified),
            samples: self.rounds,
            ..Row::default()
        }
    }

    fn load(
        &self,
        bench: &mut Bench<'_>,
        duration: Duration,
        interval: Option<Duration>,
    ) -> Result<Outcome, Failure> {
        let order = Order { address: self.server.address(), duration, interval };
        bench.clients.load(&order, bench.interrupt)
    }

    fn meters(&self, bench: &mut Bench<'_>) -> Result<(Duration, Counters), Failure> {
        Ok((processor_time::of_process(self.server.pid())?, Counters::read(&mut bench.token)?))
    }

    fn add_fills(&mut self, fills: &[u64]) {
        self.fill_histogram.resize(self.fill_histogram.len().max(fills.len()), 0);
        self.fill_histogram.iter_mut().zip(fills).for_each(|(sum, fill)| *sum += fill);
    }

    fn failure(&mut self, client: String, bench: &Bench<'_>) -> Result<Failure, Failure> {
        let server = self.server.first_failure(bench.interrupt)?.unwrap_or_else(|| "nothing".to_owned());
        Ok(Failure::Handshake { mode: self.place.name(), algorithm: self.algorithm.name(), client, server })
    }
}

impl fmt::Display for Way {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            KeyPlace::InProcess => "key in the server",
            KeyPlace::Keylane => "key in Keylane",
        };
        write!(out, "{}, {place}", self.algorithm.name())
    }
}

fn figures(outcome: &Outcome, server: Duration, engine: &Counters) -> Figures {
    let handshakes = float(outcome.verified);
    let per_handshake = |time: Duration| ratio(time.as_secs_f64() * 1e6, handshakes);
    Figures {
        handshakes_per_s: ratio(handshakes, outcome.elapsed.as_secs_f64()),
        cpu_us_per_op: CpuPerOp {
            server: per_handshake(server),
            engine: per_handshake(engine.cpu),
            client: per_handshake(outcome.cpu),
        },
        mean_fill: ratio(float(engine.signatures), float(engine.batches)),
        context_hit_rate: ratio(float(engine.context_hits), float(engine.context_lookups)),
        syscalls_per_op: ratio(float(engine.syscalls), float(engine.requests)),
        ..Figures::default()
    }
}

fn quantiles(latencies: &Latencies) -> [Option<f64>; 3] {
    [0.5, 0.99, 0.999].map(|quantile| latencies.quantile_us(quantile))
}
