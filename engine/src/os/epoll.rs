//! The reactor's epoll driver: epoll for readiness, and a thread of its own for the disk.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel};
use std::time::Duration;

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

use super::reactor::{FileWrite, Interest, Raw, WRITES_MAX, WatchId};

/// Events of one wait.
const EVENTS_MAX: usize = 256;
/// Watch of the writer thread's bell.
const WRITER: u64 = u64::MAX;

type Outcome = (FileWrite, io::Result<()>);

/// See the module's description.
pub(super) struct Epoll {
    set: OwnedFd,
    jobs: SyncSender<FileWrite>,
    outcomes: Receiver<Outcome>,
    in_flight: usize,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&set, &bell, epoll::EventData::new_u64(WRITER), flags)?;
        let (jobs, todo) = sync_channel(WRITES_MAX);
        let (done, outcomes) = channel();
        // Not joined: it ends when this driver is gone, and a hung disk must not hang the engine's exit.
        std::thread::Builder::new()
            .name("keylane-writer".into())
            .spawn(move || write_files(&todo, &done, &bell))?;
        Ok(Self { set, jobs, outcomes, in_flight: 0 })
    }

    pub(super) fn add(&mut self, id: WatchId, fd: BorrowedFd<'_>, interest: Interest) -> io::Result<()> {
        let mut flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        if interest == Interest::Duplex {
            flags |= epoll::EventFlags::OUT;
        }
        Ok(epoll::add(&self.set, fd, epoll::EventData::new_u64(id.0), flags)?)
    }

    pub(super) fn remove(&mut self, fd: BorrowedFd<'_>) {
        // Fails only for a descriptor that is not watched.
        let _ = epoll::delete(&self.set, fd);
    }

    pub(super) fn write(&mut self, write: FileWrite) -> Result<(), (FileWrite, io::Error)> {
        if self.in_flight == WRITES_MAX {
            return Err((write, io::ErrorKind::WouldBlock.into()));
        }
        match self.jobs.try_send(write) {
            Ok(()) => {
                self.in_flight += 1;
                Ok(())
            }
            Err(TrySendError::Full(write)) => Err((write, io::ErrorKind::WouldBlock.into())),
            Err(TrySendError::Disconnected(write)) => Err((write, io::ErrorKind::BrokenPipe.into())),
        }
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>, events: &mut Vec<Raw>) -> io::Result<()> {
        // Longer than Linux can express is as good as for ever.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut space = [const { MaybeUninit::uninit() }; EVENTS_MAX];
        let happened = match epoll::wait(&self.set, &mut space, timeout.as_ref()) {
            Ok((happened, _)) => happened,
            Err(Errno::INTR) => &mut [],
            Err(error) => return Err(error.into()),
        };
        let ready = happened.iter().map(|event| event.data.u64()).filter(|&id| id != WRITER);
        events.extend(ready.map(|id| Raw::Ready { id: WatchId(id), ended: false }));
        self.collect(events);
        Ok(())
    }

    fn collect(&mut self, events: &mut Vec<Raw>) {
        loop {
            match self.outcomes.try_recv() {
                Ok((write, outcome)) => {
                    self.in_flight -= 1;
                    events.push(Raw::Written(write, outcome));
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }
}

/// The writer thread: ends when nobody can give it work any more.
fn write_files(jobs: &Receiver<FileWrite>, outcomes: &Sender<Outcome>, bell: &OwnedFd) {
    while let Ok(write) = jobs.recv() {
        let written = write.file.write_all_at(&write.bytes, write.offset);
        let outcome = written.and_then(|()| write.file.sync_data());
        if outcomes.send((write, outcome)).is_err() {
            return;
        }
        // Refused only when the counter is full, and then the bell is ringing.
        let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
    }
}
