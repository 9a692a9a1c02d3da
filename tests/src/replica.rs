//! One process of our control plane, with ports of its own.

use std::{path::Path, process::Command};

use anyhow::Context;

use crate::{
    api_server::free_port,
    control_plane::{World, http_get},
    daemon::Daemon,
    patience::{SOON, eventually},
    programs,
};

/// A control plane beside the one of a [`World`], which the API server does not call.
#[derive(Debug)]
pub struct Replica {
    process: Daemon,
    metrics_port: u16,
}

impl Replica {
    /// Starts a second replica for `world`, with its arguments, and waits until it is ready.
    pub async fn start(world: &World) -> anyhow::Result<Self> {
        let [report_port, health_port, metrics_port, webhook_port] =
            [free_port()?, free_port()?, free_port()?, free_port()?];
        let kubeconfig = world.control_plane_kubeconfig().await?;
        let mut command = command(&kubeconfig)?;
        command
            .arg(format!("--webhook-port={webhook_port}"))
            .arg(format!("--report-port={report_port}"))
            .arg(format!("--report-address=127.0.0.1:{report_port}"))
            .arg(format!("--metrics-bind-address=127.0.0.1:{metrics_port}"))
            .arg(format!("--health-probe-bind-address=127.0.0.1:{health_port}"))
            .args(world.arguments());
        let log = world.api.folder().join(format!("replica-{health_port}.log"));
        let process = Daemon::start(&command, &log)?;
        let ready = eventually("a replica that is ready", SOON, async || {
            Ok(http_get(health_port, "/readyz").await.ok().filter(|answer| answer.contains("ok")))
        });
        ready.await.with_context(|| process.output())?;
        Ok(Self { process, metrics_port })
    }

    /// Its metrics.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        http_get(self.metrics_port, "/metrics").await
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Asks it to end and says how it did.
    pub async fn terminate(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        self.process.terminate(SOON).await
    }
}

/// The control plane's program, with the log that tests want.
pub(crate) fn command(kubeconfig: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(programs::own("kube-booster-control-plane")?);
    command.env("KUBECONFIG", kubeconfig).args([
        "--log-format=text",
        "--log-level=debug,h2=info,hyper_util=info,kube_client=info,rustls=info,tower=info",
    ]);
    Ok(command)
}
