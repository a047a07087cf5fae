//! What a verb reports: where it measured, rows of figures, goals. As JSON for programs, as a table for people.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::environment::Environment;
use crate::figures::{Figures, Ratio};
use crate::table;

/// What a verb prints: for people by [`Display`](fmt::Display), for programs as JSON.
pub trait Printed: fmt::Display {
    /// One line of JSON.
    fn json(&self) -> Result<String, serde_json::Error>;
}

/// The result of a verb.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The verb.
    pub verb: &'static str,
    /// Where it measured.
    pub environment: Environment,
    /// What it measured.
    pub rows: Vec<Row>,
    /// What was hoped for. A goal that is missed does not make a measurement fail.
    pub goals: Vec<Goal>,
}

/// One measured thing.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// The key, as the command line spells it.
    pub algorithm: Option<&'static str>,
    /// Which way it was done.
    pub mode: Option<&'static str>,
    /// PKCS#11 module.
    pub module: Option<String>,
    /// Operations that were under way at once.
    pub in_flight: Option<usize>,
    /// Threads of the server.
    pub threads: Option<usize>,
    /// Workers of the engine.
    pub workers: Option<usize>,
    /// Clients at once.
    pub clients: Option<usize>,
    /// Keys in use.
    pub keys: Option<usize>,
    /// Medians of the rounds; latencies are those of all rounds together.
    #[serde(flatten)]
    pub figures: Figures,
    /// How it did against what took turns with it.
    pub ratio: Option<Ratio>,
    /// Batches by fill, from 1 on.
    pub fill_histogram: Option<Vec<u64>>,
    /// Resident memory, octets.
    pub rss_bytes: Option<u64>,
    /// Answers that were checked and correct.
    pub verified: Option<u64>,
    /// Every round, in the order in which they were measured.
    pub samples: Vec<Figures>,
}

/// What was hoped for.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    name: String,
    got: f64,
    op: Op,
    #[serde(rename = "goal")]
    bound: f64,
    held: bool,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    AtLeast,
    AtMost,
}

impl Goal {
    /// That `got` reaches `bound`.
    pub fn at_least(name: impl Into<String>, got: f64, bound: f64) -> Self {
        Self { name: name.into(), got, op: Op::AtLeast, bound, held: got >= bound }
    }

    /// That `got` does not exceed `bound`.
    pub fn at_most(name: impl Into<String>, got: f64, bound: f64) -> Self {
        Self { name: name.into(), got, op: Op::AtMost, bound, held: got <= bound }
    }
}

impl Op {
    fn symbol(self) -> &'static str {
        match self {
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
        }
    }
}

impl Serialize for Op {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.symbol())
    }
}

impl Printed for Report {
    /// Without what does not apply.
    fn json(&self) -> Result<String, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        drop_absent(&mut value);
        serde_json::to_string(&value)
    }
}

/// Removes nulls, and objects of which nothing is left.
fn drop_absent(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(drop_absent);
            fields.retain(|_, field| {
                !field.is_null() && field.as_object().is_none_or(|inner| !inner.is_empty())
            });
        }
        Value::Array(elements) => elements.iter_mut().for_each(drop_absent),
        _ => {}
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n\n{}", self.environment, table::of(&self.rows))?;
        self.goals.iter().try_for_each(|goal| writeln!(out, "{goal}"))
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, got, op, bound, held } = self;
        let verdict = if *held { "held" } else { "missed" };
        write!(out, "Goal {verdict}: {name} {got} {} {bound}", op.symbol())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::CpuPerOp;

    fn report() -> Report {
        let figures = Figures {
            handshakes_per_s: Some(1_234.5),
            cpu_us_per_op: CpuPerOp { server: Some(300.0), ..CpuPerOp::default() },
            ..Figures::default()
        };
        let row = Row { mode: Some("keylane"), samples: vec![figures.clone()], figures, ..Row::default() };
        Report {
            verb: "demo",
            environment: Environment::observe("none"),
            rows: vec![row, Row::default()],
            goals: vec![Goal::at_least("reached", 0.5, 0.75), Goal::at_least("verified", 1.0, 1.0)],
        }
    }

    #[test]
    fn json_has_the_agreed_fields_and_no_absent_ones() {
        let value: Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        assert_eq!(value["verb"], "demo");
        assert!(value["environment"]["linux"].is_string());
        let row = &value["rows"][0];
        assert_eq!(row["handshakes_per_s"], 1_234.5);
        assert_eq!(row["cpu_us_per_op"], serde_json::json!({"server": 300.0}));
        assert_eq!(row["samples"][0]["handshakes_per_s"], 1_234.5);
        assert_eq!(value["rows"][1], serde_json::json!({"samples": []}));
        let goal =
            serde_json::json!({"name": "reached", "got": 0.5, "op": ">=", "goal": 0.75, "held": false});
        assert_eq!(value["goals"][0], goal);
        assert_eq!(value["goals"][1]["held"], true);
    }

    #[test]
    fn people_see_what_was_measured_and_what_was_missed() {
        let text = report().to_string();
        for expected in ["cores", "handshakes/s", "1,234", "Goal missed: reached 0.5 >= 0.75"] {
            assert!(text.contains(expected), "{expected} in:\n{text}");
        }
        assert!(!text.contains("p99"), "nothing measured a latency:\n{text}");
    }
}
