//! From options to running servers, and back down.

use std::{net::Ipv6Addr, time::Duration};

use anyhow::{Context, bail};
use axum::Router;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{Options, Stop, gatekeeper::Gatekeeper, identity::Identity};
use crate::{
    adapters::{
        admin::{self, Readiness},
        certificates, events,
        metrics::Metrics,
        pods, reports, server,
        webhook::{self, Webhook},
    },
    ground::injection::SidecarTemplate,
};

/// Calls and news that wait for the gatekeeper; a full queue of calls answers UNAVAILABLE.
const QUEUE: usize = 1_024;
/// Before another try when the API server does not answer at the start.
const PATIENCE: Duration = Duration::from_secs(2);
/// Endpoints take a moment to forget us: until then we go on serving.
const LINGER: Duration = Duration::from_secs(3);
const REPORT_SERVICE: &str = "kube-booster-reports";
/// Native sidecars, match conditions and validating admission policies are there from this version on.
const FLOOR: (u32, u32) = (1, 30);

/// Runs the control plane until it is told to stop.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let readiness = Readiness::default();
    let (certificate, pods) = (readiness.wait_for("certificate"), readiness.wait_for("pods"));
    let (metrics, stop, tasks) = (Metrics::default(), Stop::new(), TaskTracker::new());
    let health = admin::health_router(readiness.clone());
    serve_plain(&tasks, &stop, options.admin.health_probe_bind_address, health).await?;
    let metrics_router = admin::metrics_router(metrics.clone());
    serve_plain(&tasks, &stop, options.admin.metrics_bind_address, metrics_router).await?;

    let mut signals = Signals::listen()?;
    let started = async {
        let client = connect().await?;
        let identity = establish(&options, &client, &metrics).await?;
        serve_webhook(&options, &tasks, &stop, &identity, &metrics).await?;
        let calls = serve_reports(&options, &tasks, &stop, &identity, &client).await?;
        start_gatekeeper(&options, &tasks, &stop, (client, metrics.clone(), pods), calls);
        patiently(|| identity.register()).await;
        tasks.spawn(identity.keep(stop.clone()));
        drop(certificate);
        info!("serving");
        anyhow::Ok(())
    };
    tokio::select! {
        started = started => started?,
        () = signals.received() => return Ok(()),
    }
    signals.received().await;
    info!("stopping");
    let _not_ready = readiness.wait_for("nothing any more: stopping");
    tokio::time::sleep(LINGER).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// The signals that ask us to end; listened for from the start, so that none is lost.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A client of an API server that is new enough.
async fn connect() -> anyhow::Result<Client> {
    let client =
        Client::try_default().await.context("cannot find an API server; set KUBECONFIG, or run in a pod")?;
    let version = patiently(async || Ok(client.apiserver_version().await?)).await;
    check_version(&version.major, &version.minor)?;
    info!(version = version.git_version, "API server found");
    Ok(client)
}

fn check_version(major: &str, minor: &str) -> anyhow::Result<()> {
    // Some clouds write a minor of `30+`.
    let number = |text: &str| text.trim_end_matches('+').parse::<u32>().unwrap_or_default();
    if (number(major), number(minor)) < FLOOR {
        bail!(
            "kube-booster needs Kubernetes 1.30 or later, and this API server is {major}.{minor}; nothing was changed"
        );
    }
    Ok(())
}

async fn establish(options: &Options, client: &Client, metrics: &Metrics) -> anyhow::Result<Identity> {
    let template = SidecarTemplate {
        image: options.webhook.sidecar_image.clone(),
        report_address: match &options.reports.report_address {
            Some(address) => address.clone(),
            None => patiently(|| service_address(client, &options.namespace)).await,
        },
        report_server_name: certificates::report_server_name(&options.namespace),
        report_ca: String::new(),
    };
    let establish = || {
        let (client, metrics, template) = (client.clone(), metrics.clone(), template.clone());
        Identity::establish(&options.certificates, client, &options.namespace, metrics, template)
    };
    Ok(patiently(establish).await)
}

