//! The users' connections to the shop.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::{Origin, PagePath};

/// Kept alive when nobody uses them, as by a few browsers.
const IDLE: usize = 8;
/// Open at once; more users wait, and their latency shows it.
const OPEN: usize = 512;

/// Why a user got no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum VisitError {
    #[error("cannot connect")]
    Connect(#[from] std::io::Error),
    #[error("the request failed")]
    Request(#[from] hyper::Error),
    #[error("the request cannot be built")]
    Build(#[from] http::Error),
    #[error("the connections are closed")]
    Closed(#[from] tokio::sync::AcquireError),
}

type Connection = SendRequest<Empty<Bytes>>;

/// Connections to one address: an idle one is taken first, else one is opened.
pub(super) struct Connections {
    address: Option<SocketAddr>,
    host: String,
    idle: Mutex<Vec<Connection>>,
    open: Semaphore,
}

impl Connections {
    /// Connections to the peer of `first`, which serves the first user.
    pub(super) async fn new(origin: &Origin, first: TcpStream) -> Self {
        let address = first.peer_addr().ok();
        let idle = Mutex::new(handshake(first).await.into_iter().collect());
        Self { address, host: origin.authority(), idle, open: Semaphore::new(OPEN) }
    }

    /// Gets a page, its body to the end.
    pub(super) async fn get(&self, path: &PagePath) -> Result<StatusCode, VisitError> {
        let _slot = self.open.acquire().await?;
        let mut connection = self.connection().await?;
        let request = Request::get(path.as_str())
            .header(HOST, &self.host)
            .header(USER_AGENT, "kube-booster-demo-users")
            .body(Empty::new())?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        self.keep(connection);
        Ok(status)
    }

    async fn connection(&self) -> Result<Connection, VisitError> {
        if let Some(idle) = self.idle() {
            return Ok(idle);
        }
        let address = self.address.ok_or(std::io::ErrorKind::NotConnected).map_err(std::io::Error::from)?;
        Ok(handshake(TcpStream::connect(address).await?).await?)
    }

    fn idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        iter_pop(&mut idle).find(Connection::is_ready)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
    }
}

fn iter_pop(idle: &mut Vec<Connection>) -> impl Iterator<Item = Connection> {
    std::iter::from_fn(|| idle.pop())
}

async fn handshake(stream: TcpStream) -> Result<Connection, hyper::Error> {
    // Best effort: without it, small requests are late, and nothing worse.
    let _ = stream.set_nodelay(true);
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its error reaches the user who waits on it.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}
