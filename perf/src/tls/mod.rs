//! Full TLS 1.3 handshakes over loopback: a server process, and a process of clients which verify everything.
//!
//! Nothing is shared between two handshakes: no ticket is sent, none is kept. Key exchange and cipher suite are what
//! rustls prefers by default, on both sides alike.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub mod clients;
pub mod pki;
pub mod server;

/// The name in the server's certificate.
const SERVER_NAME: &str = "demo.keylane.example";
/// Longest wait of either side for the other's next octets: far above what any machine needs.
const SOCKET_PATIENCE: Duration = Duration::from_secs(10);

/// The key exchange of every handshake.
pub fn key_exchange() -> String {
    let preferred = rustls::crypto::aws_lc_rs::default_provider().kx_groups.into_iter().next();
    preferred.map_or_else(String::new, |group| format!("{:?}", group.name()))
}

/// Where a server's private key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyPlace {
    /// In the server's memory, used through aws-lc-rs.
    InProcess,
    /// In the engine; the server has a key reference.
    Keylane,
}

impl KeyPlace {
    /// As reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InProcess => "in_process",
            Self::Keylane => "keylane",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::{Arc, OnceLock};

    use keylane_api::Algorithm;

    use super::clients::Order;
    use super::pki::Authority;
    use super::*;

    fn server(authority: &Authority, algorithm: Algorithm) -> (SocketAddr, Arc<OnceLock<String>>) {
        let identity = authority.issue(algorithm).unwrap();
        let (certificate, key) = (identity.certificate.clone(), identity.key());
        let setup = server::Setup { place: KeyPlace::InProcess, certificate, key, threads: 2 };
        let failure = Arc::default();
        (server::listen(&setup, &failure).unwrap(), failure)
    }

    fn load(authority: &Authority, address: SocketAddr, interval: Option<Duration>) -> clients::Outcome {
        let config = Arc::new(clients::config(authority.root()).unwrap());
        clients::load(&Order { address, duration: Duration::from_millis(100), interval }, &config, 4)
    }

    #[test]
    fn every_key_serves_handshakes_that_verify() {
        let authority = Authority::new().unwrap();
        for algorithm in [Algorithm::Rsa2048, Algorithm::P256, Algorithm::P384, Algorithm::Ed25519] {
            let (address, failure) = server(&authority, algorithm);
            let outcome = load(&authority, address, None);
            assert!(outcome.verified > 0 && outcome.failed == 0, "{algorithm:?}: {outcome:?}");
            assert_eq!(failure.get(), None);
            assert!(outcome.latencies.quantile_us(0.0).unwrap() > 0.0);
        }
    }

    #[test]
    fn the_pace_decides_how_many_handshakes_there_are() {
        let authority = Authority::new().unwrap();
        let (address, _) = server(&authority, Algorithm::P256);
        assert_eq!(load(&authority, address, Some(Duration::from_millis(20))).verified, 5);
    }

    #[test]
    fn a_certificate_of_a_stranger_does_not_verify() {
        let (address, failure) = server(&Authority::new().unwrap(), Algorithm::P256);
        let outcome = load(&Authority::new().unwrap(), address, None);
        assert_eq!((outcome.verified, outcome.failed), (0, 4), "every client stops at its first failure");
        assert!(outcome.failure.unwrap().contains("certificate"));
        // The server hears of it by the client's alert, at its own time.
        while failure.get().is_none() {
            std::thread::yield_now();
        }
    }
}
