//! The status for people.

use crate::admin::status::{Status, Worker};
use crate::cli::table::{facts, table};

/// Facts of the engine and a line for each worker.
pub(super) fn report(status: &Status) -> String {
    format!("{}\n{}\n{}", headline(status), facts(engine(status)), workers(&status.workers))
}

/// Who runs, since when, and whether it takes requests.
pub(super) fn headline(status: &Status) -> String {
    let state = if status.ready { "ready" } else { "not ready" };
    format!("Keylane {}, process {}, {state}, up {}", status.version, status.pid, span(status.uptime_s))
}

/// Facts of the whole engine.
pub(super) fn engine(status: &Status) -> [(&'static str, String); 7] {
    let memory = &status.secret_memory;
    let audit = &status.audit;
    [
        ("Sockets", status.listeners.join(", ")),
        ("Control", status.control_backend.clone()),
        ("Kernels", status.kernels.clone()),
        ("Secret memory", {
            let (used, all) = (mib(memory.used_bytes), mib(memory.bytes));
            format!("{}, {used} of {all} MiB in use", memory.protection)
        }),
        ("Token", {
            let Status { slots, keys, contexts, store_epoch, .. } = status;
            format!("{slots} slots, {keys} keys, {contexts} of them prepared, epoch {store_epoch}")
        }),
        ("Sessions", format!("{} open, {} quarantined", status.sessions, status.quarantined)),
        ("Audit", {
            let (next, durable, segments) = (audit.next_sequence, audit.durable_records, audit.segments);
            let refused = audit.refused_full;
            format!(
                "next record {next}, {durable} durable since start, {segments} segments, {refused} requests refused as full"
            )
        }),
    ]
}

fn workers(workers: &[Worker]) -> String {
    let header = [
        "WORKER",
        "CORE",
        "CHANNELS",
        "REQUESTS",
        "SIGNATURES",
        "FILL",
        "REFUSED",
        "FAULTS",
        "ERRORS",
        "REDONE",
        "CPU s",
    ];
    let row = |worker: &Worker| {
        [
            worker.worker.to_string(),
            core(worker),
            worker.channels.to_string(),
            worker.requests.to_string(),
            worker.signatures.to_string(),
            format!("{:.1}", worker.mean_fill()),
            worker.refused.to_string(),
            worker.faults.to_string(),
            worker.errors.to_string(),
            worker.check_failures.to_string(),
            format!("{:.1}", seconds(worker.cpu_ns)),
        ]
    };
    table(header, workers.iter().map(row))
}

/// The core that a worker is pinned to.
pub(super) fn core(worker: &Worker) -> String {
    worker.core.map_or("any".to_owned(), |core| core.to_string())
}

/// Nanoseconds in seconds.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min {} s", seconds % 60),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;

    #[test]
    fn people_see_state_memory_and_workers() {
        let report = super::report(&example());
        for part in [
            "Keylane 0.1.0, process 42, ready, up 1 h 2 min",
            "memfd_secret, 1.5 of 64.0 MiB in use",
            "3 slots, 12 keys, 4 of them prepared, epoch 17",
            "WORKER  CORE  CHANNELS  REQUESTS  SIGNATURES  FILL",
            "0       3     2         1000      960         8.0",
            "1       any   2",
        ] {
            assert!(report.contains(part), "{part:?} is missing in:\n{report}");
        }
    }

    #[test]
    fn spans_name_their_two_largest_units() {
        assert_eq!(super::span(59), "0 min 59 s");
        assert_eq!(super::span(3_600), "1 h 0 min");
        assert_eq!(super::span(90_000), "1 d 1 h");
    }
}
