//! The gRPC server: sidecars bring their reports, people and programs ask for them.

mod access;
mod callers;
mod deadline;
mod door;
mod issuer;
mod missed;
mod people;
mod refusal;
mod sidecars;
mod watchers;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use clap::Args;
use kube::Client;
use proto::v1::{
    FILE_DESCRIPTOR_SET, report_service_server::ReportServiceServer,
    warmup_service_server::WarmupServiceServer,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::{Status, service::Routes};

pub use self::missed::{MissedError, MissedPage, MissedQuestion};
use self::{
    access::Access, callers::Callers, door::Door, people::People, sidecars::Sidecars, watchers::Watchers,
};
use super::metrics::Metrics;
use crate::ground::{
    observed::PodRef,
    warmups::{Begun, Recorded},
};

/// A question for health or reflection, which anybody may ask.
const MAX_QUESTION: usize = 4 << 10;
/// A report is below 2 KiB; nothing that we take is larger than this.
const MAX_MESSAGE: usize = 64 << 10;

/// For one call of the API server; a review took it 1.1 ms at the median.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Flags of the report server.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Port of the report server (gRPC over TLS)
    #[arg(long, default_value_t = 9090, value_name = "PORT")]
    pub report_port: u16,
    /// Where sidecars find the report server; without it, the ClusterIP of Service kube-booster-reports
    #[arg(long, value_name = "IP:PORT")]
    pub report_address: Option<SocketAddr>,
}

/// What a sidecar says, with where to answer.
#[derive(Debug)]
pub enum Call {
    /// The warm-up of this pod is at its start, or waits for the app.
    Begin {
        /// From the verified token.
        pod: PodRef,
        /// What the sidecar tried, where it waits.
        waiting_for: Option<String>,
        /// What it is to do.
        answer: oneshot::Sender<Begun>,
    },
    /// The warm-up of this pod has ended.
    Report {
        /// From the verified token.
        pod: PodRef,
        /// What it did.
        report: Box<proto::report::Report>,
        /// What became of it, once the API server has it.
        answer: oneshot::Sender<Settled>,
    },
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is stored, and the gate is open because of it.
    Recorded,
    /// The gate was open before.
    NotRecorded,
    /// Not known yet, or not stored yet: try again.
    Later(Recorded),
    /// The gate opens in about this long, and as many as may wait for that do.
    Crowded(Duration),
}

/// A router with both services, health and reflection (v1 and v1alpha), and the task that keeps the cluster's keys.
/// Streams end with `stop`.
pub async fn router(
    client: Client,
    calls: mpsc::Sender<Call>,
    missed: mpsc::Sender<MissedQuestion>,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<(Router, impl Future<Output = ()> + use<>), tonic_reflection::server::Error> {
    let (issuers, keep_keys) = issuer::keep(client.clone());
    let access = || Access::new(client.clone(), metrics.clone());
    let callers = Arc::new(Callers::new(access(), issuers, metrics.clone()));
    let sidecars = Sidecars::new(Arc::clone(&callers), calls, metrics.clone());
    let sidecars = WarmupServiceServer::new(sidecars).max_decoding_message_size(MAX_MESSAGE);
    let viewers = access();
    let watchers = Watchers::new(client.clone(), viewers.clone(), metrics, stop);
    let people = People::new(viewers.clone(), client, missed, watchers);
    let people = ReportServiceServer::new(people).max_decoding_message_size(MAX_MESSAGE);

    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<WarmupServiceServer<Sidecars>>().await;
    health.set_serving::<ReportServiceServer<People>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::new(Door::before(sidecars, callers))
        .add_service(Door::before(people, Arc::new(viewers)))
        .add_service(health_service.max_decoding_message_size(MAX_QUESTION))
        .add_service(reflection().build_v1()?.max_decoding_message_size(MAX_QUESTION))
        .add_service(reflection().build_v1alpha()?.max_decoding_message_size(MAX_QUESTION));
    Ok((routes.prepare().into_axum_router(), keep_keys))
}

/// The API server's answer, where it comes in time.
async fn in_time<T>(call: impl Future<Output = kube::Result<T>>) -> Result<kube::Result<T>, Status> {
    timeout(TIMEOUT, call).await.map_err(|_| refusal::unanswered())
}
