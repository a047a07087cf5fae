//! Load generators and side-by-side comparisons for Keylane.
//!
//! A figure is worth something beside another one that was measured in the same run, in turns, on the same machine;
//! so every verb measures both sides itself, and its report says on what and how much the rounds differed.
//!
//! Reading order: [`arguments`]; [`demo`] and its load, [`tls`]; [`mod@ring`]; [`kernels`]; [`mod@report`] with its
//! [`figures`] and [`environment`]; then what carries them: [`child`] processes, [`interrupt`], [`latency`],
//! [`processor_time`], [`progress`].
#![forbid(unsafe_code)]

mod arguments;
mod child;
mod demo;
mod environment;
mod failure;
mod figures;
mod interrupt;
mod kernels;
mod latency;
mod processor_time;
mod progress;
mod report;
mod ring;
mod table;
mod tls;

use std::io::{self, Write};
use std::process::ExitCode;

use arguments::{Arguments, Verb};
use failure::Failure;
use interrupt::Interrupt;
use report::Printed;

fn main() -> ExitCode {
    let done = match Arguments::read().verb {
        Verb::Demo(options) => report(options.json, |interrupt| demo::run(options, interrupt)),
        Verb::Ring(options) => report(options.json, |interrupt| ring::run(options, interrupt)),
        Verb::Kernels(options) => report(options.json, |interrupt| kernels::run(&options, interrupt)),
        Verb::Child(options) => child::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("keylane-perf: {failure}");
            failure.exit_status().into()
        }
    }
}

/// Measures, and prints what was measured.
fn report<P: Printed>(
    json: bool,
    measure: impl FnOnce(&Interrupt) -> Result<P, Failure>,
) -> Result<(), Failure> {
    let interrupt = Interrupt::install().map_err(Failure::system("take signals over"))?;
    let report = measure(&interrupt)?;
    let text = if json { report.json().map_err(io::Error::from) } else { Ok(report.to_string()) };
    text.and_then(|text| writeln!(io::stdout(), "{}", text.trim_end()))
        .map_err(Failure::system("print the report"))
}
