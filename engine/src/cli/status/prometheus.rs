//! The status in Prometheus's text exposition format 0.0.4.

use std::fmt::Write;

use crate::admin::status::{Status, Worker};
use crate::cli::status::report::seconds;

/// Upper bounds of the buckets of `keylane_batch_fill`, in operations.
const FILL_BUCKETS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Every metric of the engine.
pub(super) fn exposition(status: &Status) -> String {
    let mut text = Exposition::default();
    engine(&mut text, status);
    for (name, help, value) in COUNTERS {
        text.family(name, "counter", help);
        for worker in &status.workers {
            text.sample(name, &[("worker", &worker.worker.to_string())], value(worker));
        }
    }
    cpu(&mut text, &status.workers);
    batch_fill(&mut text, &status.workers);
    text.0
}

/// Counters of a worker: name, help, value.
type Counter = (&'static str, &'static str, fn(&Worker) -> u64);

const COUNTERS: [Counter; 13] = [
    ("keylane_requests_total", "Requests taken in.", |worker| worker.requests),
    ("keylane_requests_succeeded_total", "Requests answered with a result.", |worker| worker.succeeded),
    ("keylane_requests_refused_total", "Requests refused by policy or load.", |worker| worker.refused),
    ("keylane_requests_malformed_total", "Malformed requests.", |worker| worker.faults),
    ("keylane_requests_failed_total", "Requests that the engine failed.", |worker| worker.errors),
    ("keylane_check_failures_total", "Results that did not pass their check and were redone.", |worker| {
        worker.check_failures
    }),
    ("keylane_signatures_total", "Signatures made.", |worker| worker.signatures),
    ("keylane_batches_total", "Batches executed.", |worker| worker.batches),
    ("keylane_context_hits_total", "Look-ups that found a prepared key.", |worker| worker.context_hits),
    ("keylane_context_misses_total", "Look-ups that had a key prepared.", |worker| worker.context_misses),
    ("keylane_worker_parks_total", "Times that a worker slept.", |worker| worker.parks),
    ("keylane_worker_wakes_total", "Clients that a worker woke.", |worker| worker.wakes),
    ("keylane_worker_syscalls_total", "System calls of a worker's loop.", |worker| worker.syscalls),
];

fn engine(text: &mut Exposition, status: &Status) {
    let Status { secret_memory, audit, .. } = status;
    text.family("keylane_info", "gauge", "What runs; the value is 1.");
    let labels = [
        ("version", status.version.as_str()),
        ("control_backend", &status.control_backend),
        ("kernels", &status.kernels),
        ("secret_memory", &secret_memory.protection),
    ];
    text.sample("keylane_info", &labels, 1);
    for (name, kind, help, value) in [
        ("keylane_ready", "gauge", "Whether the engine takes requests.", u64::from(status.ready)),
        ("keylane_uptime_seconds", "gauge", "Seconds since the engine was ready.", status.uptime_s),
        ("keylane_sessions", "gauge", "Open sessions.", status.sessions),
        (
            "keylane_quarantined_total",
            "counter",
            "Sessions detached for breaking protocol.",
            status.quarantined,
        ),
        ("keylane_slots", "gauge", "Slots of the token.", status.slots),
        ("keylane_keys", "gauge", "Keys of the token.", status.keys),
        ("keylane_contexts", "gauge", "Keys prepared in secret memory.", status.contexts),
        ("keylane_store_epoch", "counter", "Changes of the store since it was made.", status.store_epoch),
        ("keylane_secret_memory_bytes", "gauge", "Secret memory.", secret_memory.bytes),
        ("keylane_secret_memory_used_bytes", "gauge", "Secret memory in use.", secret_memory.used_bytes),
        ("keylane_audit_records_total", "counter", "Audit records written.", audit.next_sequence),
        ("keylane_audit_durable_records_total", "counter", "Audit records on disk.", audit.durable_records),
        ("keylane_audit_segments", "gauge", "Audit segments kept.", audit.segments),
        ("keylane_audit_full_total", "counter", "Requests refused as the log was full.", audit.refused_full),
    ] {
        text.family(name, kind, help);
        text.sample(name, &[], value);
    }
}

fn cpu(text: &mut Exposition, workers: &[Worker]) {
    let name = "keylane_worker_cpu_seconds_total";
    text.family(name, "counter", "Processor time of a worker.");
    for worker in workers {
        text.sample(name, &[("worker", &worker.worker.to_string())], seconds(worker.cpu_ns));
    }
}

/// A histogram whose buckets count all fills up to their bound.
fn batch_fill(text: &mut Exposition, workers: &[Worker]) {
    text.family("keylane_batch_fill", "histogram", "Operations of a batch.");
    for worker in workers {
        let index = worker.worker.to_string();
        let bucket = "keylane_batch_fill_bucket";
        for bound in FILL_BUCKETS {
            let batches: u64 = worker.fill_histogram.iter().take(bound).sum();
            text.sample(bucket, &[("worker", &index), ("le", &bound.to_string())], batches);
        }
        text.sample(bucket, &[("worker", &index), ("le", "+Inf")], worker.batches);
        text.sample("keylane_batch_fill_sum", &[("worker", &index)], worker.signatures);
        text.sample("keylane_batch_fill_count", &[("worker", &index)], worker.batches);
    }
}

/// Text under construction.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        match labels.as_slice() {
            [] => self.line(format_args!("{name} {value}")),
            labels => self.line(format_args!("{name}{{{}}} {value}", labels.join(","))),
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a string cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::example;
    use super::exposition;

    #[test]
    fn every_sample_belongs_to_a_family_declared_once() {
        let text = exposition(&example());
        let mut families = HashSet::new();
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let name = declared.split(' ').next().unwrap();
                assert!(families.insert(name.to_owned()), "{name} is declared twice");
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                assert!(families.contains(family.unwrap_or(name)), "{line} has no family");
                line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
            }
        }
    }

    #[test]
    fn workers_and_buckets_are_labelled() {
        let text = exposition(&example());
        for line in [
            "keylane_ready 1",
            "keylane_requests_total{worker=\"1\"} 1000",
            "keylane_worker_cpu_seconds_total{worker=\"0\"} 2.5",
            "keylane_batch_fill_bucket{worker=\"0\",le=\"4\"} 20",
            "keylane_batch_fill_bucket{worker=\"0\",le=\"8\"} 119",
            "keylane_batch_fill_bucket{worker=\"0\",le=\"+Inf\"} 120",
            "keylane_batch_fill_sum{worker=\"0\"} 960",
        ] {
            assert!(text.lines().any(|got| got == line), "{line} is missing in:\n{text}");
        }
    }

    #[test]
    fn labels_cannot_break_out_of_their_quotes() {
        assert_eq!(super::escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
