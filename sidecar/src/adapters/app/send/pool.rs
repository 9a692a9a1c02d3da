//! Connections of one kind, kept while the app keeps them.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    net::SocketAddr,
};

use bytes::Bytes;
use http::{Method, Request, Response, uri::Scheme};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::Notify;

use super::super::{
    connection::{Connection, failure, is_untouched},
    dial::{self, Versions},
    response::Received,
};
use crate::ground::outcome::Failure;

/// What a connection runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// HTTP/1.1 in clear text.
    Clear,
    /// HTTP/2 in clear text.
    ClearHttp2,
    /// TLS, and the version of HTTP that the app prefers.
    Tls,
    /// HTTP/2 over TLS.
    TlsHttp2,
}

/// Connections to one address.
#[derive(Debug)]
pub(super) struct Pool {
    address: SocketAddr,
    transport: Transport,
    /// So many are opened before any takes a second request, and kept open.
    least: usize,
    /// The longest idle one is used first: as many workers of the app as possible see requests.
    idle: RefCell<VecDeque<Connection>>,
    /// Those that take many requests at once, in turn.
    shared: RefCell<VecDeque<Connection>>,
    /// Those that are being opened, or used by one request alone.
    taken: Cell<usize>,
    /// Wakes requests that wait for one that is being opened.
    freed: Notify,
    opened: Cell<u32>,
}

/// A connection that is used by one request alone, or is being opened.
struct Place<'a>(&'a Pool);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken.update(|taken| taken - 1);
        self.0.freed.notify_waiters();
    }
}

/// A connection for one request, with its place unless others use it as well.
type Lease<'a> = (Connection, Option<Place<'a>>);

impl Pool {
    pub(super) fn to(address: SocketAddr, transport: Transport, least: usize) -> Self {
        Self {
            address,
            transport,
            least,
            idle: RefCell::default(),
            shared: RefCell::default(),
            taken: Cell::default(),
            freed: Notify::new(),
            opened: Cell::default(),
        }
    }

    pub(super) fn opened(&self) -> u32 {
        self.opened.get()
    }

    /// Sends `request` and reads the body away.
    ///
    /// A kept connection may have been closed by the app just now; a request that it lost before the response began goes
    /// out again on a fresh one, unless the app may have acted on it and would act twice.
    pub(super) async fn exchange(&self, request: Request<Bytes>) -> Result<Received, Failure> {
        let request = request.map(Full::new);
        if let Some((mut connection, place)) = self.kept().await {
            match connection.send(request.clone()).await {
                Err(error) if may_go_again(request.method(), &error) => {}
                sent => {
                    return self.finish((connection, place), sent.map_err(|error| failure(&error))?).await;
                }
            }
        }
        let (mut connection, place) = self.open().await?;
        let response = connection.send(request).await.map_err(|error| failure(&error))?;
        self.finish((connection, place), response).await
    }

    /// A connection that has been used before, once there are enough.
    async fn kept(&self) -> Option<Lease<'_>> {
        loop {
            self.idle.borrow_mut().retain(|connection| !connection.is_closed());
            self.shared.borrow_mut().retain(|connection| !connection.is_closed());
            let (idle, shared) = (self.idle.borrow().len(), self.shared.borrow().len());
            if idle + shared + self.taken.get() < self.least {
                return None;
            }
            if let Some(connection) = self.idle.borrow_mut().pop_front() {
                return Some((connection, Some(self.place())));
            }
            self.shared.borrow_mut().rotate_left(shared.min(1));
            if let Some(connection) = self.shared.borrow().back().and_then(Connection::share) {
                return Some((connection, None));
            }
            if !matches!(self.transport, Transport::ClearHttp2 | Transport::TlsHttp2) {
                return None;
            }
            // The one that is being opened will take this request as well.
            self.freed.notified().await;
        }
    }

    fn place(&self) -> Place<'_> {
        self.taken.update(|taken| taken + 1);
        Place(self)
    }

    async fn open(&self) -> Result<Lease<'_>, Failure> {
        let place = self.place();
        let connection = match self.transport {
            Transport::Clear => Connection::http1(dial::tcp(self.address).await?).await?,
            Transport::ClearHttp2 => Connection::http2(dial::tcp(self.address).await?, Scheme::HTTP).await?,
            Transport::Tls => {
                let stream = dial::tls(self.address, Versions::Both).await?;
                if dial::is_http2(&stream) {
                    Connection::http2(stream, Scheme::HTTPS).await?
                } else {
                    Connection::http1(stream).await?
                }
            }
            Transport::TlsHttp2 => {
                let stream = dial::tls(self.address, Versions::Http2).await?;
                Connection::http2(stream, Scheme::HTTPS).await?
            }
        };
        self.opened.update(|opened| opened + 1);
        let Some(handle) = connection.share() else { return Ok((connection, Some(place))) };
        // Requests that leave before this one is answered take the same connection.
        self.shared.borrow_mut().push_back(handle);
        Ok((connection, None))
    }

    /// Reads the body away and keeps the connection, unless the body is too long.
    async fn finish(&self, lease: Lease<'_>, response: Response<Incoming>) -> Result<Received, Failure> {
        let received = Received::read(response, 0).await?;
        let (connection, _place) = lease;
        if let (true, Connection::Http1(_)) = (received.is_whole, &connection) {
            self.idle.borrow_mut().push_back(connection);
        }
        Ok(received)
    }
}

fn may_go_again(method: &Method, error: &hyper::Error) -> bool {
    is_untouched(error) || method.is_idempotent() && !error.is_parse() && !error.is_user()
}
