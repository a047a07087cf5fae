//! `demo`: the same TLS server twice, once with the key in its own memory and once with the key in Keylane, under the
//! same load.
//!
//! Everything that it starts are processes of its own and everything that it writes is in one temporary directory;
//! both are gone when it ends, however it ends.

use std::time::Duration;

use keylane_api::Algorithm;

use crate::environment::Environment;
use crate::failure::Failure;
use crate::figures::float;
use crate::interrupt::Interrupt;
use crate::progress;
use crate::report::{Goal, Report, Row};
use crate::tls::clients::{self, Clients};
use crate::tls::pki::Authority;
use crate::tls::server::{self, Server};
use crate::tls::{self, KeyPlace};

pub mod engine;
mod meter;
mod token;
mod way;

use token::Token;
use way::{Bench, Way};

/// Connections at once, and threads of each server: more than cores, so that requests meet in the engine.
const CONNECTIONS: usize = 16;
/// Rounds of every way.
const ROUNDS: u32 = 5;
/// How long every way is run beforehand.
const WARM_UP: Duration = Duration::from_millis(500);
/// What is compared.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::Rsa2048, Algorithm::P256];
const PLACES: [KeyPlace; 2] = [KeyPlace::InProcess, KeyPlace::Keylane];

/// Options of `demo`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct DemoOptions {
    /// Print the report as JSON, and nothing else, to stdout
    #[arg(long)]
    pub json: bool,
    /// Seconds that each of the four ways is measured
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
}

/// Measures.
pub fn run(options: DemoOptions, interrupt: &Interrupt) -> Result<Report, Failure> {
    let mut environment = Environment::observe("none");
    let token = Token::start(interrupt)?;
    let authority = Authority::new()?;
    let setup = clients::Setup { root: authority.root().to_owned(), connections: CONNECTIONS };
    let clients = Clients::start(&setup, interrupt)?;
    let mut bench = Bench { token, clients, interrupt };
    let mut pairs = Vec::new();
    for algorithm in ALGORITHMS {
        pairs.push(start_pair(algorithm, &authority, &mut bench)?);
    }
    measure(&mut pairs, &mut bench, f64::from(options.seconds))?;
    environment.conditions = conditions(&pairs);
    let workers = bench.token.status()?.workers.len();
    Ok(Report {
        verb: "demo",
        environment,
        goals: vec![all_verified(pairs.as_flattened())],
        rows: pairs.into_iter().flat_map(|pair| rows(pair, workers)).collect(),
    })
}

fn rows([base, way]: [Way; PLACES.len()], workers: usize) -> [Row; PLACES.len()] {
    let ratio = Some(way.against(&base));
    let [base, way] = [base, way].map(|way| way.into_row(CONNECTIONS, workers));
    [base, Row { ratio, ..way }]
}

/// Two servers with the same key and certificate.
fn start_pair(
    algorithm: Algorithm,
    authority: &Authority,
    bench: &mut Bench<'_>,
) -> Result<[Way; PLACES.len()], Failure> {
    let identity = authority.issue(algorithm)?;
    let reference = bench.token.import(algorithm.name(), &identity.key())?;
    let start = |place, key| {
        let setup =
            server::Setup { place, certificate: identity.certificate.clone(), key, threads: CONNECTIONS };
        let server = Server::start(&setup, &bench.token.client_environment(), bench.interrupt)?;
        Ok::<_, Failure>(Way::new(algorithm, place, server))
    };
    let [in_process, keylane] = PLACES;
    Ok([start(in_process, identity.key())?, start(keylane, reference)?])
}

/// Rounds of all ways in turn, so that whatever else this machine does meets all of them.
fn measure(pairs: &mut [[Way; PLACES.len()]], bench: &mut Bench<'_>, seconds: f64) -> Result<(), Failure> {
    let progress = progress::bar(u64::from(ROUNDS + 1) * (ALGORITHMS.len() * PLACES.len()) as u64);
    for pair in &mut *pairs {
        let mut slower = f64::INFINITY;
        for way in &mut *pair {
            progress.set_message(format!("warming up: {way}"));
            slower = slower.min(way.warm_up(bench, WARM_UP)?);
            progress.inc(1);
        }
        for way in pair {
            way.offer(slower / 2.0);
        }
    }
    let stretch = Duration::from_secs_f64(seconds / f64::from(2 * ROUNDS));
    for _ in 0..ROUNDS {
        for way in pairs.iter_mut().flatten() {
            progress.set_message(way.to_string());
            way.round(bench, stretch)?;
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    Ok(())
}

fn conditions(pairs: &[[Way; PLACES.len()]]) -> Vec<String> {
    let mut conditions = vec![
        format!(
            "full TLS 1.3 handshakes ({}) over loopback, no resumption, {CONNECTIONS} connections at once",
            tls::key_exchange()
        ),
        "clients verify certificate and signature, on the same cores as server and engine".to_owned(),
        format!("{ROUNDS} interleaved rounds: medians (least–most); ×: against the key in the server"),
    ];
    conditions.extend(pairs.iter().map(|[way, _]| {
        let (algorithm, offered) = (way.algorithm(), way.offered());
        format!("{algorithm}: latencies from the intended start, at {offered:.0} handshakes/s for both")
    }));
    conditions.extend(pairs.iter().flatten().filter_map(Way::complaint));
    conditions
}

fn all_verified(ways: &[Way]) -> Goal {
    let (verified, failed) =
        ways.iter().fold((0, 0), |sum, way| (sum.0 + way.verified(), sum.1 + way.failed()));
    Goal::at_least("share of handshakes verified", float(verified) / float((verified + failed).max(1)), 1.0)
}
