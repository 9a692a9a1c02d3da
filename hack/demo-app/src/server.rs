//! The shop on a port.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::catalogue;
use crate::curve::Curve;
use crate::front::Front;
use crate::workers::Workers;

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 4_096;
/// A connection that sends no request for so long is closed.
const IDLE: Duration = Duration::from_mins(1);
/// Accepting failed, most likely for want of file descriptors: some will be free after this time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The server's flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Port to listen on, 0 for any free one
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Threads that answer requests, each with caches of its own
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub workers: u8,
    /// Size of the catalogue: the more products, the colder the start
    #[arg(long, default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub products: u32,
}

/// Why the shop cannot open.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The port is taken, or not allowed.
    #[error("cannot listen on port {port}")]
    Listen {
        /// The port in question.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// Threads are refused.
    #[error("cannot start the workers")]
    Workers(#[source] io::Error),
}

impl Args {
    /// Starts the workers, all cold, and listens: from here on connections are accepted.
    pub async fn bind(&self) -> Result<Bound, ServerError> {
        let source = catalogue::generate(self.products).into();
        let workers = Workers::start(self.workers.into(), &source).map_err(ServerError::Workers)?;
        // The first serves IPv4 as well; the second is for machines without IPv6.
        let addresses: [SocketAddr; 2] =
            [(Ipv6Addr::UNSPECIFIED, self.port).into(), (Ipv4Addr::UNSPECIFIED, self.port).into()];
        let listener = TcpListener::bind(&addresses[..])
            .await
            .map_err(|source| ServerError::Listen { port: self.port, source })?;
        Ok(Bound { listener, front: Arc::new(Front::new(workers)) })
    }
}

/// A shop with its door open.
pub struct Bound {
    listener: TcpListener,
    front: Arc<Front>,
}

impl Bound {
    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then leaves open requests unanswered and gives the curve of all before.
    pub async fn serve_until(self, stop: impl Future<Output = ()>) -> Curve {
        tokio::select! {
            () = accept(&self.listener, &self.front) => (),
            () = stop => (),
        }
        self.front.curve().clone()
    }
}

async fn accept(listener: &TcpListener, front: &Arc<Front>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let front = Arc::clone(front);
                tokio::spawn(async move {
                    serve(stream, front).await;
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, front: Arc<Front>) {
    // Best effort: without it, small answers are late, and nothing worse.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| {
        let front = Arc::clone(&front);
        async move { Ok::<_, std::convert::Infallible>(front.answer(request).await) }
    });
    // An error here is a client that went away or does not speak HTTP: nobody is left to be told.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
