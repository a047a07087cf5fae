//! Implementations of one algorithm at one fill, in turns.

use std::time::{Duration, Instant};

use super::pool::Contestant;
use super::work::WrongJob;
use crate::failure::Failure;
use crate::figures::float;
use crate::interrupt::Interrupt;
use crate::processor_time;

/// How long one slice computes before the next implementation's turn: some calls at least, and short enough that most
/// slices end before Linux runs somebody else.
pub const SLICE: Duration = Duration::from_millis(2);

/// A call that takes this long is not repeated to warm up.
const LONG: Duration = Duration::from_millis(50);

/// How often everybody has a turn.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    turns_min: usize,
    turns_max: usize,
}

impl Pace {
    /// For figures.
    pub const MEASURED: Self = Self { turns_min: 5, turns_max: 301 };
    /// To show that it works.
    pub const QUICK: Self = Self { turns_min: 2, turns_max: 2 };
}

/// What one implementation reached, slice by slice.
#[derive(Debug)]
pub struct Samples {
    /// Its name.
    pub implementation: &'static str,
    /// Whether with nonces, blinding and check.
    pub checked: bool,
    /// Processor time per operation.
    pub us_per_operation: Vec<f64>,
    /// Times aws-lc-rs's speed in the same turn.
    pub ratios: Vec<f64>,
    /// Outputs that were compared with references, and right.
    pub compared: u64,
}

/// Why there are no samples.
#[derive(Debug)]
pub enum Stop {
    /// Somebody wants the process to end.
    Interrupted(Failure),
    /// An implementation's output is wrong.
    Wrong(&'static str, WrongJob),
}

impl Stop {
    /// With what it was about.
    pub fn into_failure(self, algorithm: &'static str, fill: usize) -> Failure {
        match self {
            Self::Interrupted(failure) => failure,
            Self::Wrong(implementation, WrongJob(job)) => {
                Failure::WrongResult { algorithm, implementation, job, fill }
            }
        }
    }
}

/// Everybody in turn, for about as long as `budget` says. The first contestant is what the others are compared with.
pub fn measure(
    contestants: Vec<Contestant<'_>>,
    pace: Pace,
    budget: Duration,
    interrupt: &Interrupt,
) -> Result<Vec<Samples>, Stop> {
    let start = Instant::now();
    let mut runners = contestants.into_iter().map(Runner::warm_up).collect::<Result<Vec<_>, _>>()?;
    for turn in 0..pace.turns_max {
        if turn >= pace.turns_min && start.elapsed() >= budget {
            break;
        }
        let mut reference = None;
        for runner in &mut runners {
            interrupt.check().map_err(Stop::Interrupted)?;
            if turn == 0 || !runner.is_late(start.elapsed()) {
                let us = runner.slice()?;
                runner.samples.ratios.push(*reference.get_or_insert(us) / us);
            }
        }
    }
    Ok(runners.into_iter().map(|runner| runner.samples).collect())
}

struct Runner<'a> {
    contestant: Contestant<'a>,
    /// Calls of a slice.
    calls: usize,
    /// What warming up gave, in µs per operation, if that took so long that the first turn need not repeat it.
    first: Option<f64>,
    /// Spent on its turns.
    spent: Duration,
    samples: Samples,
}

impl<'a> Runner<'a> {
    /// Runs until caches and predictors know the work, and measures how many calls make a slice.
    fn warm_up(contestant: Contestant<'a>) -> Result<Self, Stop> {
        let Contestant { implementation, checked, .. } = contestant;
        let samples = Samples {
            implementation,
            checked,
            us_per_operation: Vec::new(),
            ratios: Vec::new(),
            compared: 0,
        };
        let mut runner = Self { contestant, calls: 1, first: None, spent: Duration::ZERO, samples };
        loop {
            let (elapsed, us) = runner.timed()?;
            if elapsed >= SLICE / 2 {
                runner.first = (elapsed >= LONG).then_some(us);
                return Ok(runner);
            }
            runner.calls *= 2;
        }
    }

    /// Whether it has had more than its part of the time. The portable tier is slow enough to take all of it.
    fn is_late(&self, elapsed: Duration) -> bool {
        const PART: u32 = 6;
        self.contestant.implementation == "portable" && self.spent > elapsed / PART
    }

    /// One turn: µs per operation.
    fn slice(&mut self) -> Result<f64, Stop> {
        let start = Instant::now();
        let us = match self.first.take() {
            Some(us) => us,
            None => self.timed()?.1,
        };
        self.samples.us_per_operation.push(us);
        self.spent += start.elapsed();
        Ok(us)
    }

    /// Processor time of the calls, and µs per operation with what it bears besides.
    fn timed(&mut self) -> Result<(Duration, f64), Stop> {
        let work = &mut self.contestant.work;
        let upkeep = work.prepare(self.calls);
        let start = processor_time::of_this_thread();
        work.run();
        let elapsed = processor_time::of_this_thread().saturating_sub(start);
        let compared = work.compare().map_err(|job| Stop::Wrong(self.samples.implementation, job))?;
        self.samples.compared += compared;
        Ok((elapsed, elapsed.as_secs_f64() * 1e6 / float(compared) + upkeep))
    }
}
