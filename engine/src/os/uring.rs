//! The reactor's io_uring driver.
//!
//! No SQPOLL. The ring starts disabled and is restricted for good before it is enabled: only polls, writes and fsyncs,
//! only on registered files, so that whoever takes over the thread finds no way to open, connect or read through it.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use io_uring::register::Restriction;
use io_uring::types::{Fixed, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::reactor::{FileWrite, Interest, Raw, WATCHES_MAX, WRITES_MAX, WatchId};

/// Submissions handed to Linux at once; more wait in a queue of ours.
const SUBMISSIONS: u32 = 256;
/// Completions that fit before Linux keeps them in a list of its own.
const COMPLETIONS: u32 = 4_096;
/// `IORING_REGISTER_FILES_UPDATE`, the only registration that stays allowed.
const REGISTER_FILES_UPDATE: u8 = 6;

/// How long to wait at most before what Linux did not take is submitted again.
const RESUBMIT: Duration = Duration::from_millis(10);

/// User data of completions that nobody waits for.
const NOBODY: u64 = u64::MAX;
/// Bit of user data that tells a write from a poll, whose ids have 63 bits.
const WRITE: u64 = 1 << 63;
/// Bit of a write's user data that tells its fsync from the write itself.
const FSYNC: u64 = 1 << 62;

/// A write between submission and the completion of its fsync.
struct InFlight {
    write: FileWrite,
    /// Octets written so far.
    done: usize,
    /// What the last write operation said.
    outcome: io::Result<()>,
}

/// See the module's description.
pub(super) struct Uring {
    ring: IoUring,
    /// Bound to the thread that waits first (`SINGLE_ISSUER`), therefore not enabled at creation.
    enabled: bool,
    queue: VecDeque<squeue::Entry>,
    writes: [Option<InFlight>; WRITES_MAX],
    /// The file registered for each write, kept open: the next write to it registers nothing.
    registered: [Option<Arc<File>>; WRITES_MAX],
    /// Positions in the table of registered files: first the writes', then the watches'.
    files: u32,
}

impl Uring {
    /// Makes a restricted ring.
    pub(super) fn new() -> io::Result<Self> {
        Self::sized(SUBMISSIONS, COMPLETIONS)
    }

    /// As [`new`](Self::new), with queues of these lengths.
    pub(super) fn sized(submissions: u32, completions: u32) -> io::Result<Self> {
        let ring = build(submissions, completions)?;
        if !ring.params().is_feature_ext_arg() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let files = table_len();
        let submitter = ring.submitter();
        submitter.register_files_sparse(files)?;
        submitter.register_restrictions(&mut restrictions())?;
        let (writes, registered) = ([const { None }; WRITES_MAX], [const { None }; WRITES_MAX]);
        Ok(Self { ring, enabled: false, queue: VecDeque::new(), writes, registered, files })
    }

    pub(super) fn add(&mut self, id: WatchId, fd: BorrowedFd<'_>, interest: Interest) -> io::Result<()> {
        self.register(watch_index(id), fd.as_raw_fd())?;
        self.rearm(id, interest);
        Ok(())
    }

    /// Polls again what Linux stopped polling.
    pub(super) fn rearm(&mut self, id: WatchId, interest: Interest) {
        let poll = opcode::PollAdd::new(Fixed(watch_index(id)), poll_flags(interest)).multi(true);
        self.queue.push_back(poll.build().user_data(id.0));
    }

    pub(super) fn remove(&mut self, id: WatchId) {
        let cancel = opcode::PollRemove::new(id.0).build();
        self.queue.push_back(cancel.flags(squeue::Flags::FIXED_FILE).user_data(NOBODY));
        // Clearing an entry of the table fails only for an entry outside of it.
        let _ = self.register(watch_index(id), -1);
    }

    pub(super) fn write(&mut self, write: FileWrite) -> Result<(), (FileWrite, io::Error)> {
        let Some(place) = self.writes.iter().position(Option::is_none) else {
            return Err((write, io::ErrorKind::WouldBlock.into()));
        };
        if let Err(error) = self.register_for_write(place, &write.file) {
            return Err((write, error));
        }
        let in_flight = self.writes[place].insert(InFlight { write, done: 0, outcome: Ok(()) });
        self.queue.extend(write_and_sync(place, in_flight));
        Ok(())
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>, events: &mut Vec<Raw>) -> io::Result<()> {
        if !self.enabled {
            self.ring.submitter().register_enable_rings()?;
            self.enabled = true;
        }
        let mut timeout = timeout;
        while !self.fill_submissions() {
            if !is_submitted(self.ring.submit())? {
                // The rest goes with the next call: what is in the way is collected below, or passes.
                timeout = Some(timeout.map_or(RESUBMIT, |timeout| timeout.min(RESUBMIT)));
                break;
            }
        }
        is_submitted(self.enter(timeout))?;
        self.collect(events);
        Ok(())
    }

    /// Moves queued entries to the submission queue; whether all of them fitted.
    fn fill_submissions(&mut self) -> bool {
        let mut submissions = self.ring.submission();
        while let Some(entry) = self.queue.front() {
            // SAFETY: polls and fsyncs name registered files, which Linux keeps alive. A write's buffer belongs to
            // `self.writes` until its fsync completed, which `collect` sees and `drop` respects by leaking it.
            if unsafe { submissions.push(entry) }.is_err() {
                return false;
            }
            self.queue.pop_front();
        }
        true
    }

    fn enter(&self, timeout: Option<Duration>) -> io::Result<usize> {
        match timeout {
            None => self.ring.submit_and_wait(1),
            Some(timeout) => {
                let timespec = Timespec::from(timeout);
                self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timespec))
            }
        }
    }

    fn collect(&mut self, events: &mut Vec<Raw>) {
        for completion in self.ring.completion() {
            let (data, result) = (completion.user_data(), completion.result());
            let canceled = result == CANCELED && data & WRITE == 0;
            if data == NOBODY || canceled {
                continue;
            }
            if data & WRITE == 0 {
                let ended = result >= 0 && !cqueue::more(completion.flags());
                events.push(Raw::Ready { id: WatchId(data), ended });
                continue;
            }
            let place = WatchId(data).place() as usize;
            let Some(in_flight) = self.writes.get_mut(place).and_then(Option::as_mut) else { continue };
            if data & FSYNC == 0 {
                in_flight.record(result);
            } else if in_flight.wants_more(result) {
                self.queue.extend(write_and_sync(place, in_flight));
            } else if let Some(InFlight { write, outcome, .. }) = self.writes[place].take() {
                events.push(Raw::Written(write, outcome.and_then(|()| check(result).map(drop))));
            }
        }
    }

    fn register_for_write(&mut self, place: usize, file: &Arc<File>) -> io::Result<()> {
        if self.registered[place].as_ref().is_some_and(|registered| Arc::ptr_eq(registered, file)) {
            return Ok(());
        }
        self.register(index(place), file.as_raw_fd())?;
        self.registered[place] = Some(Arc::clone(file));
        Ok(())
    }

    fn register(&self, index: u32, fd: RawFd) -> io::Result<()> {
        if index >= self.files {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        self.ring.submitter().register_files_update(index, &[fd]).map(drop)
    }
}

