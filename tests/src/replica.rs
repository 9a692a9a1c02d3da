//! One process of our control plane, with ports of its own.

use std::{path::Path, process::Command};

use anyhow::Context;

use crate::{
    control_plane::{World, control_plane_kubeconfig, http_get},
    daemon::Daemon,
    patience::{SOON, eventually},
    ports::Ports,
    programs,
};

/// A control plane beside the one of a [`World`], which the API server does not call.
#[derive(Debug)]
pub struct Replica {
    process: Daemon,
    ports: Ports,
}

impl Replica {
    /// Starts a second replica for `world`, with its arguments, and waits until it is ready.
    pub async fn start(world: &World) -> anyhow::Result<Self> {
        let ports = Ports::free()?;
        let mut command = command(&control_plane_kubeconfig(&world.api).await?)?;
        command.args(ports.arguments()).arg(ports.report_address()).args(world.arguments());
        let log = world.api.folder().join(format!("replica-{}.log", ports.health));
        let process = Daemon::start(&command, &log)?;
        let ready =
            eventually("a replica that is ready", SOON, async || Ok(ports.is_ready().await.then_some(())));
        ready.await.with_context(|| process.output())?;
        Ok(Self { process, ports })
    }

    /// Its metrics.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        http_get(self.ports.metrics, "/metrics").await
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
