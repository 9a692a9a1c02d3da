//! From options to running servers, and back down.

use std::{
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use axum::Router;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::timeout,
};
use tracing::{info, warn};

use super::{Options, gatekeeper::Gatekeeper, identity::Identity, tasks::Tasks};
use crate::{
    adapters::{
        admin::{self, Pending, Readiness},
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
/// For one such try.
const PER_TRY: Duration = Duration::from_secs(15);
/// Endpoints take a moment to forget us: until then we go on serving.
const LINGER: Duration = Duration::from_secs(3);
const REPORT_SERVICE: &str = "kube-booster-reports";
/// Native sidecars, match conditions and validating admission policies are there from this version on.
const FLOOR: (u32, u32) = (1, 30);

/// Runs the control plane until it is told to stop.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let (readiness, metrics, mut tasks) = (Readiness::default(), Metrics::default(), Tasks::new());
    let pending = (readiness.wait_for("certificate"), readiness.wait_for("pods"));
    let health = admin::health_router(readiness.clone());
    serve_plain(&mut tasks, options.admin.health_probe_bind_address, health).await?;
    let metrics_router = admin::metrics_router(metrics.clone());
    serve_plain(&mut tasks, options.admin.metrics_bind_address, metrics_router).await?;

    let mut signals = Signals::listen()?;
    tokio::select! {
        started = start(&options, &mut tasks, &metrics, pending) => started?,
        () = signals.received() => return Ok(()),
    }
    tokio::select! {
        () = signals.received() => info!("stopping"),
        error = tasks.failed() => return Err(error),
    }
    let _not_ready = readiness.wait_for("nothing any more: stopping");
    tokio::time::sleep(LINGER).await;
    tasks.end().await;
    Ok(())
}

/// Starts everything that needs an API server.
async fn start(
    options: &Options,
    tasks: &mut Tasks,
    metrics: &Metrics,
    (certificate, pods): (Pending, Pending),
) -> anyhow::Result<()> {
    let client = connect().await?;
    let identity = establish(options, &client, metrics).await?;
    serve_webhook(options, tasks, &identity, metrics).await?;
    let calls = serve_reports(options, tasks, (&identity, &client), metrics).await?;
    start_gatekeeper(options, tasks, (client, metrics.clone(), pods), calls);
    patiently(|| identity.register()).await;
    tasks.spawn("certificates", identity.keep(tasks.stop()));
    drop(certificate);
    info!("serving");
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
            Some(address) => address.to_string(),
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
        let attempted = timeout(PER_TRY, attempt()).await.context("the API server does not answer");
        match attempted.and_then(|attempted| attempted) {
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

async fn serve_plain(tasks: &mut Tasks, address: SocketAddr, router: Router) -> anyhow::Result<()> {
    let listener =
        if address.ip().is_unspecified() { bind_all(address.port()).await? } else { bind(address).await? };
    let stop = tasks.stop();
    tasks.spawn("admin server", async move {
        let server = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = server.await {
            warn!(%error, "the admin server ended");
        }
    });
    Ok(())
}

async fn serve_webhook(
    options: &Options,
    tasks: &mut Tasks,
    identity: &Identity,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let listener = bind_all(options.webhook.webhook_port).await?;
    let tls = server::tls(Arc::new(identity.served()), &[b"h2", b"http/1.1"]);
    let router = webhook::router(Webhook { template: identity.template(), metrics: metrics.clone() });
    tasks.spawn("webhook server", server::serve(listener, tls, router, tasks.stop()));
    Ok(())
}

async fn serve_reports(
    options: &Options,
    tasks: &mut Tasks,
    (identity, client): (&Identity, &Client),
    metrics: &Metrics,
) -> anyhow::Result<mpsc::Receiver<reports::Call>> {
    let (calls, received) = mpsc::channel(QUEUE);
    let listener = bind_all(options.reports.report_port).await?;
    let tls = server::tls(Arc::new(identity.served()), &[b"h2"]);
    let (router, keep_keys) = reports::router(client.clone(), calls, metrics.clone(), tasks.stop()).await?;
    tasks.spawn_until_stop("the cluster's keys", keep_keys);
    tasks.spawn("report server", server::serve(listener, tls, router, tasks.stop()));
    Ok(received)
}

fn start_gatekeeper(
    options: &Options,
    tasks: &mut Tasks,
    (client, metrics, synced): (Client, Metrics, Pending),
    calls: mpsc::Receiver<reports::Call>,
) {
    let (notes, recorder) = events::recorder(client.clone());
    let (news, heard) = mpsc::channel(QUEUE);
    let gatekeeper = Gatekeeper::new(&options.gatekeeper, client.clone(), metrics, notes, synced);
    tasks.spawn_until_stop("watch of pods", pods::watch(client, news));
    // Ends with the last note, after the gatekeeper.
    tasks.spawn("recorder of Events", recorder);
    tasks.spawn("gatekeeper", gatekeeper.run(heard, calls, tasks.stop()));
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
