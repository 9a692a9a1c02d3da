//! HTTP/1.1 over connections that are kept while the app keeps them.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    net::SocketAddr,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::ground::outcome::Failure;

/// Most bytes of a body that are read; the connection of a longer one is closed.
const MAX_BODY: usize = 1 << 20;

/// For heads and for what is read at once: with 64 connections, 1 MiB of the container's limit.
const MAX_BUFFER: usize = 16 << 10;

/// Connections to one address.
#[derive(Debug)]
pub(super) struct Pool {
    address: SocketAddr,
    /// The longest idle one is used first: as many workers of the app as possible see requests.
    idle: RefCell<VecDeque<Connection>>,
    opened: Cell<u32>,
}

type Connection = SendRequest<Full<Bytes>>;

impl Pool {
    pub(super) fn to(address: SocketAddr) -> Self {
        Self { address, idle: RefCell::default(), opened: Cell::default() }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn opened(&self) -> u32 {
        self.opened.get()
    }

    /// Sends `request`, reads the body away and gives the status.
    ///
    /// A kept connection may have been closed by the app just now; a request that it lost before the response began goes
    /// out again on a fresh one.
    pub(super) async fn exchange(&self, request: Request<Bytes>) -> Result<u16, Failure> {
        let request = request.map(Full::new);
        if let Some(mut connection) = self.idle() {
            match send(&mut connection, request.clone()).await {
                Err(error) if is_before_response(&error) => {}
                sent => return self.finish(connection, sent.map_err(|error| failure(&error))?).await,
            }
        }
        let mut connection = self.open().await?;
        let response = send(&mut connection, request).await.map_err(|error| failure(&error))?;
        self.finish(connection, response).await
    }

    fn idle(&self) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|connection| !connection.is_closed());
        idle.pop_front()
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let to_connect = |error| Failure::to_connect(&error);
        let stream = TcpStream::connect(self.address).await.map_err(to_connect)?;
        stream.set_nodelay(true).map_err(to_connect)?;
        let mut builder = Builder::new();
        builder.max_buf_size(MAX_BUFFER);
        let (sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|error| failure(&error))?;
        // Ends by itself once the sender and the response are dropped.
        tokio::spawn(connection);
        self.opened.set(self.opened.get() + 1);
        Ok(sender)
    }

    /// Reads the body away and keeps the connection, unless the body is too long.
    async fn finish(&self, connection: Connection, response: Response<Incoming>) -> Result<u16, Failure> {
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame.map_err(|error| failure(&error))?.data_ref().map_or(0, Bytes::len);
            if length > MAX_BODY {
                return Ok(status);
            }
        }
        self.idle.borrow_mut().push_back(connection);
        Ok(status)
    }
}

async fn send(
    connection: &mut Connection,
    request: Request<Full<Bytes>>,
) -> hyper::Result<Response<Incoming>> {
    connection.ready().await?;
    connection.send_request(request).await
}

fn is_before_response(error: &hyper::Error) -> bool {
    !error.is_parse() && !error.is_user()
}

fn failure(error: &hyper::Error) -> Failure {
    if error.is_parse() { Failure::Malformed } else { Failure::Closed }
}
