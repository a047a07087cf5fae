//! An HTTPS server that answers `/` and, if `--key` is a key reference, holds no private key.
//!
//! Adoption is one added line, marked below, and one changed file: `key.pem` becomes what `keylane key reference`
//! writes. All else is axum and axum-server as their documentation shows them.
//!
//! ```text
//! cargo run -p keylane-rustls --example https -- --cert cert.pem --key key.pem --listen 127.0.0.1:0
//! ```

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use axum::Router;
use axum::routing::get;
use axum_server::tls_rustls::{RustlsConfig, from_tcp_rustls};
use clap::Parser;

#[derive(Parser)]
struct Arguments {
    /// Certificate chain, PEM.
    #[arg(long)]
    cert: PathBuf,
    /// Private key or key reference, PEM.
    #[arg(long)]
    key: PathBuf,
    /// Address to listen at; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    keylane_rustls::install()?; // The added line.

    let arguments = Arguments::parse();
    let config = RustlsConfig::from_pem_file(&arguments.cert, &arguments.key).await?;
    let listener = TcpListener::bind(arguments.listen)?;
    listener.set_nonblocking(true)?;
    println!("listening {}", listener.local_addr()?);

    let app = Router::new().route("/", get(|| async { "hello\n" }));
    from_tcp_rustls(listener, config)?.serve(app.into_make_service()).await?;
    Ok(())
}
