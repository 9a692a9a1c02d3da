//! A caller of the webhook that can do what no API server does.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{control_plane::World, pods::annotated, reports::published_ca};

/// What an API server gives a review in all, by our webhook configuration.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// A caller with an address of its own.
#[derive(Debug, Clone)]
pub struct Caller {
    config: Arc<ClientConfig>,
    address: SocketAddr,
    source: Ipv4Addr,
}

impl Caller {
    /// A caller of the webhook of `world` from `source`, an address of the loopback network.
    pub async fn new(world: &World, source: Ipv4Addr) -> anyhow::Result<Self> {
        let ca = published_ca(&world.api.client().await?).await?;
        Self::with_certificate(world.ports.webhook, source, &ca, None)
    }

    /// A caller that trusts `ca` and, where it has a `certificate`, shows it: chain and key, all PEM.
    pub fn with_certificate(
        port: u16,
        source: Ipv4Addr,
        ca: &str,
        certificate: Option<(&str, &str)>,
    ) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(ca.as_bytes()) {
            roots.add(root?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
                builder.with_client_auth_cert(chain?, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?
            }
        };
        Ok(Self { config: Arc::new(config), address: (Ipv4Addr::LOCALHOST, port).into(), source })
    }

    /// A connection without TLS yet.
    pub async fn connect(&self) -> anyhow::Result<TcpStream> {
        self.connect_to(self.address.port()).await
    }

    /// The same to another port.
    pub async fn connect_to(&self, port: u16) -> anyhow::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.source, 0).into())?;
        let stream = timeout(TIMEOUT, socket.connect((Ipv4Addr::LOCALHOST, port).into())).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A connection with TLS, for HTTP/1.1.
    pub async fn connect_tls(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        self.shake_hands(&self.config).await
    }

    /// A connection with TLS that has agreed on HTTP/2 and said nothing yet.
    pub async fn connect_tls_h2(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        let mut config = (*self.config).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        self.shake_hands(&Arc::new(config)).await
    }

    /// A connection for HTTP/2, driven in the background.
    pub async fn connect_h2(&self) -> anyhow::Result<h2::client::SendRequest<bytes::Bytes>> {
        let (sender, connection) = h2::client::handshake(self.connect_tls_h2().await?).await?;
        tokio::spawn(connection);
        Ok(sender.ready().await?)
    }

    async fn shake_hands(&self, config: &Arc<ClientConfig>) -> anyhow::Result<TlsStream<TcpStream>> {
        let tcp = self.connect().await?;
        let connector = TlsConnector::from(Arc::clone(config));
        Ok(timeout(TIMEOUT, connector.connect(ServerName::try_from("localhost")?, tcp)).await??)
    }

    /// Has `body` reviewed on a connection of its own, as an API server does: once more a second after each 429, until
    /// [`TIMEOUT`] is over.
    pub async fn review(&self, body: &[u8]) -> anyhow::Result<Value> {
        let end = Instant::now() + TIMEOUT;
        loop {
            let attempt = async { post(&mut self.connect_tls().await?, "application/json", body).await };
            let left = end.saturating_duration_since(Instant::now());
            match timeout(left, attempt).await.context("no answer in time")?? {
                (200, answer) => return Ok(serde_json::from_str(&answer)?),
                (429, _) => sleep(Duration::from_secs(1)).await,
                (status, answer) => anyhow::bail!("status {status}: {answer}"),
            }
        }
    }
}

/// The head of a review's request with a body of `length` bytes.
#[must_use]
pub fn head(content_type: &str, length: usize) -> String {
    format!(
        "POST /mutate-v1-pod?timeout=5s HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

/// Posts `body`; gives status and body of the answer.
pub async fn post(
    stream: &mut TlsStream<TcpStream>,
    content_type: &str,
    body: &[u8],
) -> anyhow::Result<(u16, String)> {
    // What is refused early is answered before all of it is written.
    let written = async {
        stream.write_all(head(content_type, body.len()).as_bytes()).await?;
        stream.write_all(body).await?;
        stream.flush().await
    };
    let written = written.await;
    let answer = answer(stream).await;
    if answer.is_err() {
        written?;
    }
    answer
}

/// Reads an answer.
pub async fn answer(stream: &mut TlsStream<TcpStream>) -> anyhow::Result<(u16, String)> {
    let (mut text, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        if let Some(answer) = parse(&String::from_utf8_lossy(&text)) {
            return Ok(answer);
        }
        let read = stream.read(&mut piece).await?;
        ensure!(read > 0, "the connection was closed");
        text.extend_from_slice(&piece[..read]);
    }
}

fn parse(text: &str) -> Option<(u16, String)> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    (body.len() >= length?).then(|| (status, body.to_owned()))
}

/// The review of a usual pod that asks for a warm-up.
#[must_use]
pub fn usual() -> Vec<u8> {
    review_of(&annotated("web", 8080, &json!({})))
}

/// The review of `pod`.
#[must_use]
pub fn review_of(pod: &Value) -> Vec<u8> {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "namespace": "shop", "operation": "CREATE",
        "dryRun": true, "object": pod}});
    review.to_string().into_bytes()
}
