//! Processor time of a process, from outside: `/proc/<pid>/task/*/schedstat`, in nanoseconds.
//!
//! The coarser `/proc/<pid>/stat` counts in clock ticks of 10 ms. The price of the finer figure is that it leaves out
//! threads that ended, so it fits processes whose threads stay.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::failure::Failure;

/// Processor time of the calling thread, exact at this instant: waiting for the processor does not count.
pub fn of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// Processor time of the living threads of process `pid`.
pub fn of_process(pid: u32) -> Result<Duration, Failure> {
    let path = format!("/proc/{pid}/task");
    let nanoseconds = fs::read_dir(&path)
        .and_then(|tasks| {
            tasks.map(|task| of_thread(&task?.path().join("schedstat"))).sum::<io::Result<u64>>()
        })
        .map_err(|source| Failure::File { path: path.into(), source })?;
    Ok(Duration::from_nanos(nanoseconds))
}

fn of_thread(schedstat: &std::path::Path) -> io::Result<u64> {
    let text = match fs::read_to_string(schedstat) {
        // It ended since its directory was listed.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => return Ok(0),
        text => text?,
    };
    let running = text.split(' ').next().and_then(|field| field.parse().ok());
    running.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("unexpected schedstat: {text}")))
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_shows() {
        let before = of_process(std::process::id()).unwrap();
        let start = Instant::now();
        // Other tests run in this process too: only a lower bound holds.
        while start.elapsed() < Duration::from_millis(200) {
            black_box(start.elapsed());
        }
        let spent = of_process(std::process::id()).unwrap().saturating_sub(before);
        assert!(spent > Duration::from_millis(1), "{spent:?}");
    }
}
