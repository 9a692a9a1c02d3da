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

use super::super::{
    connection::{Connection, failure, is_untouched},
    dial::{self, Versions},
    response::Received,
};
use crate::ground::outcome::Failure;

/// What a connection runs over.
#[derive(Debug, Clone, Copy)]
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
    /// The longest idle one is used first: as many workers of the app as possible see requests.
    idle: RefCell<VecDeque<Connection>>,
    /// One that takes many requests at once.
    shared: RefCell<Option<Connection>>,
    opened: Cell<u32>,
}

impl Pool {
    pub(super) fn to(address: SocketAddr, transport: Transport) -> Self {
        let (idle, shared, opened) = (RefCell::default(), RefCell::default(), Cell::default());
        Self { address, transport, idle, shared, opened }
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
        if let Some(mut connection) = self.kept() {
            match connection.send(request.clone()).await {
                Err(error) if may_go_again(request.method(), &error) => {}
                sent => return self.finish(connection, sent.map_err(|error| failure(&error))?).await,
            }
        }
        let mut connection = self.open().await?;
        let response = connection.send(request).await.map_err(|error| failure(&error))?;
        self.finish(connection, response).await
    }

    fn kept(&self) -> Option<Connection> {
        let mut shared = self.shared.borrow_mut();
        shared.take_if(|connection| connection.is_closed());
        if let Some(shared) = shared.as_ref().and_then(Connection::share) {
            return Some(shared);
        }
        let mut idle = self.idle.borrow_mut();
        idle.retain(|connection| !connection.is_closed());
        idle.pop_front()
    }

    async fn open(&self) -> Result<Connection, Failure> {
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
        self.opened.set(self.opened.get() + 1);
        // Requests that leave before this one is answered take the same connection.
        if let Some(handle) = connection.share() {
            self.shared.borrow_mut().get_or_insert(handle);
        }
        Ok(connection)
    }

    /// Reads the body away and keeps the connection, unless the body is too long.
    async fn finish(
        &self,
        connection: Connection,
        response: Response<Incoming>,
    ) -> Result<Received, Failure> {
        let received = Received::read(response, 0).await?;
        if let (true, Connection::Http1(_)) = (received.is_whole, &connection) {
            self.idle.borrow_mut().push_back(connection);
        }
        Ok(received)
    }
}

fn may_go_again(method: &Method, error: &hyper::Error) -> bool {
    is_untouched(error) || method.is_idempotent() && !error.is_parse() && !error.is_user()
}
