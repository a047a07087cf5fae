//! `keylane status`.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::answer::Answer;
use super::failure::Failure;
use super::place::StorePlace;
use crate::admin::status::Status;

mod prometheus;
mod report;
mod screen;
mod watch;

const HELP: &str = "\
Examples:
  keylane status --watch
      rates and batch fills on a screen, once a second
  keylane status --format prometheus > /var/lib/node_exporter/keylane.prom
      for a metrics collector
  keylane status --json | jq '[.workers[].signatures] | add'";

/// Show the state and the counters of the running engine.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct StatusArgs {
    /// How to print it.
    #[arg(long, value_enum, default_value_t, conflicts_with = "json")]
    format: Format,
    /// Show it on a screen that follows it (with --json: one line a second).
    #[arg(long, conflicts_with = "format")]
    watch: bool,
    #[command(flatten)]
    place: StorePlace,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs; the same as `--json`.
    Json,
    /// The exposition format of Prometheus.
    Prometheus,
}

impl StatusArgs {
    pub(super) fn run(&self, json: bool) -> Result<Answer, Failure> {
        let mut engine = self.place.connect()?;
        if self.watch {
            return watch::run(&mut engine, json);
        }
        let value: Value = parse(&engine.status()?)?;
        let status: Status = serde_json::from_value(value.clone()).map_err(Failure::Status)?;
        let text = match self.format {
            Format::Text => report::report(&status),
            Format::Json => format!("{value:#}"),
            Format::Prometheus => prometheus::exposition(&status),
        };
        Ok(Answer::new(text, value))
    }
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(Failure::Status)
}

#[cfg(test)]
fn example() -> Status {
    use crate::admin::status::{Audit, SecretMemory, Worker};

    let worker = Worker {
        worker: 0,
        core: Some(3),
        channels: 2,
        requests: 1_000,
        succeeded: 990,
        refused: 6,
        faults: 3,
        errors: 1,
        signatures: 960,
        batches: 120,
        fill_histogram: vec![20, 0, 0, 0, 0, 0, 0, 99, 1],
        context_hits: 950,
        context_misses: 10,
        cpu_ns: 2_500_000_000,
        ..Worker::default()
    };
    Status {
        version: "0.1.0".to_owned(),
        pid: 42,
        uptime_s: 3_725,
        ready: true,
        listeners: vec!["/run/keylane/keylane.sock".to_owned()],
        control_backend: "io_uring".to_owned(),
        kernels: "scalar".to_owned(),
        secret_memory: SecretMemory {
            protection: "memfd_secret".to_owned(),
            bytes: 64 << 20,
            used_bytes: 3 << 19,
        },
        sessions: 2,
        slots: 3,
        keys: 12,
        contexts: 4,
        store_epoch: 17,
        audit: Audit { next_sequence: 1_000, durable_records: 990, segments: 1, refused_full: 0 },
        workers: vec![worker.clone(), Worker { worker: 1, core: None, ..worker }],
        ..Status::default()
    }
}
