//! The other process, which plays the engine: it makes the regions, and sends back what it reads.

use std::io;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process;

use keylane_shm::{
    Bell, ChannelDescriptors, ClientChannel, ClientFlags, EngineChannel, EngineFlags, Geometry, Parker,
};
use serde::{Deserialize, Serialize};

use super::Way;
use super::descriptors;
use super::lane::{ClientLane, Lane, SocketLane, WORKER, Waiting, WorkerLane};
use super::pattern::{self, BURST, Kind, Message, Phase};
use crate::child::{self, Child, PATIENCE};
use crate::failure::Failure;
use crate::interrupt::Interrupt;

/// What the other process needs to know.
#[derive(Debug, Serialize, Deserialize)]
struct Setup {
    /// Abstract address at which it listens.
    address: String,
    /// Core to run on.
    core: Option<usize>,
}

fn geometry() -> io::Result<Geometry> {
    #[expect(clippy::cast_possible_truncation, reason = "constants")]
    let (entries, bytes) = (2 * BURST as u32, size_of::<Message>() as u32);
    Geometry::new(entries, bytes, bytes).map_err(io::Error::other)
}

/// The client's ends of every way.
pub struct Connection {
    socket: UnixStream,
    channel: ClientChannel,
    flags: ClientFlags,
    bell: Bell,
}

/// Connects to the other process.
pub fn connect(child: &mut Child, core: Option<usize>, interrupt: &Interrupt) -> Result<Connection, Failure> {
    let address = format!("keylane-perf-{}", process::id());
    child.ask::<()>(&Setup { address: address.clone(), core }, PATIENCE, interrupt)?;
    Connection::new(&address).map_err(Failure::system("connect to the other process"))
}

impl Connection {
    fn new(address: &str) -> io::Result<Self> {
        let socket = UnixStream::connect_addr(&SocketAddr::from_abstract_name(address)?)?;
        let [submission, completion, page, bell] = descriptors::receive(&socket)?;
        let regions = ChannelDescriptors { submission, completion };
        let channel = ClientChannel::map(geometry()?, regions).map_err(io::Error::other)?;
        let flags = ClientFlags::map(page).map_err(io::Error::other)?;
        Ok(Self { socket, channel, flags, bell: Bell::from_fd(bell) })
    }

    /// This side of one way.
    pub fn lane(&mut self, way: Way) -> io::Result<Box<dyn Lane + '_>> {
        let waiting = match way {
            Way::Ring => Waiting::Spinning,
            Way::RingParking => Waiting::Parking,
            Way::UnixSocket | Way::UnixSocketSpinning => return socket_lane(&self.socket, way),
        };
        let Self { channel, flags, bell, .. } = self;
        Ok(Box::new(ClientLane { channel, flags, bell, waiting }))
    }
}

fn socket_lane(socket: &UnixStream, way: Way) -> io::Result<Box<dyn Lane + '_>> {
    socket.set_nonblocking(way == Way::UnixSocketSpinning)?;
    Ok(Box::new(SocketLane(socket)))
}

/// Plays the other process, until the parent hangs up.
pub fn run() -> Result<(), Failure> {
    let Some(setup) = child::receive::<Setup>()? else { return Ok(()) };
    super::pin(setup.core);
    let listener =
        SocketAddr::from_abstract_name(&setup.address).and_then(|address| UnixListener::bind_addr(&address));
    let listener = listener.map_err(Failure::system("listen"))?;
    child::answer(&Ok(()))?;
    let mut worker = Worker::accept(&listener).map_err(Failure::system("share memory"))?;
    while let Some(phase) = child::receive::<Phase>()? {
        worker.play(phase)?;
    }
    Ok(())
}

/// The worker's ends of every way.
struct Worker {
    socket: UnixStream,
    channel: EngineChannel,
    flags: EngineFlags,
    parker: Parker,
    /// Kept while the parker watches it.
    _bell: Bell,
}

impl Worker {
    fn accept(listener: &UnixListener) -> io::Result<Self> {
        let (socket, _) = listener.accept()?;
        let (channel, regions) = EngineChannel::create(geometry()?).map_err(io::Error::other)?;
        let (flags, page) = EngineFlags::create(WORKER + 1).map_err(io::Error::other)?;
        let (bell, parker) = (Bell::new()?, Parker::new()?);
        parker.add(bell.as_fd(), 0)?;
        channel.own(0);
        let shared = [regions.submission.as_fd(), regions.completion.as_fd(), page.as_fd(), bell.as_fd()];
        descriptors::send(&socket, shared)?;
        Ok(Self { socket, channel, flags, parker, _bell: bell })
    }

    fn lane(&mut self, way: Way) -> io::Result<Box<dyn Lane + '_>> {
        let waiting = match way {
            Way::Ring => Waiting::Spinning,
            Way::RingParking => Waiting::Parking,
            Way::UnixSocket | Way::UnixSocketSpinning => return socket_lane(&self.socket, way),
        };
        let Self { channel, flags, parker, .. } = self;
        Ok(Box::new(WorkerLane { channel, flags, parker, waiting }))
    }

    fn play(&mut self, phase: Phase) -> Result<(), Failure> {
        let mut lane = self.lane(phase.way).map_err(Failure::system("prepare a turn"))?;
        child::answer(&Ok(()))?;
        let played = match phase.kind {
            Kind::RoundTrips => pattern::answer(&mut *lane, phase.messages),
            Kind::OneWay => pattern::receive(&mut *lane, phase.messages),
        };
        played.map_err(Failure::system("exchange messages with the parent"))
    }
}
