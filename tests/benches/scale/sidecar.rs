//! A sidecar without a pod: begins and reports as the real one does, each time on a TLS connection of its own.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hyper_util::rt::TokioIo;
use proto::v1::{
    BeginWarmupRequest, Progress, SubmitReportRequest, warmup_service_client::WarmupServiceClient,
};
use sidecar::ground::backoff::{Backoff, jitter};
use tests::reports::{good_report, with_token};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep, timeout},
};
use tonic::{
    Status,
    transport::{Certificate, Channel, ClientTlsConfig, Uri},
};
use tonic_types::StatusExt;

/// How long one try may take, as in the real one.
const PER_TRY: Duration = Duration::from_secs(10);
/// How long the report may take; the real one waits for 15 min.
const PATIENCE: Duration = Duration::from_mins(5);

/// Where the report server is, and whom to trust.
#[derive(Debug, Clone)]
pub(crate) struct Contact {
    pub(crate) port: u16,
    pub(crate) ca: Arc<str>,
}

/// What became of a report that was taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    /// From the moment when it was due to the answer, which comes when the API server has the condition.
    pub(crate) latency: Duration,
    /// Tries, the last one included.
    pub(crate) tries: u32,
    /// Whether it opened the gate.
    pub(crate) recorded: bool,
}

impl Contact {
    /// Opens a connection; nothing of an earlier one is used again, because each sidecar is a process of its own, in a
    /// pod with an address of its own.
    pub(crate) async fn connect(&self, token: &str) -> Result<Channel, Status> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.ca.as_bytes()))
            .domain_name("localhost");
        let unavailable = |error: tonic::transport::Error| Status::unavailable(error.to_string());
        let endpoint = Channel::from_shared(format!("https://127.0.0.1:{}", self.port))
            .map_err(|error| Status::internal(error.to_string()))?;
        let (from, to) = (address(token), (Ipv4Addr::LOCALHOST, self.port).into());
        let connector =
            tower::service_fn(move |_: Uri| async move { open(from, to).await.map(TokioIo::new) });
        let endpoint = endpoint.tls_config(tls).map_err(unavailable)?;
        endpoint.connect_with_connector(connector).await.map_err(unavailable)
    }

    /// Says that the requests start.
    pub(crate) async fn begin(&self, token: &str) -> Result<(), Status> {
        let message =
            BeginWarmupRequest { progress: Progress::Starting.into(), ..BeginWarmupRequest::default() };
        let request = authorized(message, token)?;
        let begin = async {
            WarmupServiceClient::new(self.connect(token).await?).begin_warmup(request).await.map(drop)
        };
        timeout(PER_TRY, begin).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")))
    }

    /// Reports, which was due at `due`, trying again as the real sidecar does; `None` where nobody took it.
    pub(crate) async fn report(&self, token: &str, due: Instant) -> Option<Taken> {
        let mut backoff = Backoff::default();
        for tries in 1.. {
            let late = Err(Status::deadline_exceeded("no answer"));
            let status = match timeout(PER_TRY, self.report_once(token)).await.unwrap_or(late) {
                Ok(recorded) => return Some(Taken { latency: due.elapsed(), tries, recorded }),
                Err(status) => status,
            };
            // Any numbers that differ will do to keep many sidecars from trying in step.
            let random = u64::from(Instant::now().duration_since(due).subsec_nanos());
            let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
            let pause =
                asked.map_or_else(|| backoff.pause(random), |asked| asked + jitter(asked / 2, random));
            if due.elapsed() + pause > PATIENCE {
                eprintln!("a report was given up after {tries} tries: {status:?}");
                return None;
            }
            sleep(pause).await;
        }
        None
    }

    async fn report_once(&self, token: &str) -> Result<bool, Status> {
        let message = SubmitReportRequest { result: Some((&good_report()).into()) };
        let request = authorized(message, token)?;
        let mut client = WarmupServiceClient::new(self.connect(token).await?);
        Ok(client.submit_report(request).await?.into_inner().recorded)
    }
}

/// The address of a token's pod: all of 127.0.0.0/8 is this machine.
fn address(token: &str) -> Ipv4Addr {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    let [first, second, third, ..] = hasher.finish().to_be_bytes();
    Ipv4Addr::new(127, first.max(1), second, third.clamp(1, 254))
}

async fn open(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

fn authorized<T>(message: T, token: &str) -> Result<tonic::Request<T>, Status> {
    with_token(message, token).map_err(|error| Status::internal(error.to_string()))
}
