//! The one line that a server adds, with a server that never heard of it.

mod common;

use axum_server::tls_rustls::RustlsConfig;
use common::Identity;
use keylane_api::Algorithm;

#[tokio::test]
async fn axum_server_takes_a_reference_for_a_key() {
    keylane_rustls::install().unwrap();
    assert!(keylane_rustls::install().is_err(), "a second provider is refused, not ignored");

    let (site, other) = (Identity::new(Algorithm::Rsa2048), Identity::new(Algorithm::Rsa2048));
    let certificate = site.certificate.pem().into_bytes();
    RustlsConfig::from_pem(certificate.clone(), site.reference().into_bytes()).await.unwrap();
    let mismatch = RustlsConfig::from_pem(certificate, other.reference().into_bytes()).await.unwrap_err();
    assert!(mismatch.to_string().contains("KeyMismatch"), "{mismatch}");
}
