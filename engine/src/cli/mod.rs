//! The command line: one file per family of verbs, each of which turns arguments into an `Answer` or a `Failure`.
//!
//! `init`, `serve` and `doctor` touch the store themselves; every other verb asks the running engine. Answers go to
//! stdout, everything else to stderr, so that `--json` output can be piped.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod answer;
mod doctor;
mod failure;
mod grant;
mod init;
mod key;
mod logging;
mod place;
mod prompt;
mod serve;
mod slot;
mod status;
mod table;
mod unlocking;

use crate::config::Config;
use crate::engine::{self, EngineError};
use crate::os::stack::on_secret_stack;
use answer::Answer;
use failure::Failure;

/// Stack of what handles secrets, in octets: the database and key derivation need most of it.
const STACK_BYTES: usize = 512 * 1024;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the engine, the store or the operating system failed
  2  the command line or the configuration is wrong
  3  no engine is running on the store
  4  refused: wrong passphrase, unknown or existing name, unacceptable key, ...
  5  `doctor` found a problem

Logs go to stderr; KEYLANE_LOG sets their level (error, warn, info, debug).";

/// Keeps the private keys of TLS servers in a process of its own and signs for them through shared memory.
#[derive(Debug, Parser)]
#[command(name = "keylane", version, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Init),
    Serve(serve::Serve),
    /// Slots: the tenants of a token.
    #[command(subcommand)]
    Slot(slot::Slot),
    /// Grants: who may use which slot.
    #[command(subcommand)]
    Grant(grant::Grant),
    /// Keys.
    #[command(subcommand)]
    Key(key::Key),
    Status(status::StatusArgs),
    Doctor(doctor::Doctor),
}

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    let _log = logging::to_stderr();
    let cli = Cli::parse();
    let shown = run(&cli).and_then(|answer| answer.print(cli.json));
    match shown {
        Ok(exit) => exit,
        Err(failure) => failure.print(cli.json),
    }
}

fn run(cli: &Cli) -> Result<Answer, Failure> {
    match &cli.verb {
        Verb::Init(init) => init.run(),
        Verb::Serve(serve) => serve.run(),
        Verb::Slot(slot) => slot.run(),
        Verb::Grant(grant) => grant.run(),
        Verb::Key(key) => key.run(),
        Verb::Status(status) => status.run(cli.json),
        Verb::Doctor(doctor) => doctor.run(),
    }
}

/// Does what handles secrets: in a process without core dumps, on a stack in secret memory.
fn secretly<T>(config: &Config, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    engine::protect(config)?;
    on_secret_stack(STACK_BYTES, work).map_err(EngineError::from)?
}

#[cfg(test)]
mod tests;
