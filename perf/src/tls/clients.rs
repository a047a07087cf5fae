//! The clients' process: a thread per connection, each of which shakes hands again and again.
//!
//! Closed loop: every thread starts the next handshake when the last is done, which finds the most that a server can
//! do. Open loop: handshakes start at instants fixed beforehand, and a latency counts from there, so that a stall
//! counts for everybody who would have come meanwhile.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use rustix::time::{ClockId, clock_gettime};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde::{Deserialize, Serialize};

use super::{SERVER_NAME, SOCKET_PATIENCE};
use crate::child::{self, Child, PATIENCE, Role};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::latency::Latencies;

/// What the clients' process needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub struct Setup {
    /// The authority's certificate, PEM.
    pub root: String,
    /// Connections at once.
    pub connections: usize,
}

/// A stretch of load.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The server.
    pub address: SocketAddr,
    /// How long handshakes are started.
    pub duration: Duration,
    /// Time between the starts of two handshakes; none to start each when the last is done.
    pub interval: Option<Duration>,
}

/// What a stretch of load brought.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Handshakes whose certificate, signature and `Finished` verified, and which the server accepted as well.
    pub verified: u64,
    /// Handshakes that failed; whoever sees one fail stops.
    pub failed: u64,
    /// The first failure.
    pub failure: Option<String>,
    /// From the first start to the last end.
    pub elapsed: Duration,
    /// Processor time of the clients.
    pub cpu: Duration,
    /// From the (intended) start to the client's end of the handshake.
    pub latencies: Latencies,
}

impl Outcome {
    fn merge(mut self, other: Self) -> Self {
        self.verified += other.verified;
        self.failed += other.failed;
        self.failure = self.failure.or(other.failure);
        self.latencies.merge(&other.latencies);
        self
    }
}

/// The running clients' process.
#[derive(Debug)]
pub struct Clients(Child);

impl Clients {
    /// Starts the process.
    pub fn start(setup: &Setup, interrupt: &Interrupt) -> Result<Self, Failure> {
        let mut process = Child::start(Role::Clients, &[])?;
        process.ask::<()>(setup, PATIENCE, interrupt)?;
        Ok(Self(process))
    }

    /// Loads a server.
    pub fn load(&mut self, order: &Order, interrupt: &Interrupt) -> Result<Outcome, Failure> {
        self.0.ask(order, order.duration + 2 * SOCKET_PATIENCE, interrupt)
    }
}

/// Plays the clients' part.
pub fn run() -> Result<(), Failure> {
    let Some(setup) = child::receive::<Setup>()? else { return Ok(()) };
    let config = config(&setup.root);
    child::answer(&config.as_ref().map(drop).map_err(ToString::to_string))?;
    let Ok(config) = config.map(Arc::new) else { return Ok(()) };
    while let Some(order) = child::receive::<Order>()? {
        child::answer(&Ok(load(&order, &config, setup.connections)))?;
    }
    Ok(())
}

pub(super) fn config(root: &str) -> Result<ClientConfig, rustls::Error> {
    let general = |error| rustls::Error::General(format!("PEM: {error}"));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).map_err(general)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

pub(super) fn load(order: &Order, config: &Arc<ClientConfig>, connections: usize) -> Outcome {
    let (schedule, cpu) = (Schedule::start(order), processor_time());
    let outcome = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| scope.spawn(|| shake_hands_repeatedly(order.address, config, &schedule)))
            .collect();
        // A thread that panicked has said so on stderr, and its handshakes are missing.
        threads.into_iter().filter_map(|thread| thread.join().ok()).fold(Outcome::default(), Outcome::merge)
    });
    Outcome { elapsed: schedule.start.elapsed(), cpu: processor_time().saturating_sub(cpu), ..outcome }
}

fn shake_hands_repeatedly(address: SocketAddr, config: &Arc<ClientConfig>, schedule: &Schedule) -> Outcome {
    let mut outcome = Outcome::default();
    while let Some(start) = schedule.next() {
        match shake_hands(address, config) {
            Ok(end) => {
                outcome.verified += 1;
                outcome.latencies.record(end - start);
            }
            Err(error) => {
                outcome.failed += 1;
                outcome.failure = Some(error.to_string());
                break;
            }
        }
    }
    outcome
}

/// One full handshake: when it was done on this side. The server's consent is awaited too.
fn shake_hands(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Instant> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(SOCKET_PATIENCE))?;
    socket.set_write_timeout(Some(SOCKET_PATIENCE))?;
    // Closing resets the connection: thousands of ports a second would else wait out TIME_WAIT.
    set_socket_linger(&socket, Some(Duration::ZERO))?;
    let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
    let mut tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    tls.complete_io(&mut socket)?;
    let done = Instant::now();
    while !tls.process_new_packets().map_err(io::Error::other)?.peer_has_closed() {
        if tls.read_tls(&mut socket)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(done)
}

/// When handshakes start.
#[derive(Debug)]
struct Schedule {
    start: Instant,
    duration: Duration,
    interval: Option<Duration>,
    next: AtomicU32,
}

impl Schedule {
    fn start(order: &Order) -> Self {
        let Order { duration, interval, .. } = *order;
        Self { start: Instant::now(), duration, interval, next: AtomicU32::new(0) }
    }

    /// Waits for the next start; none when the stretch is over.
    fn next(&self) -> Option<Instant> {
        let intended = match self.interval {
            None => Instant::now(),
            Some(interval) => self.start + interval.saturating_mul(self.next.fetch_add(1, Ordering::Relaxed)),
        };
        let within = intended.saturating_duration_since(self.start) < self.duration;
        within.then(|| {
            thread::sleep(intended.saturating_duration_since(Instant::now()));
            intended
        })
    }
}

/// Processor time of this process, also of its threads that ended.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn schedule(interval: Option<Duration>) -> Schedule {
        let address = (Ipv4Addr::LOCALHOST, 1).into();
        Schedule::start(&Order { address, duration: Duration::from_millis(20), interval })
    }

    #[test]
    fn an_open_loop_starts_what_was_intended_however_late() {
        let interval = Duration::from_millis(5);
        let schedule = schedule(Some(interval));
        // Nobody was there when the first three were due.
        thread::sleep(3 * interval);
        let starts: Vec<_> = std::iter::from_fn(|| schedule.next()).map(|at| at - schedule.start).collect();
        assert_eq!(starts, [0, 1, 2, 3].map(|index| interval * index));
    }

    #[test]
    fn a_closed_loop_ends_with_its_time() {
        let schedule = schedule(None);
        assert!(schedule.next().is_some());
        thread::sleep(schedule.duration);
        assert!(schedule.next().is_none());
    }
}
