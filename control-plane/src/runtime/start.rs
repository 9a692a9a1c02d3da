//! From options to a running control plane, and back down in order.

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing::info;

use super::{Options, callers::Callers, cluster, descriptors, launch::Launch, listen, tasks::Tasks};
use crate::adapters::{
    admin::{self, Pending, Readiness},
    metrics::Metrics,
    performance::Performance,
};

/// Endpoints take a moment to forget us, in large clusters some seconds: until then we go on serving.
const LINGER: Duration = Duration::from_secs(5);

/// What readiness waits for.
struct Awaited {
    certificate: Pending,
    pods: Pending,
    limits: Pending,
    webhook: Pending,
}

/// Runs the control plane until it is told to stop.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let options = Arc::new(options);
    descriptors::raise();
    let (readiness, metrics, mut tasks) = (Readiness::default(), Metrics::default(), Tasks::new());
    let awaited = Awaited {
        certificate: readiness.wait_for("certificate"),
        pods: readiness.wait_for("pods"),
        limits: readiness.wait_for("limits"),
        webhook: readiness.wait_for("webhook"),
    };
    let callers = Callers::read(options.webhook.client_ca_file.as_ref()).await?;
    let performance = watch_performance(&options, &mut tasks, &metrics);
    let figures = admin::metrics_router(metrics.clone()).merge(performance.router());
    let health = admin::health_router(readiness.clone());
    listen::plain(&mut tasks, options.admin.health_probe_bind_address, health, &metrics).await?;
    listen::plain(&mut tasks, options.admin.metrics_bind_address, figures, &metrics).await?;

    let mut signals = Signals::listen()?;
    tokio::select! {
        started = start(&options, &mut tasks, (&metrics, &performance), callers, awaited) => started?,
        () = signals.received() => return Ok(()),
    }
    tokio::select! {
        () = signals.received() => info!("stopping"),
        error = tasks.failed() => return Err(error),
    }
    tasks.retire().cancel();
    let _not_ready = readiness.wait_for("nothing any more: stopping");
    tokio::time::sleep(LINGER).await;
    tasks.end().await;
    Ok(())
}

fn watch_performance(options: &Arc<Options>, tasks: &mut Tasks, metrics: &Metrics) -> Performance {
    let slots = options.webhook.webhook_max_concurrency;
    let performance = Performance::new(&options.performance, slots, metrics.clone());
    let (watched, options) = (performance.clone(), Arc::clone(options));
    tasks.spawn_until_stop("performance", async move { watched.watch(&options.performance).await });
    performance
}

/// Starts everything that needs an API server.
async fn start(
    options: &Options,
    tasks: &mut Tasks,
    (metrics, performance): (&Metrics, &Performance),
    callers: Callers,
    awaited: Awaited,
) -> anyhow::Result<()> {
    let client = cluster::connect().await?;
    let mut launch = Launch { options, tasks, client, metrics, performance };
    let (barriers, shown) = watch::channel(Arc::default());
    let (calls, received) = Launch::calls();
    // Gates and deadlines first: they wait for no certificate.
    let news = launch.gatekeeper(received, barriers, awaited.pods);
    let leads = launch.election();
    let limits = launch.limits(awaited.limits);
    let identity = launch.identity().await;
    let own = callers.own().certified();
    launch.webhook(&identity, callers, limits.clone(), shown.clone()).await?;
    let questions = launch.reports(&identity, calls).await?;
    let scene = (identity.template(), limits, shown);
    launch.scan(scene, news, leads.clone(), questions).await?;
    launch.self_check(&identity, own, awaited.webhook);
    launch.certificates(identity, awaited.certificate, leads);
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
