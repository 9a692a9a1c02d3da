//! An app with gRPC services, over clear text or TLS, with reflection or without.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::Stream;
use proto::v1::{
    self, GetReportRequest, ListMissedPodsRequest, ListMissedPodsResponse, ListReportsRequest,
    ListReportsResponse, WatchReportsRequest, WatchReportsResponse,
    report_service_server::{ReportService, ReportServiceServer},
};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    service::Routes,
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};
use tonic_health::{ServingStatus, server::HealthReporter};

/// Which versions of server reflection the app has.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum Reflects {
    /// The one that all new servers have.
    #[default]
    V1,
    /// The one before.
    V1Alpha,
    /// None.
    Nothing,
    /// Version 1, without the services' own files.
    ItselfAlone,
}

/// How the app is served.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    pub(crate) reflects: Reflects,
    pub(crate) over_tls: bool,
}

/// A call as the app saw it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) message: String,
    pub(crate) metadata: MetadataMap,
}

/// A running app.
pub(crate) struct App {
    pub(crate) port: u16,
    pub(crate) health: HealthReporter,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl App {
    pub(crate) async fn start(manner: Manner) -> Self {
        Self::on("127.0.0.1:0", manner).await
    }

    pub(crate) async fn on(address: &str, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (health, health_service) = tonic_health::server::health_reporter();
        let mut routes = Routes::new(ReportServiceServer::new(Service(Arc::clone(&seen))));
        routes = reflection(routes.add_service(health_service), manner.reflects);
        let mut server = Server::builder();
        if manner.over_tls {
            server = server.tls_config(ServerTlsConfig::new().identity(identity())).unwrap();
        }
        let task = tokio::spawn(server.add_routes(routes).serve_with_incoming(TcpIncoming::from(listener)));
        Self { port, health, seen, task }
    }

    /// The messages of all calls so far.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| seen.message.clone()).collect()
    }

    /// The metadata of the first call.
    pub(crate) fn metadata(&self) -> MetadataMap {
        self.seen.lock().unwrap()[0].metadata.clone()
    }

    /// Whether `service` takes calls, from now on; the empty name is the server as a whole.
    pub(crate) async fn serves(&self, service: &str, does: bool) {
        let status = if does { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.health.set_service_status(service, status).await;
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn reflection(routes: Routes, reflects: Reflects) -> Routes {
    let itself = tonic_reflection::server::Builder::configure;
    let full = || itself().register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET);
    match reflects {
        Reflects::V1 => routes.add_service(full().build_v1().unwrap()),
        Reflects::V1Alpha => routes.add_service(full().build_v1alpha().unwrap()),
        Reflects::ItselfAlone => routes.add_service(itself().build_v1().unwrap()),
        Reflects::Nothing => routes,
    }
}

fn identity() -> Identity {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["elsewhere.example".to_owned()]).unwrap();
    Identity::from_pem(params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

struct Service(Arc<Mutex<Vec<Seen>>>);

impl Service {
    fn note<T: std::fmt::Debug>(&self, request: &Request<T>) {
        let seen = Seen { message: format!("{:?}", request.get_ref()), metadata: request.metadata().clone() };
        self.0.lock().unwrap().push(seen);
    }
}

#[tonic::async_trait]
impl ReportService for Service {
    type WatchReportsStream = Pin<Box<dyn Stream<Item = Result<WatchReportsResponse, Status>> + Send>>;

    async fn get_report(&self, request: Request<GetReportRequest>) -> Result<Response<v1::Report>, Status> {
        self.note(&request);
        match &*request.get_ref().name {
            "slow" => sleep(Duration::from_mins(1)).await,
            "away" => return Err(Status::unavailable("not now")),
            "long" => {
                let reason = "x".repeat(3 << 20);
                return Ok(Response::new(v1::Report { reason, ..v1::Report::default() }));
            }
            _ => {}
        }
        Ok(Response::new(v1::Report::default()))
    }

    async fn list_reports(
        &self,
        request: Request<ListReportsRequest>,
    ) -> Result<Response<ListReportsResponse>, Status> {
        self.note(&request);
        Ok(Response::new(ListReportsResponse::default()))
    }

    async fn list_missed_pods(
        &self,
        _: Request<ListMissedPodsRequest>,
    ) -> Result<Response<ListMissedPodsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn watch_reports(
        &self,
        request: Request<WatchReportsRequest>,
    ) -> Result<Response<Self::WatchReportsStream>, Status> {
        self.note(&request);
        Ok(Response::new(Box::pin(futures::stream::empty())))
    }
}
