//! The server process: a thread per connection slot, each of which accepts, shakes hands, says goodbye and starts over.
//!
//! Threads that block are what most servers do inside `sign()`; it is also how their requests meet in the engine.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::thread;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, ServerConnection};
use serde::{Deserialize, Serialize};

use super::{KeyPlace, SOCKET_PATIENCE};
use crate::child::{self, Child, PATIENCE, Role};
use crate::failure::Failure;
use crate::interrupt::Interrupt;

/// What a server process needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Where the key is.
    pub place: KeyPlace,
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, or the reference to it, PEM.
    pub key: String,
    /// Connections at once.
    pub threads: usize,
}

/// What may be asked of a running server.
#[derive(Debug, Serialize, Deserialize)]
enum Question {
    /// The first handshake that failed, if any did.
    FirstFailure,
}

/// A running server process.
#[derive(Debug)]
pub struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a server.
    pub fn start(
        setup: &Setup,
        environment: &[(&str, &std::path::Path)],
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let mut process = Child::start(Role::Server, environment)?;
        let address = process.ask(setup, PATIENCE, interrupt)?;
        Ok(Self { process, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What went wrong first in its handshakes.
    pub fn first_failure(&mut self, interrupt: &Interrupt) -> Result<Option<String>, Failure> {
        self.process.ask(&Question::FirstFailure, PATIENCE, interrupt)
    }
}

/// Plays the server's part.
pub fn run() -> Result<(), Failure> {
    let Some(setup) = child::receive::<Setup>()? else { return Ok(()) };
    let failure = Arc::new(OnceLock::new());
    child::answer(&listen(&setup, &failure))?;
    while let Some(Question::FirstFailure) = child::receive()? {
        child::answer(&Ok(failure.get()))?;
    }
    Ok(())
}

pub(super) fn listen(setup: &Setup, failure: &Arc<OnceLock<String>>) -> Result<SocketAddr, String> {
    let config = Arc::new(config(setup).map_err(|error| error.to_string())?);
    let start = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        for _ in 0..setup.threads {
            let (listener, config, failure) =
                (listener.try_clone()?, Arc::clone(&config), Arc::clone(failure));
            thread::Builder::new().spawn(move || serve(&listener, &config, &failure))?;
        }
        listener.local_addr()
    };
    start().map_err(|error: io::Error| format!("cannot listen on loopback: {error}"))
}

fn config(setup: &Setup) -> Result<ServerConfig, rustls::Error> {
    let general = |error| rustls::Error::General(format!("PEM: {error}"));
    let certificate = CertificateDer::from_pem_slice(setup.certificate.as_bytes()).map_err(general)?;
    let key = PrivateKeyDer::from_pem_slice(setup.key.as_bytes()).map_err(general)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider(setup.place)))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn provider(place: KeyPlace) -> CryptoProvider {
    match place {
        KeyPlace::InProcess => rustls::crypto::aws_lc_rs::default_provider(),
        KeyPlace::Keylane => keylane_rustls::provider(),
    }
}

fn serve(listener: &TcpListener, config: &Arc<ServerConfig>, failure: &OnceLock<String>) {
    loop {
        let served = listener.accept().and_then(|(socket, _)| shake_hands(socket, config));
        if let Err(error) = served {
            let _ = failure.set(error.to_string());
        }
    }
}

/// One full handshake, and the `close_notify` that tells the client that it was accepted.
fn shake_hands(mut socket: TcpStream, config: &Arc<ServerConfig>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(SOCKET_PATIENCE))?;
    socket.set_write_timeout(Some(SOCKET_PATIENCE))?;
    let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    let shaken = tls.complete_io(&mut socket);
    tls.send_close_notify();
    // After a failure this carries the alert.
    while tls.wants_write() {
        tls.write_tls(&mut socket)?;
    }
    socket.flush()?;
    shaken.map(drop)
}
