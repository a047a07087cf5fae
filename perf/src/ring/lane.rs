//! The ways to the other process, as one interface.

use std::hint;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use keylane_shm::{Bell, ClientChannel, ClientFlags, EngineChannel, EngineFlags, Parker};

use super::pattern::Message;
use crate::child::PATIENCE;

/// Index of the only worker.
pub const WORKER: usize = 0;

/// A way to the other process and back.
pub trait Lane {
    /// Sends one message, at once.
    fn send(&mut self, message: &Message) -> io::Result<()>;

    /// Waits for the next message.
    fn receive(&mut self) -> io::Result<Message>;
}

/// How a side of the rings waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It keeps looking.
    Spinning,
    /// It sleeps at once.
    Parking,
}

/// The client's side of a channel.
pub struct ClientLane<'a> {
    /// The rings.
    pub channel: &'a mut ClientChannel,
    /// Where the worker says that it sleeps.
    pub flags: &'a ClientFlags,
    /// What wakes it.
    pub bell: &'a Bell,
    /// How to wait for messages.
    pub waiting: Waiting,
}

impl Lane for ClientLane<'_> {
    fn send(&mut self, message: &Message) -> io::Result<()> {
        push(self.channel.submissions().push(message))?;
        self.channel.submissions().publish();
        if self.channel.owner_sleeps(self.flags) { self.bell.ring() } else { Ok(()) }
    }

    fn receive(&mut self) -> io::Result<Message> {
        let mut message = Message::default();
        let mut patience = Patience::new();
        while !self.channel.completions().pop(&mut message).map_err(io::Error::other)? {
            match self.waiting {
                Waiting::Spinning => patience.spin()?,
                Waiting::Parking => {
                    self.channel.sleep(PATIENCE).map_err(io::Error::other)?;
                    patience.check()?;
                }
            }
        }
        self.channel.completions().release();
        Ok(message)
    }
}

/// The worker's side of a channel.
pub struct WorkerLane<'a> {
    /// The rings.
    pub channel: &'a mut EngineChannel,
    /// Where to say that this side sleeps.
    pub flags: &'a EngineFlags,
    /// Where it sleeps.
    pub parker: &'a mut Parker,
    /// How to wait for messages.
    pub waiting: Waiting,
}

impl WorkerLane<'_> {
    fn park(&mut self) -> io::Result<()> {
        self.flags.announce_sleep(WORKER);
        if self.channel.submissions().available().map_err(io::Error::other)? == 0 {
            self.parker.park(Some(PATIENCE), |_bell| ())?;
        }
        self.flags.announce_awake(WORKER);
        Ok(())
    }
}

impl Lane for WorkerLane<'_> {
    fn send(&mut self, message: &Message) -> io::Result<()> {
        push(self.channel.completions().push(message))?;
        self.channel.completions().publish();
        if self.channel.client_sleeps() { self.channel.wake() } else { Ok(()) }
    }

    fn receive(&mut self) -> io::Result<Message> {
        let mut message = Message::default();
        let mut patience = Patience::new();
        while !self.channel.submissions().pop(&mut message).map_err(io::Error::other)? {
            match self.waiting {
                Waiting::Spinning => patience.spin()?,
                Waiting::Parking => {
                    self.park()?;
                    patience.check()?;
                }
            }
        }
        self.channel.submissions().release();
        Ok(message)
    }
}

/// Either side of a Unix stream socket; spinning if the socket does not block.
pub struct SocketLane<'a>(pub &'a UnixStream);

impl Lane for SocketLane<'_> {
    fn send(&mut self, message: &Message) -> io::Result<()> {
        let mut rest: &[u8] = bytemuck::bytes_of(message);
        let mut patience = Patience::new();
        while !rest.is_empty() {
            match self.0.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) => patience.retry(error)?,
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Message> {
        let mut message = Message::default();
        let mut rest: &mut [u8] = bytemuck::bytes_of_mut(&mut message);
        let mut patience = Patience::new();
        while !rest.is_empty() {
            match self.0.read(rest) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => rest = &mut rest[read..],
                Err(error) => patience.retry(error)?,
            }
        }
        Ok(message)
    }
}

fn push(pushed: Result<bool, keylane_shm::RingFault>) -> io::Result<()> {
    let fits = pushed.map_err(io::Error::other)?;
    // The patterns never have more messages under way than entries.
    if fits { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
}

/// An end to waiting for a process that died.
struct Patience {
    spins: u32,
    end: Option<Instant>,
}

impl Patience {
    /// Spins between two looks at the clock, which cost more than the other process's answer.
    const SPINS: u32 = 1 << 16;
    const LONGEST: Duration = PATIENCE;

    const fn new() -> Self {
        Self { spins: 0, end: None }
    }

    fn spin(&mut self) -> io::Result<()> {
        hint::spin_loop();
        self.spins += 1;
        if self.spins.is_multiple_of(Self::SPINS) { self.check() } else { Ok(()) }
    }

    fn retry(&mut self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            ErrorKind::Interrupted => Ok(()),
            ErrorKind::WouldBlock => self.spin(),
            _ => Err(error),
        }
    }

    fn check(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let end = *self.end.get_or_insert(now + Self::LONGEST);
        if now < end { Ok(()) } else { Err(ErrorKind::TimedOut.into()) }
    }
}
