//! One connection to the app, in the version of HTTP that it speaks.

use std::{error::Error, io};

use bytes::Bytes;
use h2::Reason;
use http::{Request, Response, Uri, header::HOST, uri::Scheme};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::ground::outcome::Failure;

/// For heads and for what is read at once: with 64 connections, 1 MiB of the container's limit.
const MAX_BUFFER: usize = 16 << 10;
/// What an HTTP/2 app may send before it is read, per stream and per connection.
const WINDOW: u32 = 64 << 10;

/// A connection that requests are sent on.
#[derive(Debug)]
pub(super) enum Connection {
    /// One request at a time.
    Http1(http1::SendRequest<Full<Bytes>>),
    /// Many at once.
    Http2(http2::SendRequest<Full<Bytes>>, Scheme),
}

impl Connection {
    /// HTTP/1.1 over `stream`.
    pub(super) async fn http1(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, Failure> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_BUFFER);
        let (sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|error| failure(&error))?;
        // Ends by itself once the sender and the response are dropped.
        tokio::spawn(connection);
        Ok(Self::Http1(sender))
    }

    /// HTTP/2 over `stream`, without asking whether the app speaks it.
    pub(super) async fn http2(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        scheme: Scheme,
    ) -> Result<Self, Failure> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_send_buf_size(MAX_BUFFER)
            .max_header_list_size(u32::try_from(MAX_BUFFER).unwrap_or(u32::MAX));
        let (sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|error| failure(&error))?;
        tokio::spawn(connection);
        Ok(Self::Http2(sender, scheme))
    }

    /// A second handle, where the connection takes many requests at once.
    pub(super) fn share(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender, scheme) => Some(Self::Http2(sender.clone(), scheme.clone())),
        }
    }

    /// Whether it takes no request any more.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender, _) => sender.is_closed(),
        }
    }

    /// Sends `request` and gives the response once its head is there.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender, scheme) => {
                sender.ready().await?;
                sender.send_request(with_authority(request, scheme)).await
            }
        }
    }
}

/// HTTP/2 names the host in the target, not in a header.
fn with_authority<B>(mut request: Request<B>, scheme: &Scheme) -> Request<B> {
    let host = request.headers_mut().remove(HOST);
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = Some(scheme.clone());
    parts.authority = host.and_then(|host| host.to_str().ok()?.parse().ok());
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// Why there was no response.
pub(super) fn failure(error: &hyper::Error) -> Failure {
    let is_closed = error.is_closed() || error.is_canceled() || error.is_incomplete_message();
    let is_closed = is_closed || error.source().is_some_and(is_end);
    if error.is_parse() || !is_closed { Failure::Malformed } else { Failure::Closed }
}

/// Whether the app ended it, or the network did, and not we for what we could not read.
fn is_end(cause: &(dyn Error + 'static)) -> bool {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput);
    }
    cause.downcast_ref::<h2::Error>().is_some_and(|error| error.is_io() || error.is_remote())
}

/// Whether the app has not acted on a request that was lost with `error`.
pub(super) fn is_untouched(error: &hyper::Error) -> bool {
    error.is_canceled()
        || said(error).is_some_and(|said| said.is_go_away() || said.reason() == Some(Reason::REFUSED_STREAM))
}

/// What the app itself said in HTTP/2 about the end of a stream.
fn said(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref().filter(|said: &&h2::Error| said.is_remote())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_http2_the_host_stands_in_the_target() {
        let request = Request::get("/a?b=c").header(HOST, "shop.example:80").body(()).unwrap();
        let sent = with_authority(request, &Scheme::HTTP);
        assert_eq!(sent.uri(), "http://shop.example:80/a?b=c");
        assert!(!sent.headers().contains_key(HOST));
    }
}
