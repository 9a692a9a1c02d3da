//! One control plane as it ships, with the rights that the manifests give it.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::Context;
use k8s_openapi::api::authentication::v1::TokenRequest;
use kube::{Api, Client, api::PostParams};
use serde_json::json;

use crate::{
    api_server::{ApiServer, free_port},
    daemon::Daemon,
    patience::{SOON, eventually},
    programs,
};

/// Our own namespace.
pub const NAMESPACE: &str = "kube-booster-system";

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

/// A control plane; it is killed when this is dropped.
#[derive(Debug)]
pub struct Replica {
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

impl Replica {
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

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.as_ref().map(Daemon::output).unwrap_or_default()
    }

    /// Its metrics.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        http_get(self.ports.metrics, "/metrics").await
    }

    /// The kubeconfig with its rights.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
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

/// A token of ServiceAccount `name`, for `audience` or else the API server.
pub async fn service_account_token(
    client: &Client,
    namespace: &str,
    name: &str,
    audience: Option<&str>,
) -> anyhow::Result<String> {
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
        Api::namespaced(client.clone(), namespace);
    let audiences = audience.map(|audience| vec![audience]).unwrap_or_default();
    let request: TokenRequest = serde_json::from_value(json!({
        "metadata": {}, "spec": {"audiences": audiences, "expirationSeconds": 3600},
    }))?;
    let made = accounts.create_token_request(name, &PostParams::default(), &request).await?;
    Ok(made.status.context("a token has a status")?.token)
}

/// The answer to `GET path` on 127.0.0.1, headers included.
pub async fn http_get(port: u16, path: &str) -> anyhow::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let exchange = async {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        anyhow::Ok(text)
    };
    tokio::time::timeout(Duration::from_secs(5), exchange).await?
}
