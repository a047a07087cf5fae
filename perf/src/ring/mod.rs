//! `keylane-perf ring`: what it costs to get 64 octets to another process and back.
//!
//! Two processes, the client here and an echo in a [`peer`], exchange the same [`pattern`]s over each [`lane`]: the
//! rings, spinning and parking, and a Unix stream socket, blocking and spinning. Lanes take turns, round after round,
//! so that whatever else the machine does meets all of them; [`summary`] is made of all rounds.

mod descriptors;
mod lane;
mod pattern;
mod peer;
mod summary;

use std::io;

use crate::child::{Child, PATIENCE, Role};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::interrupt::Interrupt;

pub use peer::run as run_peer;
pub use summary::Summary;

use lane::Lane;
use pattern::{Kind, Phase};
use peer::Connection;
use summary::Round;

/// Options of the verb.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct RingOptions {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How often every lane has its turn
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
}

/// The four ways to the other process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Way {
    /// Keylane's rings, both sides spinning.
    Ring,
    /// Keylane's rings, both sides sleeping whenever there is nothing to read.
    RingParking,
    /// A Unix stream socket with blocking reads: one write and one read for each message.
    UnixSocket,
    /// The same socket, both sides spinning on non-blocking reads.
    UnixSocketSpinning,
}

impl Way {
    /// In the order of their turns.
    pub const ALL: [Self; 4] = [Self::Ring, Self::UnixSocket, Self::RingParking, Self::UnixSocketSpinning];

    /// Messages of one turn: some tens of milliseconds each.
    const fn messages(self, kind: Kind) -> u64 {
        match (kind, self) {
            (Kind::RoundTrips, Self::Ring) => 200_000,
            (Kind::RoundTrips, Self::UnixSocketSpinning) => 20_000,
            (Kind::RoundTrips, Self::RingParking | Self::UnixSocket) => 2_000,
            (Kind::OneWay, Self::Ring) => 2_000 * pattern::BURST,
            (Kind::OneWay, Self::RingParking | Self::UnixSocket | Self::UnixSocketSpinning) => {
                100 * pattern::BURST
            }
        }
    }
}

/// What a reader must know of every figure.
const CONDITIONS: [&str; 3] = [
    "64-octet messages; each entry is published by itself, each socket message takes one write and one read",
    "round trips: of all rounds together, between answers, the clock's reading included",
    "entries/s: median of the rounds; one way, the reader answers every 512, 1,024 are under way at most",
];

/// Measures all ways in turns.
pub fn run(options: RingOptions, interrupt: &Interrupt) -> Result<Summary, Failure> {
    let cores = Cores::choose();
    let mut environment = Environment::observe(cores.pinning());
    environment.conditions = CONDITIONS.map(str::to_owned).to_vec();
    let mut child = Child::start(Role::Ring, &[])?;
    let connection = peer::connect(&mut child, cores.peer, interrupt)?;
    // Not before: the child would have inherited it.
    pin(cores.client);

    let mut pair = Pair { child, connection, interrupt };
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        for way in Way::ALL {
            rounds.push((way, pair.turn(way)?));
        }
    }
    Ok(Summary::new(environment, &rounds))
}

/// Both processes, ready for the next turn.
struct Pair<'a> {
    child: Child,
    connection: Connection,
    interrupt: &'a Interrupt,
}

impl Pair<'_> {
    fn turn(&mut self, way: Way) -> Result<Round, Failure> {
        let latencies = self.play(way, Kind::RoundTrips, pattern::ask)?;
        let elapsed = self.play(way, Kind::OneWay, pattern::send)?;
        Ok(Round::new(latencies, way.messages(Kind::OneWay), elapsed))
    }

    fn play<T>(
        &mut self,
        way: Way,
        kind: Kind,
        play: impl FnOnce(&mut dyn Lane, u64) -> io::Result<T>,
    ) -> Result<T, Failure> {
        let messages = way.messages(kind);
        // It answers when it is about to read the first message.
        self.child.ask::<()>(&Phase { way, kind, messages }, PATIENCE, self.interrupt)?;
        let played = self.connection.lane(way).and_then(|mut lane| play(&mut *lane, messages));
        played.map_err(Failure::system("exchange messages with the other process"))
    }
}

/// One core for each process, if there are two.
#[derive(Clone, Copy, Debug)]
struct Cores {
    client: Option<usize>,
    peer: Option<usize>,
}

impl Cores {
    fn choose() -> Self {
        match core_affinity::get_core_ids().as_deref() {
            Some([client, .., peer]) => Self { client: Some(client.id), peer: Some(peer.id) },
            _ => Self { client: None, peer: None },
        }
    }

    fn pinning(self) -> &'static str {
        if self.client.is_some() {
            "each process on a core of its own"
        } else {
            "none: there is one core only"
        }
    }
}

/// Pins this thread, where Linux lets it.
fn pin(core: Option<usize>) {
    if let Some(id) = core {
        core_affinity::set_for_current(core_affinity::CoreId { id });
    }
}