impl InFlight {
    fn record(&mut self, result: i32) {
        match check(result) {
            Ok(0) if !self.write.bytes.is_empty() => self.outcome = Err(io::ErrorKind::WriteZero.into()),
            Ok(octets) => self.done += octets,
            Err(error) => self.outcome = Err(error),
        }
    }

    /// Whether a short write, which breaks the link to its fsync, goes on.
    fn wants_more(&self, fsync: i32) -> bool {
        let short = self.outcome.is_ok() && self.done < self.write.bytes.len();
        short && matches!(fsync, 0 | CANCELED)
    }
}

/// Whether Linux took what was submitted. What passes by itself is no error: ETIME, the time is over; EINTR; EAGAIN, no
/// memory just now; EBUSY, completions must be collected first.
fn is_submitted(outcome: io::Result<usize>) -> io::Result<bool> {
    match outcome {
        Ok(_) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(false),
            _ => Err(error),
        },
    }
}

/// What a removed poll reports, and the fsync behind a write that failed or fell short.
const CANCELED: i32 = -libc::ECANCELED;

impl Drop for Uring {
    fn drop(&mut self) {
        for in_flight in self.writes.iter_mut().filter_map(Option::take) {
            // Linux may still read the buffer after the ring's descriptor is closed.
            std::mem::forget(in_flight.write.bytes);
        }
    }
}

/// The remaining octets of a write, and the fsync that starts only when all of them are written.
fn write_and_sync(place: usize, in_flight: &InFlight) -> [squeue::Entry; 2] {
    let rest = &in_flight.write.bytes[in_flight.done..];
    // A longer rest is written in parts, like any that Linux cuts short.
    let length = u32::try_from(rest.len()).unwrap_or(u32::MAX);
    let offset = in_flight.write.offset + in_flight.done as u64;
    let write = opcode::Write::new(Fixed(index(place)), rest.as_ptr(), length).offset(offset).build();
    let sync = opcode::Fsync::new(Fixed(index(place))).flags(FsyncFlags::DATASYNC).build();
    let data = WRITE | place as u64;
    [write.flags(squeue::Flags::IO_LINK).user_data(data), sync.user_data(data | FSYNC)]
}

