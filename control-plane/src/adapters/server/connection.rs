//! One connection, from its handshake to its end.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, Version, header::CONNECTION},
    response::Response,
};
use http_body_util::BodyExt;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::server::TlsStream;
use tokio_util::{
    either::Either,
    io::{InspectReader, InspectWriter},
    sync::CancellationToken,
};
use tower::ServiceExt;
use tracing::debug;

use super::{Door, crowd::Presence, frames::Frames, lingering};

/// Requests at once on one HTTP/2 connection; an API server has 200 changes under way at most, by its defaults.
const MAX_STREAMS: u32 = 256;
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// For the head of an HTTP/1.1 request, and for as much of its body as nobody reads.
const MAX_BUFFER: usize = 32 << 10;
/// Streams that a peer opened and reset, and that nobody has looked at yet; more end the connection.
const MAX_RESETS: usize = 20;
/// Streams that we reset because of a peer's errors; more end the connection.
const MAX_ERRORS: usize = 100;
/// For the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// HTTP/2 peers that do not answer a ping for this long are gone.
const KEEP_ALIVE: Duration = Duration::from_mins(1);
/// For requests under way when the server stops.
pub(super) const DRAIN: Duration = Duration::from_secs(10);
/// For a peer without requests to take notice that its connection is closed.
const FAREWELL: Duration = Duration::from_millis(100);

/// Serves `router` on `stream` until it ends, has to make room, is without a request for too long, asks for nothing too
/// often, or `stop`.
pub(super) async fn serve(
    stream: TcpStream,
    presence: Presence,
    door: Arc<Door>,
    router: Router,
    stop: CancellationToken,
) {
    let presence = Arc::new(presence);
    let lingering = lingering::keep(&stream);
    let Some(stream) = enter(stream, &presence, &door).await else { return };
    presence.settle();
    let noted = noted(Arc::clone(&presence), router, door.leaving.clone());
    let service = TowerToHyperService::new(tower::service_fn(noted));
    let (builder, is_http_2) = (builder(&stream, door.limits.window), is_http_2(&stream));
    let flooded = CancellationToken::new();
    let stream = observed(stream, is_http_2, Arc::clone(&presence), flooded.clone());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut is_retired = false;
    let (farewell, reason) = loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(error, "connection ended");
                }
                return lingering::close(lingering).await;
            }
            () = stop.cancelled() => break (DRAIN, None),
            () = presence.sent_away() => break (FAREWELL, Some("crowded")),
            () = presence.neglected() => break (FAREWELL, Some("idle")),
            () = flooded.cancelled() => break (FAREWELL, Some("too_many_frames")),
            // A GOAWAY, after which requests under way end in peace; HTTP/1.1 is told with its next answer.
            () = presence.aged(), if is_http_2 && !is_retired => {
                is_retired = true;
                connection.as_mut().graceful_shutdown();
            }
            () = presence.outlived(), if is_http_2 => break (FAREWELL, Some("old")),
        }
    };
    if let Some(reason) = reason {
        door.metrics.connection_closed(door.name, reason);
    }
    connection.as_mut().graceful_shutdown();
    if timeout(farewell, connection).await.is_err() {
        return debug!("connection broken off");
    }
    lingering::close(lingering).await;
}

/// `stream`, with what comes and goes noted: heads of HTTP/1.1, frames of HTTP/2 until they have `flooded` us.
fn observed(
    stream: Stream,
    is_http_2: bool,
    presence: Arc<Presence>,
    flooded: CancellationToken,
) -> impl AsyncRead + AsyncWrite + Unpin {
    let frames = is_http_2.then(|| Arc::new(Mutex::new(Frames::new(Instant::now()))));
    let writing = frames.clone();
    let stream = InspectReader::new(stream, move |bytes| match &frames {
        _ if bytes.is_empty() => {}
        None => presence.hear(),
        Some(frames) => {
            if !unpoisoned(frames).heard(bytes, Instant::now()) {
                flooded.cancel();
            }
        }
    });
    InspectWriter::new(stream, move |bytes| {
        if let Some(frames) = &writing {
            unpoisoned(frames).wrote(bytes.len());
        }
    })
}

type Stream = Either<TlsStream<TcpStream>, TcpStream>;

/// The stream past its handshake, where it has one.
async fn enter(stream: TcpStream, presence: &Presence, door: &Door) -> Option<Stream> {
    // An answer in two writes would wait 40 ms for the peer's delayed acknowledgement.
    stream.set_nodelay(true).ok()?;
    let Some(tls) = &door.tls else { return Some(Either::Right(stream)) };
    let acceptor = tls.borrow().clone();
    let reason = tokio::select! {
        shaken = timeout(HANDSHAKE, acceptor.accept(stream)) => match shaken {
            Ok(Ok(stream)) => return Some(Either::Left(stream)),
            Ok(Err(error)) => {
                debug!(%error, "TLS handshake failed");
                "handshake_failed"
            }
            Err(_) => "handshake_late",
        },
        () = presence.sent_away() => "crowded",
    };
    door.metrics.connection_closed(door.name, reason);
    None
}

fn unpoisoned(frames: &Mutex<Frames>) -> MutexGuard<'_, Frames> {
    frames.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `router`, with the connection busy from a request's head to the last byte of its answer.
///
/// Once we are `leaving`, or the connection is old, who speaks HTTP/1.1 is told to come back on another connection, and
/// closes this one: a request that is on its way when a server closes a connection is lost. HTTP/2 has a GOAWAY for that.
fn noted<B>(
    presence: Arc<Presence>,
    router: Router,
    leaving: CancellationToken,
) -> impl Fn(Request<B>) -> futures::future::BoxFuture<'static, Result<Response, std::convert::Infallible>> + Clone
where
    B: axum::body::HttpBody<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    move |request| {
        let (busy, is_old) = (presence.begin(), presence.is_old());
        let (router, leaving) = (router.clone(), leaving.clone());
        let is_http_1 = request.version() == Version::HTTP_11;
        Box::pin(async move {
            let mut response = router.oneshot(request).await?;
            if is_http_1 && (is_old || leaving.is_cancelled()) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _held = &busy;
                    frame
                }))
            }))
        })
    }
}

fn is_http_2(stream: &Stream) -> bool {
    matches!(stream, Either::Left(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2".as_slice()))
}

/// For the protocol that was agreed on: a builder that looks for itself would drop, when it is to stop, whose first bytes
/// are still on their way. Probes and scrapes in clear text are HTTP/1.1.
fn builder(stream: &Stream, window: u32) -> auto::Builder<TokioExecutor> {
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut builder = if is_http_2(stream) { builder.http2_only() } else { builder.http1_only() };
    // hyper's own time limit for a head runs from the end of the request before, on idle connections too.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MAX_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_connection_window_size(window)
        .initial_stream_window_size(window)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_ERRORS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}
