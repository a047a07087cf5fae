//! TLS as users see it: curl, openssl and rustls against the example server, whose keys are in a real engine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Barrier};
use std::thread;

use keylane_api::{Algorithm, Retry, Status};
use keylane_tests::engine::{Engine, SLOT, path};
use keylane_tests::keys::{self, Authority};
use keylane_tests::process::{Guarded, built, run};
use keylane_tests::signing::{tls13, transcript};
use keylane_tests::{Options, Token};
use rustls::SignatureScheme;
use rustls::sign::SigningKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

/// What the example server answers.
const BODY: &str = "hello\n";
const VERSIONS: [&str; 2] = ["1.2", "1.3"];

/// A site: its key in the engine, its certificate and its reference in files.
struct Site {
    certificate: PathBuf,
    reference: PathBuf,
    authority: PathBuf,
}

impl Site {
    /// Imports a fresh key under its algorithm's name, and has it certified; once for each token.
    fn new(token: &Token, engine: &Engine<'_>, algorithm: Algorithm) -> Self {
        let label = algorithm.name();
        let pem = keys::pem(label);
        let file = |name: &str| token.directory().join(format!("{label}-{name}.pem"));
        keys::write_secret(&file("private"), &pem);
        engine.keylane(&["key", "import", "--slot", SLOT, "--label", label, path(&file("private"))]);
        std::fs::remove_file(file("private")).unwrap();
        let reference = file("reference");
        engine.keylane(&["key", "reference", "--slot", SLOT, label, "-o", path(&reference)]);
        let authority = Authority::new();
        let write = |name, text: &str| keys::write(token.directory(), &format!("{label}-{name}.pem"), text);
        let certificate = write("certificate", &authority.certify(&keys::public(&pem)));
        Self { certificate, reference, authority: write("authority", &authority.pem()) }
    }

    fn key(&self, token: &Token) -> Arc<dyn SigningKey> {
        let key = PrivateKeyDer::from_pem_file(&self.reference).unwrap();
        let provider = keylane_rustls::builder().socket(token.socket()).provider();
        provider.key_provider.load_private_key(key).unwrap()
    }
}

/// The example server.
struct Server {
    process: Guarded,
    address: SocketAddr,
}

impl Server {
    fn command(token: &Token, certificate: &Path, key: &Path) -> Command {
        let mut command = Command::new(built("examples/https"));
        command.args(["--listen", "127.0.0.1:0", "--cert", path(certificate), "--key", path(key)]);
        command.env("KEYLANE_SOCKET", token.socket()).stdin(Stdio::null());
        command
    }

    fn start(token: &Token, site: &Site) -> Self {
        let mut command = Self::command(token, &site.certificate, &site.reference);
        let mut process = Guarded::spawn(command.stdout(Stdio::piped()));
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening ").unwrap().parse().unwrap();
        Self { process, address }
    }

    /// One request by curl, which verifies the certificate.
    fn curl(&self, site: &Site, version: &str) -> Command {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "30", "--cacert", path(&site.authority)]);
        command.arg(format!("--tlsv{version}")).args(["--tls-max", version]);
        command.arg(format!("https://{}/", self.address)).stdin(Stdio::null());
        command
    }

    /// One handshake by `openssl s_client`, which verifies the certificate, with more arguments.
    fn openssl(&self, site: &Site, version: &str, more: &[&str]) -> Output {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &self.address.to_string(), "-CAfile", path(&site.authority)]);
        command.args(["-verify_return_error", "-verify_hostname", "localhost", "-servername", "localhost"]);
        command.arg(format!("-tls{}", version.replace('.', "_"))).args(more);
        run(&mut command)
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The engine's typed answer inside an error of rustls.
fn cause(error: &rustls::Error) -> &keylane_api::Error {
    let rustls::Error::Other(other) = error else { panic!("{error:?}") };
    other.0.downcast_ref().unwrap()
}

#[test]
fn curl_and_openssl_shake_hands_with_every_kind_of_key() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    for algorithm in Algorithm::ALL {
        let site = Site::new(&token, &engine, algorithm);
        let server = Server::start(&token, &site);
        for version in VERSIONS {
            assert_eq!(stdout(&run(&mut server.curl(&site, version))), BODY, "{algorithm:?}, TLS {version}");
            let session = stdout(&server.openssl(&site, version, &[]));
            assert!(session.contains(&format!("New, TLSv{version}")), "{algorithm:?}: {session}");
            assert!(session.contains("Verification: OK"), "{algorithm:?}, TLS {version}: {session}");
        }
    }
}

