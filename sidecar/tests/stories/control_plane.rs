//! A control plane that takes reports over real TLS.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures::stream;
use proto::{
    report::Report,
    v1::{
        BeginWarmupRequest, BeginWarmupResponse, Directive, SubmitReportRequest, SubmitReportResponse,
        warmup_service_server::{WarmupService, WarmupServiceServer},
    },
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Code, Request, Response, Status,
    transport::{Identity, Server, ServerTlsConfig},
};

pub(crate) const SERVER_NAME: &str = "reports.example";

/// What the control plane saw, and how it answers.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) begun: Vec<BeginWarmupRequest>,
    pub(crate) reports: Vec<Report>,
    pub(crate) tokens: Vec<String>,
    pub(crate) connections: u32,
    /// Codes of the next submissions; when there is none left they are taken.
    pub(crate) refusals: VecDeque<Code>,
    pub(crate) directive: Directive,
    /// How many of the next submissions get no answer.
    pub(crate) unanswered: u32,
}

/// A running control plane.
pub(crate) struct ControlPlane {
    pub(crate) address: SocketAddr,
    pub(crate) ca: String,
    pub(crate) desk: Arc<Mutex<Desk>>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl ControlPlane {
    pub(crate) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), &Authority::new())
    }

    pub(crate) fn on(listener: TcpListener, authority: &Authority) -> Self {
        let address = listener.local_addr().unwrap();
        let desk = Arc::<Mutex<Desk>>::default();
        let tls = ServerTlsConfig::new().identity(authority.identity());
        let server = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(WarmupServiceServer::new(Service(desk.clone())));
        let counting = desk.clone();
        let incoming = stream::unfold(listener, move |listener| {
            let desk = counting.clone();
            async move {
                let stream = listener.accept().await.map(|(stream, _)| stream);
                desk.lock().unwrap().connections += 1;
                Some((stream, listener))
            }
        });
        let server = tokio::spawn(server.serve_with_incoming(incoming));
        Self { address, ca: authority.pem.clone(), desk, server }
    }

    /// Takes no connection any more; those that it has live on.
    pub(crate) async fn stop(&mut self) {
        self.server.abort();
        _ = (&mut self.server).await;
    }

    /// The only report.
    pub(crate) fn report(&self) -> Report {
        let desk = self.desk.lock().unwrap();
        assert_eq!(desk.reports.len(), 1, "{:?}", desk.reports);
        desk.reports[0].clone()
    }
}

/// A CA of its own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn identity(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([SERVER_NAME.to_owned()]).unwrap();
        Identity::from_pem(params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

struct Service(Arc<Mutex<Desk>>);

#[tonic::async_trait]
impl WarmupService for Service {
    async fn begin_warmup(
        &self,
        request: Request<BeginWarmupRequest>,
    ) -> Result<Response<BeginWarmupResponse>, Status> {
        let mut desk = self.0.lock().unwrap();
        desk.tokens.push(token(&request));
        desk.begun.push(request.into_inner());
        Ok(Response::new(BeginWarmupResponse { directive: desk.directive.into() }))
    }

    async fn submit_report(
        &self,
        request: Request<SubmitReportRequest>,
    ) -> Result<Response<SubmitReportResponse>, Status> {
        let is_unanswered = {
            let mut desk = self.0.lock().unwrap();
            desk.tokens.push(token(&request));
            let is_unanswered = desk.unanswered > 0;
            desk.unanswered = desk.unanswered.saturating_sub(1);
            is_unanswered
        };
        if is_unanswered {
            std::future::pending::<()>().await;
        }
        let mut desk = self.0.lock().unwrap();
        if let Some(code) = desk.refusals.pop_front() {
            return Err(Status::new(code, "not now"));
        }
        let result = request.into_inner().result.unwrap();
        desk.reports.push(Report::try_from(result).unwrap());
        Ok(Response::new(SubmitReportResponse { recorded: desk.reports.len() == 1 }))
    }
}

fn token<T>(request: &Request<T>) -> String {
    let value = request.metadata().get("authorization");
    value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
