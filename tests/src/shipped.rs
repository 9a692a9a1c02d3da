//! A control plane as it ships: what a test adds for its own sake would be measured, too.

use std::{
    path::PathBuf,
    process::{Command, ExitStatus},
};

use anyhow::Context;

use crate::{
    api_server::ApiServer,
    control_plane::{control_plane_kubeconfig, http_get},
    daemon::Daemon,
    patience::{SOON, eventually},
    ports::Ports,
    programs,
};

/// A control plane, which keeps its ports over restarts; it is killed when this is dropped.
#[derive(Debug)]
pub struct ControlPlane {
    ports: Ports,
    kubeconfig: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    daemon: Option<Daemon>,
}

impl ControlPlane {
    /// A control plane for `api` that is not started yet; `name` is its log's.
    pub async fn new(api: &ApiServer, name: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        Ok(Self {
            ports: Ports::free()?,
            kubeconfig: control_plane_kubeconfig(api).await?,
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
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .args(self.ports.arguments())
            .arg(self.ports.report_address())
            .args(&self.arguments);
        let daemon = self.daemon.insert(Daemon::start(&command, &self.log)?);
        let ports = self.ports;
        let ready = eventually("a control plane that is ready", SOON, async || {
            Ok(ports.is_ready().await.then_some(()))
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
