//! What a verb answers, for people and for programs.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::Value;

use super::failure::Failure;

/// An answer in both of its forms; the caller's `--json` picks one.
#[derive(Debug)]
pub(super) struct Answer {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// Whether it reports a problem that the exit code must tell.
    pub problem: bool,
}

impl Answer {
    /// Exit code of an answer that reports a problem.
    const PROBLEM: u8 = 5;

    pub(super) fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, problem: false }
    }

    /// Of a verb that has said everything already.
    pub(super) fn nothing() -> Self {
        Self::new("", Value::Null)
    }

    /// Writes the answer to stdout. A reader that has seen enough (`| head`) is no failure.
    pub(super) fn print(&self, json: bool) -> Result<ExitCode, Failure> {
        let text = if json && !self.json.is_null() { format!("{:#}", self.json) } else { self.text.clone() };
        match write(&text) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::io("write to", "standard output", error))
            }
            _ => Ok(if self.problem { ExitCode::from(Self::PROBLEM) } else { ExitCode::SUCCESS }),
        }
    }
}

/// Writes `text` and ends its last line.
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}
