//! `keylane doctor`.

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::answer::Answer;
use super::failure::Failure;
use super::place::EnginePlace;
use super::table::facts;
use crate::config::Config;

mod machine;
mod places;

const HELP: &str = "\
Exits with 5 if something would keep an engine from starting. Run it as the engine's user, with the
limits of the engine's unit:
  systemd-run --pipe --uid=keylane --property=LimitMEMLOCK=128M keylane doctor";

/// Look for what would keep an engine from starting, or from its best, and say the remedy.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Doctor {
    #[command(flatten)]
    place: EnginePlace,
}

/// What one check found.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// As it should be.
    Good,
    /// The engine works, but not at its best.
    Poor,
    /// The engine would not start.
    Bad,
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, found: found.into(), remedy: None }
    }

    fn poor(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Poor, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn bad(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Bad, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn line(&self) -> (&'static str, String) {
        let mark = match self.verdict {
            Verdict::Good => "",
            Verdict::Poor => "(!) ",
            Verdict::Bad => "(!!) ",
        };
        let remedy = self.remedy.as_ref().map_or(String::new(), |remedy| format!("; {remedy}"));
        (self.check, format!("{mark}{}{remedy}", self.found))
    }
}

impl Doctor {
    pub(super) fn run(&self) -> Result<Answer, Failure> {
        let config = self.place.load()?;
        Ok(answer(&examine(&config)))
    }
}

fn examine(config: &Config) -> Vec<Finding> {
    vec![
        configuration(config),
        machine::cores(config),
        machine::cpu(),
        machine::io_uring(config),
        machine::memlock(),
        machine::secret_memory(config),
        machine::descriptors(),
        places::socket(config),
        places::store(config),
        places::disk(config),
    ]
}

fn configuration(config: &Config) -> Finding {
    match config.validate() {
        Ok(()) => Finding::good("configuration", "valid"),
        Err(error) => {
            Finding::bad("configuration", error.to_string(), "correct it, see `keylane serve --check`")
        }
    }
}

fn answer(findings: &[Finding]) -> Answer {
    let any = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    let conclusion = match (any(Verdict::Bad), any(Verdict::Poor)) {
        (true, _) => "An engine would not start: see (!!).",
        (false, true) => "An engine would start, but not at its best: see (!).",
        (false, false) => "All is well.",
    };
    let text = format!("{}\n{conclusion}", facts(findings.iter().map(Finding::line)));
    let json = json!({ "healthy": !any(Verdict::Bad), "checks": findings });
    Answer { problem: any(Verdict::Bad), ..Answer::new(text, json) }
}

#[cfg(test)]
mod tests {
    use super::{Finding, answer, examine};
    use crate::config::Config;

    #[test]
    fn a_bad_finding_is_a_problem_and_a_poor_one_is_not() {
        let good = || Finding::good("cpu", "fine");
        let poor = || Finding::poor("io_uring", "denied", "allow it");
        let bad = || Finding::bad("store", "mode 0777", "run chmod");
        assert!(!answer(&[good(), poor()]).problem);
        let sick = answer(&[good(), poor(), bad()]);
        assert!(sick.problem);
        assert!(sick.text.contains("store:     (!!) mode 0777; run chmod"), "{}", sick.text);
        assert_eq!(sick.json["healthy"], false);
        assert_eq!(sick.json["checks"][1]["verdict"], "poor");
        assert_eq!(sick.json["checks"][0].get("remedy"), None);
    }

    #[test]
    fn what_is_not_good_has_a_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config {
            store: directory.path().join("nothing/here"),
            socket: directory.path().join("nor/here.sock"),
            ..Config::default()
        };
        for finding in examine(&config) {
            let good = finding.verdict == super::Verdict::Good;
            assert_eq!(finding.remedy.is_none(), good, "{finding:?}");
        }
    }
}
