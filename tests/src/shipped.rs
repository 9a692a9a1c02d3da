//! A control plane as it ships: what a test adds for its own sake would be measured, too.

use std::{
    path::PathBuf,
    process::{Command, ExitStatus},
};

use anyhow::Context;

use crate::{
    api_server::{ApiServer, free_port},
    control_plane::{NAMESPACE, http_get, service_account_token},
    daemon::Daemon,
    patience::{SOON, eventually},
    programs,
};

/// Where a control plane listens, on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// The webhook's.
    pub webhook: u16,
    /// The report server's.
    pub report: u16,
    /// The metrics'.
    pub metrics: u16,
    /// That of `/healthz` and `/readyz`.
    pub health: u16,
}

/// A control plane, which keeps its ports over restarts; it is killed when this is dropped.
#[derive(Debug)]
pub struct ControlPlane {
    ports: Ports,
    kubeconfig: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    daemon: Option<Daemon>,
}

impl Ports {
    /// Ports that were free a moment ago.
    pub fn free() -> anyhow::Result<Self> {
        Ok(Self { webhook: free_port()?, report: free_port()?, metrics: free_port()?, health: free_port()? })
    }

    fn arguments(self) -> [String; 5] {
        [
            format!("--webhook-port={}", self.webhook),
            format!("--report-port={}", self.report),
            format!("--report-address=127.0.0.1:{}", self.report),
            format!("--metrics-bind-address=127.0.0.1:{}", self.metrics),
            format!("--health-probe-bind-address=127.0.0.1:{}", self.health),
        ]
    }
}

impl ControlPlane {
    /// A control plane for `api` that is not started yet; `name` is its log's.
    pub async fn new(api: &ApiServer, name: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        Ok(Self {
            ports: Ports::free()?,
            kubeconfig: kubeconfig(api).await?,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            log: api.folder().join(format!("{name}.log")),
            daemon: None,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(programs::own("kube-booster-control-plane")?);
        command.env("KUBECONFIG", &self.kubeconfig).args(self.ports.arguments()).args(&self.arguments);
        let daemon = self.daemon.insert(Daemon::start(&command, &self.log)?);
        let health = self.ports.health;
        let ready = eventually("a control plane that is ready", SOON, async || {
            Ok(is_ready(health).await.then_some(()))
        });
        ready.await.with_context(|| daemon.output())
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.daemon = None;
    }

    /// Asks it to end and says how it did.
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.daemon.as_mut().context("the control plane runs")?.terminate(SOON).await
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.daemon.as_ref().context("the control plane runs")?.pid())
    }

    /// Its metrics.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        http_get(self.ports.metrics, "/metrics").await
    }
}

/// Whether the control plane whose health is at this port wants to be sent to.
pub async fn is_ready(health: u16) -> bool {
    http_get(health, "/readyz").await.is_ok_and(|answer| answer.contains("ok"))
}

async fn kubeconfig(api: &ApiServer) -> anyhow::Result<PathBuf> {
    let token = service_account_token(&api.client().await?, NAMESPACE, "kube-booster", None).await?;
    let path = api.folder().join("control-plane.kubeconfig");
    std::fs::write(&path, api.kubeconfig_for(&token)?)?;
    Ok(path)
}