fn build(submissions: u32, completions: u32) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.dontfork().setup_clamp().setup_cqsize(completions).setup_r_disabled();
    let mut newest = builder.clone();
    newest.setup_single_issuer().setup_defer_taskrun();
    match newest.build(submissions) {
        // Before Linux 6.1.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => builder.build(submissions),
        outcome => outcome,
    }
}

fn restrictions() -> [Restriction; 7] {
    let fixed = squeue::Flags::FIXED_FILE.bits();
    [
        Restriction::register_op(REGISTER_FILES_UPDATE),
        Restriction::sqe_op(opcode::PollAdd::CODE),
        Restriction::sqe_op(opcode::PollRemove::CODE),
        Restriction::sqe_op(opcode::Write::CODE),
        Restriction::sqe_op(opcode::Fsync::CODE),
        Restriction::sqe_flags_allowed(fixed | squeue::Flags::IO_LINK.bits()),
        Restriction::sqe_flags_required(fixed),
    ]
}

/// Linux accepts no longer table than the process may have descriptors.
fn table_len() -> u32 {
    let most = index(WRITES_MAX + WATCHES_MAX);
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    descriptors.and_then(|limit| u32::try_from(limit).ok()).map_or(most, |limit| limit.min(most))
}

/// A write's position in the table of registered files.
#[expect(clippy::cast_possible_truncation, reason = "bounded by WRITES_MAX and WATCHES_MAX")]
const fn index(place: usize) -> u32 {
    place as u32
}

/// A watch's position in the table of registered files.
fn watch_index(id: WatchId) -> u32 {
    index(WRITES_MAX) + id.place()
}

fn poll_flags(interest: Interest) -> u32 {
    let flags = match interest {
        Interest::Readable => libc::POLLIN | libc::POLLRDHUP,
        Interest::Duplex => libc::POLLIN | libc::POLLRDHUP | libc::POLLOUT,
    };
    u32::from(flags.cast_unsigned())
}

/// A completion's result as a count of octets or an error.
fn check(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::fd::AsRawFd;

    use io_uring::types::{Fd, Fixed};
    use io_uring::{opcode, squeue};

    use super::{Uring, is_submitted};

    #[test]
    fn what_passes_by_itself_is_no_error() {
        assert!(is_submitted(Ok(1)).unwrap());
        for passing in [libc::EINTR, libc::EBUSY, libc::EAGAIN, libc::ETIME] {
            assert!(!is_submitted(Err(io::Error::from_raw_os_error(passing))).unwrap());
        }
        assert!(is_submitted(Err(io::Error::from_raw_os_error(libc::EINVAL))).is_err());
    }

    /// Submits one entry and returns its result.
    fn submit(uring: &mut Uring, entry: &squeue::Entry) -> i32 {
        // SAFETY: the entries below carry no buffer but one that outlives this call.
        unsafe { uring.ring.submission().push(entry) }.unwrap();
        uring.ring.submit_and_wait(1).unwrap();
        uring.ring.completion().next().unwrap().result()
    }

    #[test]
    fn nothing_but_polls_and_writes_of_registered_files_is_allowed() {
        let Ok(mut uring) = Uring::new() else { return };
        uring.ring.submitter().register_enable_rings().unwrap();
        uring.enabled = true;
        let null = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
        uring.register(0, null.as_raw_fd()).unwrap();
        let mut octet = [0_u8; 1];
        let allowed = opcode::Write::new(Fixed(0), octet.as_ptr(), 1).build();
        assert_eq!(submit(&mut uring, &allowed), 1);
        let refused = [
            opcode::Write::new(Fd(null.as_raw_fd()), octet.as_ptr(), 1).build(),
            opcode::Read::new(Fixed(0), octet.as_mut_ptr(), 1).build(),
            opcode::Accept::new(Fixed(0), std::ptr::null_mut(), std::ptr::null_mut()).build(),
            opcode::Nop::new().build(),
        ];
        for entry in refused {
            assert_eq!(submit(&mut uring, &entry), -libc::EACCES, "{entry:?}");
        }
        let registration = uring.ring.submitter().register_files_sparse(1).unwrap_err();
        assert_eq!(registration.raw_os_error(), Some(libc::EACCES));
    }
}