/// The ClusterIP: an address, so that the sidecars need no DNS.
async fn service_address(client: &Client, namespace: &str) -> anyhow::Result<String> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let service = services
        .get(REPORT_SERVICE)
        .await
        .with_context(|| format!("cannot read Service {REPORT_SERVICE}"))?;
    let spec = service.spec.unwrap_or_default();
    let port = spec.ports.unwrap_or_default().first().map_or(9090, |port| port.port);
    match spec.cluster_ip.as_deref() {
        None | Some("" | "None") => {
            bail!("Service {REPORT_SERVICE} has no ClusterIP; do not make it headless")
        }
        Some(v6) if v6.contains(':') => Ok(format!("[{v6}]:{port}")),
        Some(v4) => Ok(format!("{v4}:{port}")),
    }
}

/// Tries until it works: what is missing at the start is there in a moment, and a restart would not make it faster.
async fn patiently<T, F: Future<Output = anyhow::Result<T>>>(mut attempt: impl FnMut() -> F) -> T {
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => warn!(error = format!("{error:#}"), "not ready yet; trying again"),
        }
        tokio::time::sleep(PATIENCE).await;
    }
}

async fn bind(address: impl ToSocketAddrs + std::fmt::Debug) -> anyhow::Result<TcpListener> {
    TcpListener::bind(&address).await.with_context(|| format!("cannot listen on {address:?}"))
}

/// On all addresses, of whichever family the machine has.
async fn bind_all(port: u16) -> anyhow::Result<TcpListener> {
    match bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => bind(("0.0.0.0", port)).await,
    }
}

async fn serve_plain(
    tasks: &TaskTracker,
    stop: &Stop,
    address: std::net::SocketAddr,
    router: Router,
) -> anyhow::Result<()> {
    let listener =
        if address.ip().is_unspecified() { bind_all(address.port()).await? } else { bind(address).await? };
    let stop = stop.clone();
    tasks.spawn(
        async move { axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await },
    );
    Ok(())
}

async fn serve_webhook(
    options: &Options,
    tasks: &TaskTracker,
    stop: &Stop,
    identity: &Identity,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let listener = bind_all(options.webhook.webhook_port).await?;
    let tls = server::tls(std::sync::Arc::new(identity.served()), &[b"h2", b"http/1.1"]);
    let router = webhook::router(Webhook { template: identity.template(), metrics: metrics.clone() });
    tasks.spawn(server::serve(listener, tls, router, stop.clone()));
    Ok(())
}

async fn serve_reports(
    options: &Options,
    tasks: &TaskTracker,
    stop: &Stop,
    identity: &Identity,
    client: &Client,
) -> anyhow::Result<mpsc::Receiver<reports::Call>> {
    let (calls, received) = mpsc::channel(QUEUE);
    let listener = bind_all(options.reports.report_port).await?;
    let tls = server::tls(std::sync::Arc::new(identity.served()), &[b"h2"]);
    let router = reports::router(client.clone(), calls).await?;
    tasks.spawn(server::serve(listener, tls, router, stop.clone()));
    Ok(received)
}

fn start_gatekeeper(
    options: &Options,
    tasks: &TaskTracker,
    stop: &Stop,
    (client, metrics, synced): (Client, Metrics, admin::Pending),
    calls: mpsc::Receiver<reports::Call>,
) {
    let (notes, recorder) = events::recorder(client.clone());
    let (news, heard) = mpsc::channel(QUEUE);
    let gatekeeper = Gatekeeper::new(&options.gatekeeper, client.clone(), metrics, notes, synced);
    // These two end with what they feed on: the watch with the gatekeeper, the recorder with the last note.
    tokio::spawn(pods::watch(client, news));
    tokio::spawn(recorder);
    tasks.spawn(gatekeeper.run(heard, calls, stop.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_before_1_30_is_refused() {
        assert!(check_version("1", "29").is_err());
        assert!(check_version("1", "29+").is_err());
        assert!(check_version("1", "30").is_ok());
        assert!(check_version("1", "36+").is_ok());
        assert!(check_version("2", "0").is_ok());
        assert!(check_version("", "").is_err());
    }
}