#[test]
fn every_rsa_scheme_is_signed() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    let pkcs1 = [("RSA+SHA256", "SHA256"), ("RSA+SHA384", "SHA384"), ("RSA+SHA512", "SHA512")];
    let pss = [
        ("rsa_pss_rsae_sha256", "SHA256"),
        ("rsa_pss_rsae_sha384", "SHA384"),
        ("rsa_pss_rsae_sha512", "SHA512"),
    ];
    let site = Site::new(&token, &engine, Algorithm::Rsa2048);
    let server = Server::start(&token, &site);
    for (version, kind, schemes) in [("1.2", "RSA", pkcs1), ("1.2", "RSA-PSS", pss), ("1.3", "RSA-PSS", pss)]
    {
        for (scheme, digest) in schemes {
            let session = stdout(&server.openssl(&site, version, &["-sigalgs", scheme]));
            for line in [format!("Peer signature type: {kind}\n"), format!("Peer signing digest: {digest}\n")]
            {
                assert!(session.contains(&line), "{scheme}, TLS {version}: {session}");
            }
        }
    }
}

#[test]
fn every_group_of_tls_1_2_is_signed() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    // RSA: with an ECDSA certificate OpenSSL's client wants its curve among the groups too.
    let site = Site::new(&token, &engine, Algorithm::Rsa2048);
    let server = Server::start(&token, &site);
    for (group, shown) in [("P-256", "ECDH, prime256v1"), ("P-384", "ECDH, secp384r1"), ("X25519", "X25519")]
    {
        let session = stdout(&server.openssl(&site, "1.2", &["-groups", group]));
        assert!(session.contains(&format!("Server Temp Key: {shown}")), "{group}: {session}");
    }
}

#[test]
fn a_server_is_started_before_its_engine_and_outlives_it() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    let site = Site::new(&token, &engine, Algorithm::P256);
    engine.terminate();

    let mut server = Server::start(&token, &site);
    let engine = token.serve(&Options::default());
    assert_eq!(stdout(&run(&mut server.curl(&site, "1.3"))), BODY, "started before its engine");
    engine.kill();

    // Its engine comes back while a handshake waits.
    let waiting = server.curl(&site, "1.3").stdout(Stdio::piped()).spawn().unwrap();
    let engine = token.serve(&Options::default());
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(stdout(&output), BODY, "curl ended with {}", output.status);
    engine.kill();

    let alone = server.curl(&site, "1.3").output().unwrap();
    assert!(!alone.status.success(), "no engine, no signature");
    let _engine = token.serve(&Options::default());
    assert_eq!(stdout(&run(&mut server.curl(&site, "1.3"))), BODY, "the server was never touched");
    assert!(server.process.0.try_wait().unwrap().is_none());
}

#[test]
fn a_certificate_of_another_key_is_refused_at_start() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    let site = Site::new(&token, &engine, Algorithm::P256);
    let other = Site::new(&token, &engine, Algorithm::P384);
    let output = Server::command(&token, &site.certificate, &other.reference).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("KeyMismatch"), "{said}");
}

#[test]
fn a_key_that_was_replaced_under_its_name_signs_nothing() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    let site = Site::new(&token, &engine, Algorithm::P256);
    let label = Algorithm::P256.name();
    engine.keylane(&["key", "delete", "--slot", SLOT, label]);
    engine.keylane(&["key", "generate", "--slot", SLOT, "--label", label, "--algorithm", label]);
    let signer = site.key(&token).choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
    let error = signer.sign(&tls13(&transcript(0, 0))).unwrap_err();
    assert!(matches!(cause(&error), keylane_api::Error::KeyMismatch { .. }), "{error}");
}

#[test]
fn only_a_server_signs_with_a_default_key() {
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    let site = Site::new(&token, &engine, Algorithm::P256);
    let signer = site.key(&token).choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
    let server = tls13(&transcript(0, 0));
    assert!(signer.sign(&server).is_ok());
    let client = String::from_utf8_lossy(&server).replace("server", "client").into_bytes();
    for message in [client.as_slice(), b"a document", &[], &server[1..]] {
        let error = signer.sign(message).unwrap_err();
        let cause = cause(&error);
        let refused =
            matches!(cause, keylane_api::Error::Refused { status: Status::NotTlsServerMessage, .. });
        assert!(refused && cause.retry() == Retry::Never, "{cause}");
    }
}

/// tokio blocks up to 512 threads in place, and each of them may sign.
#[test]
fn as_many_threads_sign_at_once_as_tokio_blocks() {
    const THREADS: usize = 512;
    let token = Token::new();
    let engine = token.serve_granted(&Options::default());
    let site = Site::new(&token, &engine, Algorithm::P256);
    let key = site.key(&token);
    let ready = Barrier::new(THREADS);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let signer = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
            let ready = &ready;
            scope.spawn(move || {
                ready.wait();
                for count in 0..4 {
                    signer.sign(&tls13(&transcript(number as u64, count))).unwrap();
                }
                // Nobody's channel goes before all had theirs.
                ready.wait();
            });
        }
    });
}
