//! The control plane as the sidecar talks to it.

mod verdict;

use std::{fs, io, net::SocketAddr, time::Duration};

use http::Uri;
use hyper_util::rt::TokioIo;
use proto::{
    names::TOKEN_FILE,
    report::Report,
    v1::{BeginWarmupRequest, Directive, SubmitReportRequest, warmup_service_client::WarmupServiceClient},
};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use self::verdict::{Judge, Verdict};
use crate::{
    ground::{
        backoff::{Backoff, jitter},
        chain::chain,
        settings::Contact,
    },
    log::log,
    random,
};

/// The control plane, and the connection to it while there is one.
#[derive(Debug)]
pub struct ControlPlane {
    contact: Contact,
    /// How long one try may take.
    answer: Duration,
    endpoint: Endpoint,
    channel: Option<Channel>,
}

/// Why a report was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// It was refused.
    #[error("refused for good: {0}")]
    Refused(String),
    /// It was not taken in time.
    #[error("not taken within {0:?}")]
    Late(Duration),
}

impl ControlPlane {
    /// The control plane at `contact`, not connected; each of its answers is waited for as long as `answer`.
    pub fn at(contact: Contact, answer: Duration) -> Result<Self, tonic::transport::Error> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&contact.ca))
            .domain_name(&contact.server_name);
        let endpoint = Endpoint::from_shared(format!("https://{}", contact.server_name))?.tls_config(tls)?;
        Ok(Self { contact, answer, endpoint, channel: None })
    }

    /// Connects, however long that takes.
    pub async fn connect(&mut self) {
        let mut backoff = Backoff::default();
        while let Err(status) = self.client().await {
            let pause = backoff.pause(random::bits());
            log!("no connection to {:?}: {}; next try in {pause:.1?}", self.contact, status.message());
            sleep(pause).await;
        }
    }

    /// Drops the connection.
    pub fn close(&mut self) {
        self.channel = None;
    }

    /// Says how far the warm-up is and hears what to do next.
    pub async fn begin(&mut self, progress: BeginWarmupRequest) -> Result<Directive, Status> {
        let mut client = self.client().await?;
        let request = self.authorized(progress)?;
        Ok(client.begin_warmup(request).await?.into_inner().directive())
    }

    /// Hands over the report, trying again for at most `patience`. False: an earlier report of this pod stands.
    pub async fn submit(&mut self, report: &Report, patience: Duration) -> Result<bool, Lost> {
        timeout(patience, self.keep_submitting(report)).await.unwrap_or(Err(Lost::Late(patience)))
    }

    async fn keep_submitting(&mut self, report: &Report) -> Result<bool, Lost> {
        let (mut backoff, mut judge) = (Backoff::default(), Judge::default());
        loop {
            let late = Err(Status::deadline_exceeded("no answer"));
            let status = match timeout(self.answer, self.submit_once(report)).await.unwrap_or(late) {
                Ok(recorded) => return Ok(recorded),
                Err(status) => status,
            };
            self.close();
            let pause = match judge.judge(status.code(), status.details()) {
                Verdict::Retry => backoff.pause(random::bits()),
                Verdict::RetryAfter(pause) => pause + jitter(pause / 2, random::bits()),
                Verdict::GiveUp => return Err(Lost::Refused(status.message().to_owned())),
            };
            log!("report not taken: {:?}, {}; next try in {pause:.1?}", status.code(), status.message());
            sleep(pause).await;
        }
    }

    async fn submit_once(&mut self, report: &Report) -> Result<bool, Status> {
        let mut client = self.client().await?;
        let request = self.authorized(SubmitReportRequest { result: Some(report.into()) })?;
        Ok(client.submit_report(request).await?.into_inner().recorded)
    }

    /// A client on the open connection, or on a new one.
    async fn client(&mut self) -> Result<WarmupServiceClient<Channel>, Status> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.open().await?,
        };
        self.channel = Some(channel.clone());
        Ok(WarmupServiceClient::new(channel))
    }

    async fn open(&self) -> Result<Channel, Status> {
        let address = self.contact.address;
        let connector = tower::service_fn(move |_: Uri| async move { dial(address).await.map(TokioIo::new) });
        let channel = timeout(self.answer, self.endpoint.connect_with_connector(connector)).await;
        channel
            .map_err(|_| Status::deadline_exceeded("no connection in time"))?
            .map_err(|error| Status::unavailable(chain(&error)))
    }

    /// `message` with the token as it is now: the kubelet renews it.
    fn authorized<T>(&self, message: T) -> Result<Request<T>, Status> {
        let token = fs::read_to_string(self.contact.mount.join(TOKEN_FILE))
            .map_err(|error| Status::new(Code::Unauthenticated, format!("token not readable: {error}")))?;
        let value: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
            .parse()
            .map_err(|_| Status::new(Code::Unauthenticated, "the token is not text for a header"))?;
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

/// Connects without waiting for more to send: a call is several small writes, and the kernel would hold back the second until
/// the first is acknowledged, up to 40 ms.
async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
