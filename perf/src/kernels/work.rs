//! A piece of work that can be repeated, and that keeps what it gives until it has been compared.

use keylane_kernels::{Checked, Fault, Unchecked};

/// One implementation's batch, whatever it computes.
pub trait Work {
    /// Makes place for the outputs of `calls` calls, and does what is due between slices. What that costs per operation, in
    /// µs, belongs to the price.
    fn prepare(&mut self, calls: usize) -> f64;

    /// Makes all calls that have been prepared: what is measured.
    fn run(&mut self);

    /// Compares every output with its reference and counts them, or names the job of the first wrong one.
    fn compare(&mut self) -> Result<u64, WrongJob>;
}

/// The place of a job whose output is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongJob(pub usize);

/// How an implementation is called.
pub trait Batch<T> {
    /// Computes one output per element.
    fn call(&mut self, out: &mut [T]);

    /// Does what is due once in many calls, and says what share of its time an operation bears, in µs.
    fn upkeep(&mut self) -> f64 {
        0.0
    }
}

impl<T, F: FnMut(&mut [T])> Batch<T> for F {
    fn call(&mut self, out: &mut [T]) {
        self(out);
    }
}

/// What an operation gives.
pub trait Output {
    /// Before anything was computed.
    fn blank() -> Self;

    /// If there is a result.
    fn octets(&self) -> Option<&[u8]>;
}

impl<T: AsRef<[u8]>> Output for Option<T> {
    fn blank() -> Self {
        None
    }

    fn octets(&self) -> Option<&[u8]> {
        self.as_ref().map(T::as_ref)
    }
}

impl<const LEN: usize> Output for Result<Unchecked<[u8; LEN]>, Fault> {
    fn blank() -> Self {
        Err(Fault::Wrong)
    }

    fn octets(&self) -> Option<&[u8]> {
        self.as_ref().ok().map(|result| result.expose().as_slice())
    }
}

impl<const LEN: usize> Output for Result<Checked<[u8; LEN]>, Fault> {
    fn blank() -> Self {
        Err(Fault::Wrong)
    }

    fn octets(&self) -> Option<&[u8]> {
        self.as_ref().ok().map(|result| result.get().as_slice())
    }
}

/// As many outputs as there are jobs, none computed yet.
pub fn blanks<T: Output>(jobs: usize) -> Vec<T> {
    std::iter::repeat_with(T::blank).take(jobs).collect()
}

/// [`Work`] from a batch, and a judge of a job's output.
pub struct Kept<B, J, T> {
    batch: B,
    judge: J,
    /// Operations of a call.
    operations: usize,
    /// Calls go through this many jobs in turn, beginning again at the first.
    jobs: usize,
    /// Operations that came before those in `outputs`.
    before: usize,
    outputs: Vec<T>,
}

impl<T: Output, B: Batch<T>, J: FnMut(usize, &[u8]) -> bool> Kept<B, J, T> {
    /// Every call does all jobs.
    pub fn batch(jobs: usize, batch: B, judge: J) -> Self {
        Self { batch, judge, operations: jobs, jobs, before: 0, outputs: Vec::new() }
    }
}

/// [`Work`] one operation at a time: every call does the next of the jobs.
pub fn one_by_one<'a, T: AsRef<[u8]> + 'a>(
    jobs: usize,
    operation: impl Fn(usize) -> Option<T> + 'a,
    judge: impl FnMut(usize, &[u8]) -> bool + 'a,
) -> Box<dyn Work + 'a> {
    let mut next = 0;
    let batch = move |out: &mut [Option<T>]| {
        out.fill_with(|| operation(next));
        next = (next + 1) % jobs;
    };
    Box::new(Kept { batch, judge, operations: 1, jobs, before: 0, outputs: Vec::new() })
}

impl<T: Output, B: Batch<T>, J: FnMut(usize, &[u8]) -> bool> Work for Kept<B, J, T> {
    fn prepare(&mut self, calls: usize) -> f64 {
        self.before = (self.before + self.outputs.len()) % self.jobs;
        self.outputs.clear();
        self.outputs.resize_with(calls * self.operations, T::blank);
        self.batch.upkeep()
    }

    fn run(&mut self) {
        for out in self.outputs.chunks_exact_mut(self.operations) {
            self.batch.call(out);
        }
    }

    fn compare(&mut self) -> Result<u64, WrongJob> {
        for (at, output) in self.outputs.iter().enumerate() {
            let job = (self.before + at) % self.jobs;
            if !output.octets().is_some_and(|octets| (self.judge)(job, octets)) {
                return Err(WrongJob(job));
            }
        }
        Ok(self.outputs.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Out = Option<[u8; 1]>;

    fn count(out: &mut [Out]) {
        for (at, out) in (0..).zip(out) {
            *out = Some([at]);
        }
    }

    #[test]
    fn every_output_of_every_call_is_compared() {
        let mut seen = Vec::new();
        let mut work = Kept::batch(3, count, |job, octets: &[u8]| {
            seen.push((job, octets[0]));
            true
        });
        work.prepare(2);
        work.run();
        assert_eq!(work.compare(), Ok(6));
        drop(work);
        assert_eq!(seen, [(0, 0), (1, 1), (2, 2), (0, 0), (1, 1), (2, 2)]);
    }

    #[test]
    fn single_operations_go_on_where_the_last_slice_ended() {
        let numbers = |job: usize| Some([u8::try_from(job).unwrap()]);
        let mut work = one_by_one(3, numbers, |job, octets| usize::from(octets[0]) == job);
        for calls in [2, 5, 1, 3] {
            work.prepare(calls);
            work.run();
            assert_eq!(work.compare(), Ok(calls as u64));
        }
    }

    #[test]
    fn a_wrong_or_missing_output_is_named() {
        let mut work = Kept::batch(3, count, |_, octets: &[u8]| octets[0] != 1);
        work.prepare(1);
        assert_eq!(work.compare(), Err(WrongJob(0)), "nothing was computed");
        work.run();
        assert_eq!(work.compare(), Err(WrongJob(1)));
    }
}
