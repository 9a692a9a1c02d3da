//! Serves a router over TLS, HTTP/1.1 and HTTP/2, within limits, until it is told to stop.

mod lingering;

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use rustls::{ServerConfig, server::ResolvesServerCert};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

/// Open connections; more wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 4_096;
/// Requests at once on one HTTP/2 connection; the API server shares few connections among all its calls.
const MAX_STREAMS: u32 = 1_024;
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// For the TLS handshake, and for the headers of an HTTP/1.1 request.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// HTTP/2 peers that do not answer a ping for this long are gone.
const KEEP_ALIVE: Duration = Duration::from_mins(1);
/// For requests under way when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// TLS for a server whose certificate `resolver` picks at each handshake.
///
/// # Panics
/// Never: ring supports the protocol versions that rustls enables.
#[must_use]
pub fn tls(resolver: Arc<dyn ResolvesServerCert>, protocols: &[&[u8]]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions");
    let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Serves `router` on `listener` until `stop`, then lets requests under way end.
pub async fn serve(listener: TcpListener, tls: TlsAcceptor, router: Router, stop: CancellationToken) {
    let (graceful, connections) = (GracefulShutdown::new(), TaskTracker::new());
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Some((stream, slot)) = accept(&listener, &slots, &stop).await {
        let (tls, router, watcher) = (tls.clone(), router.clone(), graceful.watcher());
        connections.spawn(async move {
            let _slot = slot;
            let lingering = lingering::keep(&stream);
            let Some(stream) = handshake(&tls, stream).await else { return };
            let (builder, service) = (builder(&stream), TowerToHyperService::new(router));
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            if let Err(error) = watcher.watch(connection).await {
                debug!(%error, "connection ended");
            }
            lingering::close(lingering).await;
        });
    }
    drop(listener);
    connections.close();
    let ended = async { tokio::join!(graceful.shutdown(), connections.wait()) };
    if timeout(DRAIN, ended).await.is_err() {
        debug!("requests were still under way when the server stopped");
    }
}

type Accepted = (TcpStream, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is room for one; `None` when it is time to stop.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<Accepted> {
    let next = async {
        let slot = Arc::clone(slots).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, slot)),
                Err(error) => {
                    // Out of file descriptors, for one: some will come back.
                    debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    };
    tokio::select! {
        // Who is connected already is served, also when it is time to stop.
        biased;
        accepted = next => accepted,
        () = stop.cancelled() => None,
    }
}

async fn handshake(tls: &TlsAcceptor, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    // An answer in two writes would wait 40 ms for the peer's delayed acknowledgement.
    stream.set_nodelay(true).ok()?;
    match timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            debug!(%error, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

/// For the protocol that was agreed on: one that looks for itself would drop, when it is to stop, whose first bytes are
/// still on their way.
fn builder(stream: &TlsStream<TcpStream>) -> auto::Builder<TokioExecutor> {
    let builder = auto::Builder::new(TokioExecutor::new());
    let is_http_2 = stream.get_ref().1.alpn_protocol() == Some(b"h2".as_slice());
    let mut builder = if is_http_2 { builder.http2_only() } else { builder.http1_only() };
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

#[cfg(test)]
mod tests;
