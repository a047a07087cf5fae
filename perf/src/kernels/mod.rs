//! `kernels`: multi-buffer kernels against aws-lc-rs, one operation at a time, on one core.
//!
//! For every [`algorithm`] and fill, implementations take turns in [`cell`]; each is a [`work`] that keeps all its outputs,
//! and all are compared with references. [`rsa`], [`ecdsa`], [`ed25519`] and [`x25519`] say how to drive each; [`summary`]
//! prints the [`rows`] and the [`goals`].

mod algorithm;
mod cell;
mod ecdsa;
mod ed25519;
mod goals;
mod pool;
mod rows;
mod rsa;
mod seed;
mod summary;
mod work;
mod x25519;

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use keylane_kernels::{Kernels, Refused, Tier};

use crate::environment::Environment;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::progress;

use algorithm::Algorithm;
use cell::Pace;
use rows::Row;
pub use summary::Summary;

/// What is measured unless the command line says otherwise.
const FILLS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
/// The same for a run that only shows that everything works.
const FILLS_QUICK: [usize; 2] = [1, 8];

/// Options of the verb.
#[derive(Clone, Debug, clap::Args)]
pub struct KernelsOptions {
    /// Print the rows as JSON, and nothing else, to stdout
    #[arg(long)]
    pub json: bool,
    /// Measure this algorithm only; may be repeated
    #[arg(long = "algorithm", value_name = "NAME")]
    algorithms: Vec<Algorithm>,
    /// Measure batches of this many operations only; may be repeated
    #[arg(long = "fill", value_name = "N", value_parser = fill)]
    fills: Vec<usize>,
    /// Seconds for everything, about
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=36_000))]
    seconds: u32,
    /// Two turns of everything, at two fills: shows that it works, measures nothing
    #[arg(long)]
    quick: bool,
}

/// Operations of a batch, as the command line gives them.
fn fill(text: &str) -> Result<usize, String> {
    let fill = text.parse().ok().filter(|fill| (1..=pool::JOBS_MAX).contains(fill));
    fill.ok_or_else(|| format!("a batch has 1 to {} operations", pool::JOBS_MAX))
}

impl KernelsOptions {
    fn algorithms(&self) -> Vec<Algorithm> {
        if self.algorithms.is_empty() { Algorithm::ALL.to_vec() } else { self.algorithms.clone() }
    }

    fn fills(&self) -> Vec<usize> {
        match (self.fills.is_empty(), self.quick) {
            (false, _) => self.fills.clone(),
            (true, false) => FILLS.to_vec(),
            (true, true) => FILLS_QUICK.to_vec(),
        }
    }
}

/// Measures.
pub fn run(options: &KernelsOptions, interrupt: &Interrupt) -> Result<Summary, Failure> {
    let (algorithms, fills) = (options.algorithms(), options.fills());
    let mut environment = Environment::observe("none: Linux does not allow it");
    // Not before: Linux then counts one core only.
    if pin() {
        environment.pinning = "the only thread on one core";
    }
    let mut session = Session {
        tiers: tiers()?,
        rsa_keys: if options.quick { rsa::KEYS_QUICK } else { rsa::KEYS },
        pace: if options.quick { Pace::QUICK } else { Pace::MEASURED },
        left: Duration::from_secs(options.seconds.into()),
        cells: algorithms.len() * fills.len(),
        rows: Vec::new(),
        compared: 0,
        progress: progress::bar((algorithms.len() * fills.len()) as u64),
        interrupt,
    };
    for algorithm in algorithms {
        session.measure(algorithm, &fills)?;
    }
    session.progress.finish_and_clear();
    environment.conditions = summary::conditions(session.rsa_keys, session.compared);
    Ok(Summary { environment, rows: session.rows, has_fast_tier: session.tiers.len() > 1 })
}

/// The tiers of this machine, the reference first. One that it lacks is left out; one that computes wrongly ends the verb.
fn tiers() -> Result<Vec<Kernels>, Failure> {
    let proven = Tier::ALL.map(Kernels::with_tier).into_iter();
    let here = proven.filter(|tier| !matches!(tier, Err(Refused::Unavailable(_))));
    Ok(here.collect::<Result<_, _>>()?)
}

/// Pins this thread to a core, where Linux lets it.
fn pin() -> bool {
    let core = core_affinity::get_core_ids().and_then(|cores| cores.last().copied());
    core.is_some_and(core_affinity::set_for_current)
}

/// A run of the verb.
struct Session<'a> {
    tiers: Vec<Kernels>,
    rsa_keys: usize,
    pace: Pace,
    /// Time that is left for the cells that are left.
    left: Duration,
    cells: usize,
    rows: Vec<Row>,
    compared: u64,
    progress: ProgressBar,
    interrupt: &'a Interrupt,
}

impl Session<'_> {
    fn measure(&mut self, algorithm: Algorithm, fills: &[usize]) -> Result<(), Failure> {
        self.progress.set_message(format!("{}: keys and references", algorithm.name()));
        let jobs = fills.iter().copied().max().unwrap_or(1);
        let fastest = self.tiers.last().copied().map_or_else(Kernels::select, Ok)?;
        let pool = pool::make(algorithm, fastest, jobs, self.rsa_keys)?;
        for &fill in fills {
            self.progress.set_message(format!("{}, fill {fill}", algorithm.name()));
            let start = Instant::now();
            let budget = self.left / u32::try_from(self.cells).unwrap_or(u32::MAX).max(1);
            let contestants = pool::contestants(&*pool, &self.tiers, fill);
            let samples = cell::measure(contestants, self.pace, budget, self.interrupt)
                .map_err(|stop| stop.into_failure(algorithm.name(), fill))?;
            self.compared += samples.iter().map(|samples| samples.compared).sum::<u64>();
            self.rows.extend(samples.iter().map(|samples| Row::new(algorithm.name(), fill, samples)));
            self.left = self.left.saturating_sub(start.elapsed());
            self.cells -= 1;
            self.progress.inc(1);
        }
        Ok(())
    }
}
