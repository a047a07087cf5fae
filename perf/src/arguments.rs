//! What the command line asks for.

use std::ffi::OsString;

use clap::Parser;

use crate::child::ChildOptions;
use crate::demo::DemoOptions;
use crate::kernels::KernelsOptions;
use crate::ring::RingOptions;

/// Measures Keylane against what it replaces, side by side on this machine.
#[derive(Debug, Parser)]
#[command(name = "keylane-perf", version)]
pub struct Arguments {
    /// What to measure.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Serve TLS with the key in the server and with the key in Keylane, and compare them
    Demo(DemoOptions),
    /// Exchange 64 octets with another process over Keylane's rings and over a Unix socket, and compare them
    Ring(RingOptions),
    /// Sign in batches with every kernel and one at a time with aws-lc-rs, on one core, and compare them
    Kernels(KernelsOptions),
    /// A part of a measurement that runs in its own process; keylane-perf starts it itself
    #[command(hide = true)]
    Child(ChildOptions),
}

impl Arguments {
    /// Reads the arguments of this process, or explains them and exits.
    pub fn read() -> Self {
        Self::parse_from(without_separator(std::env::args_os()))
    }
}

/// Drops a `--` right behind the verb: an alias such as `cargo demo` ends in its verb, so that `cargo demo -- --json`
/// arrives here as `demo -- --json`.
fn without_separator(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    const BEHIND_VERB: usize = 2;
    arguments
        .enumerate()
        .filter(|(at, argument)| *at != BEHIND_VERB || argument != "--")
        .map(|(_, kept)| kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(line: &str) -> Vec<OsString> {
        without_separator(line.split(' ').map(OsString::from)).collect()
    }

    fn json(line: &str) -> bool {
        match Arguments::try_parse_from(cleaned(line)).unwrap().verb {
            Verb::Demo(options) => options.json,
            Verb::Ring(options) => options.json,
            Verb::Kernels(options) => options.json,
            Verb::Child(_) => panic!("{line} is no child"),
        }
    }

    #[test]
    fn a_leading_separator_is_dropped() {
        assert!(json("keylane-perf demo --json"));
        assert!(json("keylane-perf demo -- --json"));
        assert!(!json("keylane-perf demo --"));
    }

    #[test]
    fn only_the_first_separator_is_dropped() {
        assert!(Arguments::try_parse_from(cleaned("keylane-perf demo -- -- --json")).is_err());
        assert!(Arguments::try_parse_from(cleaned("keylane-perf demo --seconds 1 -- --json")).is_err());
    }
}
