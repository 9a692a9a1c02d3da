//! Calls our own webhook as the API server does.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName},
};
use serde::Deserialize;
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The API server waits no longer.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 256 << 10;

/// Where the webhook is and how it is asked.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Port, on this machine
    pub port: u16,
    /// Path of the URL
    pub path: &'static str,
    /// What the webhook does not count
    pub user_agent: &'static str,
    /// The name that its certificate must hold
    pub server_name: String,
    /// The namespace of the pod that it is asked for
    pub namespace: String,
    /// What we show when we are asked who calls
    pub own: Arc<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// Why the webhook would not inject anything for the API server.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer in time.
    #[error("the webhook did not answer within {TIMEOUT:?}")]
    Late,
    /// No connection.
    #[error("cannot connect to the webhook's port")]
    Connect(#[source] io::Error),
    /// The server's name is none.
    #[error("the webhook's server name is not one")]
    Name(#[from] InvalidDnsNameError),
    /// TLS is not to be had.
    #[error("cannot verify the webhook's certificate by caBundle")]
    Tls(#[source] io::Error),
    /// The connection broke.
    #[error("the webhook's answer broke off")]
    Http(#[from] hyper::Error),
    /// The answer is not readable.
    #[error("the webhook's answer is not readable")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is not what a pod gets that asks for a warm-up.
    #[error("the webhook answered {status} and no patch")]
    Unpatched {
        /// Of HTTP
        status: StatusCode,
    },
}

#[derive(Deserialize)]
struct Review {
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    allowed: bool,
    patch: Option<String>,
}

impl Webhook {
    /// Asks for the injection of a pod that nobody creates, and trusts `roots` alone.
    pub async fn try_out(&self, roots: &[CertificateDer<'static>]) -> Result<(), CallError> {
        timeout(TIMEOUT, self.ask(roots)).await.unwrap_or(Err(CallError::Late))
    }

    async fn ask(&self, roots: &[CertificateDer<'static>]) -> Result<(), CallError> {
        let stream = self.connect(roots).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the sender.
        tokio::spawn(connection);
        let answer = sender.send_request(self.request()?).await?;
        let status = answer.status();
        // Too busy to answer is alive: the API server asks again.
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Ok(());
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(CallError::Answer)?;
        if status != StatusCode::OK {
            return Err(CallError::Unpatched { status });
        }
        let review: Review =
            serde_json::from_slice(&body.to_bytes()).map_err(|error| CallError::Answer(error.into()))?;
        if !review.response.allowed || review.response.patch.is_none() {
            return Err(CallError::Unpatched { status });
        }
        Ok(())
    }

    async fn connect(&self, roots: &[CertificateDer<'static>]) -> Result<TlsStream<TcpStream>, CallError> {
        let addresses =
            [SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)), (Ipv6Addr::LOCALHOST, self.port).into()];
        let stream = TcpStream::connect(&addresses[..]).await.map_err(CallError::Connect)?;
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        let (chain, key) = (self.own.0.clone(), self.own.1.clone_key());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| CallError::Tls(io::Error::other(error)))?
            .with_root_certificates(store)
            .with_client_auth_cert(chain, key)
            .map_err(|error| CallError::Tls(io::Error::other(error)))?;
        let name = ServerName::try_from(self.server_name.clone())?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(CallError::Tls)
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, CallError> {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "00000000-0000-0000-0000-000000000000", "namespace": self.namespace, "operation": "CREATE",
        "dryRun": true, "object": {
            "metadata": {"name": "self-check", "annotations": {"kube-booster.io/warmup": "enabled"}},
            "spec": {"containers": [{"name": "app", "image": "app", "ports": [{"containerPort": 8080}]}]},
        }}});
        Request::post(self.path)
            .header(header::HOST, &self.server_name)
            .header(header::USER_AGENT, self.user_agent)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(review.to_string()))
            .map_err(|error| CallError::Answer(error.into()))
    }
}
