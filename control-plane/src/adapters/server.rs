//! Serves a router, over TLS or in clear text, within limits, until it is told to stop.

mod connection;
mod crowd;
mod frames;
mod lingering;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::Router;
pub use crowd::Limits;
use rustls::{
    ServerConfig,
    server::{ResolvesServerCert, danger::ClientCertVerifier},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use self::{connection::DRAIN, crowd::Crowd};
use super::metrics::Metrics;

const IDLE: Duration = Duration::from_mins(3);
const FIRST_REQUEST: Duration = Duration::from_secs(10);
const AGE: Duration = Duration::from_mins(30);

/// Of the webhook: an API server needs some hundred with HTTP/1.1, some of which it dials in advance.
pub const WEBHOOK: Limits = Limits {
    connections: 512,
    handshakes: 128,
    queues: false,
    window: 256 << 10,
    first_request: IDLE,
    idle: IDLE,
    age: AGE,
};
/// Of the report server: a sidecar connects while it waits for its app. A connection takes some 60 KiB, a report that
/// nobody has read below 2 KiB, and the smallest window of a connection is that of HTTP/2 itself.
pub const REPORTS: Limits = Limits {
    connections: 1_024,
    handshakes: 256,
    queues: true,
    window: 65_535,
    first_request: IDLE,
    idle: IDLE,
    age: AGE,
};
/// Of the ports for operators: the kubelet's probes, and scrapes.
pub const ADMIN: Limits = Limits {
    connections: 128,
    handshakes: 128,
    queues: false,
    window: 65_535,
    first_request: FIRST_REQUEST,
    idle: IDLE,
    age: AGE,
};

/// What a server asks of those who come in.
pub struct Door {
    /// The server's name in metrics.
    pub name: &'static str,
    /// How many may be in.
    pub limits: Limits,
    /// TLS as it is now; without it, clear text.
    pub tls: Option<watch::Receiver<TlsAcceptor>>,
    /// Where refusals are counted.
    pub metrics: Metrics,
    /// Cancelled when clients are to go elsewhere, some time before the server stops.
    pub leaving: CancellationToken,
}

/// TLS for a server whose certificate `resolver` picks at each handshake, for clients that `clients` verifies, or for
/// anybody.
///
/// # Panics
/// Never: ring supports the protocol versions that rustls enables.
#[must_use]
pub fn tls(
    resolver: Arc<dyn ResolvesServerCert>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    protocols: &[&[u8]],
) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions");
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Serves `router` on `listener` until `stop`, then lets requests under way end.
pub async fn serve(listener: TcpListener, door: Door, router: Router, stop: CancellationToken) {
    let (crowd, tasks) = (Crowd::new(door.limits), TaskTracker::new());
    let door = Arc::new(door);
    loop {
        let (stream, peer) = tokio::select! {
            // Who is connected already is served, also when it is time to stop.
            biased;
            accepted = accept(&listener, &crowd) => accepted,
            () = stop.cancelled() => break,
        };
        match crowd.enter(peer) {
            Some(presence) => {
                let (door, router, stop) = (Arc::clone(&door), router.clone(), stop.clone());
                tasks.spawn(connection::serve(stream, presence, door, router, stop));
            }
            None => door.metrics.connection_closed(door.name, "full"),
        }
    }
    drop(listener);
    tasks.close();
    if timeout(DRAIN, tasks.wait()).await.is_err() {
        debug!("requests were still under way when the server stopped");
    }
}

async fn accept(listener: &TcpListener, crowd: &Crowd) -> (TcpStream, IpAddr) {
    crowd.room().await;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip()),
            Err(error) => {
                // Out of file descriptors, for one: some will come back.
                debug!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
