//! An app that speaks TLS and HTTP/2, as it is told.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Method, Request, Response, Version, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What the app speaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Speaks {
    /// Both versions in clear text, by prior knowledge.
    Clear,
    /// HTTP/1.1 over TLS, without ALPN.
    Tls,
    /// Both versions over TLS.
    TlsHttp2,
}

/// A request as the app saw it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) version: Version,
    pub(crate) authority: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) kind: Option<String>,
    pub(crate) body: Bytes,
    /// Whence the connection came.
    pub(crate) peer: SocketAddr,
}

/// A running app with a certificate that nobody trusts.
pub(crate) struct App {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

/// How it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) speaks: Speaks,
    /// Bytes of each body.
    pub(crate) body: usize,
    /// Requests after which a connection is closed in good order.
    pub(crate) per_connection: Option<usize>,
}

impl Manner {
    pub(crate) fn of(speaks: Speaks) -> Self {
        Self { speaks, body: 2, per_connection: None }
    }
}

impl App {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let task = tokio::spawn(serve(listener, manner, Arc::clone(&seen)));
        Self { port, seen, task }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, manner: Manner, seen: Arc<Mutex<Vec<Seen>>>) {
    let tls = (manner.speaks != Speaks::Clear).then(|| acceptor(manner.speaks == Speaks::TlsHttp2));
    // Aborts them all when the app ends.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, peer)) = listener.accept().await {
        let (tls, seen) = (tls.clone(), Arc::clone(&seen));
        connections.spawn(async move {
            match tls {
                None => converse(stream, peer, manner, seen).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        converse(stream, peer, manner, seen).await;
                    }
                }
            }
        });
    }
}

async fn converse<S>(stream: S, peer: SocketAddr, manner: Manner, seen: Arc<Mutex<Vec<Seen>>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (done, served) = tokio::sync::watch::channel(0);
    let answer = |request: Request<Incoming>| {
        done.send_modify(|served| *served += 1);
        let seen = Arc::clone(&seen);
        async move {
            note(request, peer, &seen).await;
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; manner.body]))))
        }
    };
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service_fn(answer)));
    let mut served = served;
    let enough = async {
        match manner.per_connection {
            Some(limit) => drop(served.wait_for(|served| *served >= limit).await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = connection.as_mut() => return,
        () = enough => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn note(request: Request<Incoming>, peer: SocketAddr, seen: &Mutex<Vec<Seen>>) {
    let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (host, kind) = (text("host"), text(CONTENT_TYPE.as_str()));
    let (version, method) = (request.version(), request.method().clone());
    let authority = request.uri().authority().map(ToString::to_string);
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    seen.lock().unwrap().push(Seen { version, authority, host, method, path, kind, body, peer });
}

fn acceptor(takes_http2: bool) -> TlsAcceptor {
    let key = rcgen::KeyPair::generate().unwrap();
    // Of another name, expired, and signed by nobody.
    let mut params = rcgen::CertificateParams::new(vec!["elsewhere.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    if takes_http2 {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    TlsAcceptor::from(Arc::new(config))
}

/// Nothing but a TCP port that accepts and never answers.
pub(crate) async fn mute() -> (u16, JoinHandle<Vec<TcpStream>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
        held
    });
    (port, task)
}
