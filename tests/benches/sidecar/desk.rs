//! A control plane that takes reports over TLS, and looks at the sidecar at the very moment: its work is done, and it still
//! holds all that it needed.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use futures::stream;
use proto::{
    report::Report,
    v1::{
        BeginWarmupRequest, BeginWarmupResponse, SubmitReportRequest, SubmitReportResponse,
        warmup_service_server::{WarmupService, WarmupServiceServer},
    },
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tests::usage::{Mapped, mapped, memory, threads};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle, time::timeout};
use tonic::{
    Request, Response, Status,
    transport::{Identity, Server, ServerTlsConfig},
};

pub(crate) const SERVER_NAME: &str = "reports.example";
/// Longer than any warm-up of the benchmark.
const LONGEST: Duration = Duration::from_mins(1);

/// A report, and what its sidecar held when it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) report: Report,
    pub(crate) held: Held,
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// Bytes resident at most, until now.
    pub(crate) peak: u64,
    pub(crate) mapped: Mapped,
    pub(crate) threads: u64,
}

/// The running control plane.
pub(crate) struct Desk {
    pub(crate) address: SocketAddr,
    pub(crate) ca: String,
    sidecar: Arc<Mutex<u32>>,
    received: mpsc::Receiver<anyhow::Result<Received>>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Desk {
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let (ca, identity) = credentials()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, received) = mpsc::channel(1);
        let sidecar = Arc::<Mutex<u32>>::default();
        let clerk = Clerk { sidecar: Arc::clone(&sidecar), sender };
        let router = Server::builder()
            .tls_config(ServerTlsConfig::new().identity(identity))?
            .add_service(WarmupServiceServer::new(clerk));
        let incoming = stream::unfold(listener, async |listener| {
            let stream = listener.accept().await.and_then(|(stream, _)| {
                stream.set_nodelay(true)?;
                Ok(stream)
            });
            Some((stream, listener))
        });
        let server = tokio::spawn(router.serve_with_incoming(Box::pin(incoming)));
        Ok(Self { address, ca, sidecar, received, server })
    }

    /// The process whose report comes next.
    pub(crate) fn expect(&self, sidecar: u32) {
        *self.sidecar.lock().unwrap_or_else(PoisonError::into_inner) = sidecar;
    }

    pub(crate) async fn receive(&mut self) -> anyhow::Result<Received> {
        timeout(LONGEST, self.received.recv())
            .await
            .context("no report comes")?
            .context("the desk is closed")?
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn credentials() -> anyhow::Result<(String, Identity)> {
    let mut params = CertificateParams::new([])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([SERVER_NAME.to_owned()])?.signed_by(&key, &issuer)?;
    Ok((pem, Identity::from_pem(certificate.pem(), key.serialize_pem())))
}

struct Clerk {
    sidecar: Arc<Mutex<u32>>,
    sender: mpsc::Sender<anyhow::Result<Received>>,
}

#[tonic::async_trait]
impl WarmupService for Clerk {
    async fn begin_warmup(
        &self,
        _: Request<BeginWarmupRequest>,
    ) -> Result<Response<BeginWarmupResponse>, Status> {
        Ok(Response::new(BeginWarmupResponse::default()))
    }

    async fn submit_report(
        &self,
        request: Request<SubmitReportRequest>,
    ) -> Result<Response<SubmitReportResponse>, Status> {
        let sidecar = *self.sidecar.lock().unwrap_or_else(PoisonError::into_inner);
        let received = held(sidecar).and_then(|held| {
            let result = request.into_inner().result.context("a report holds a result")?;
            Ok(Received { report: Report::try_from(result)?, held })
        });
        self.sender.send(received).await.map_err(|_| Status::unavailable("the benchmark is over"))?;
        Ok(Response::new(SubmitReportResponse { recorded: true }))
    }
}

/// What process `pid` holds now.
pub(crate) fn held(pid: u32) -> anyhow::Result<Held> {
    let mapped = mapped(pid)?;
    Ok(Held { peak: memory(pid)?.peak.max(mapped.resident), mapped, threads: threads(pid)? })
}
