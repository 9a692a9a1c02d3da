//! Our control plane as it ships, against an API server on loopback, with the rights that the manifests give it.

use std::{path::PathBuf, process::Command, sync::Arc, time::Duration};

use anyhow::Context;
use k8s_openapi::api::{
    admissionregistration::v1::MutatingWebhookConfiguration, authentication::v1::TokenRequest,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    api_server::{ApiServer, free_port},
    daemon::Daemon,
    patience::{SOON, eventually},
    programs,
};

/// Our own namespace.
pub const NAMESPACE: &str = "kube-booster-system";
const CONFIGURATION: &str = "zz-kube-booster";

/// An API server with our manifests applied and our control plane running.
#[derive(Debug)]
pub struct World {
    /// The API server.
    pub api: Arc<ApiServer>,
    /// Where the report server listens, on 127.0.0.1.
    pub report_port: u16,
    health_port: u16,
    metrics_port: u16,
    webhook_port: u16,
    arguments: Vec<String>,
    control_plane: Option<Daemon>,
}

impl World {
    /// Starts an API server and, with `arguments` beside those that tests need, the control plane.
    pub async fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut world = Self::without_control_plane(arguments).await?;
        world.start_control_plane().await?;
        Ok(world)
    }

    /// Starts an API server that has our manifests.
    pub async fn without_control_plane(arguments: &[&str]) -> anyhow::Result<Self> {
        let api = Arc::new(ApiServer::start().await?);
        let base = programs::checkout().join("manifests/base");
        api.kubectl(&["apply", "--server-side", "-k", &base.display().to_string()])?;
        let world = Self {
            api,
            report_port: free_port()?,
            health_port: free_port()?,
            metrics_port: free_port()?,
            webhook_port: free_port()?,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            control_plane: None,
        };
        world.point_webhook_at_loopback().await?;
        Ok(world)
    }

    /// No node, no Service: the API server calls the webhook by URL.
    async fn point_webhook_at_loopback(&self) -> anyhow::Result<()> {
        let configurations: Api<MutatingWebhookConfiguration> = Api::all(self.api.client().await?);
        let url = format!("https://127.0.0.1:{}/mutate-v1-pod", self.webhook_port);
        let patch = json!([
            {"op": "remove", "path": "/webhooks/0/clientConfig/service"},
            {"op": "add", "path": "/webhooks/0/clientConfig/url", "value": url},
        ]);
        let patch = Patch::Json::<()>(serde_json::from_value(patch)?);
        configurations.patch(CONFIGURATION, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Starts the control plane and waits until it is ready.
    pub async fn start_control_plane(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(programs::own("kube-booster-control-plane")?);
        command
            .env("KUBECONFIG", self.control_plane_kubeconfig().await?)
            .arg(format!("--webhook-port={}", self.webhook_port))
            .arg(format!("--report-port={}", self.report_port))
            .arg(format!("--report-address=127.0.0.1:{}", self.report_port))
            .arg(format!("--metrics-bind-address=127.0.0.1:{}", self.metrics_port))
            .arg(format!("--health-probe-bind-address=127.0.0.1:{}", self.health_port))
            .args([
                "--log-format=text",
                "--log-level=debug,h2=info,hyper_util=info,kube_client=info,rustls=info,tower=info",
            ])
            .args(&self.arguments);
        let daemon = Daemon::start(&command, &self.api.folder().join("control-plane.log"))?;
        let daemon = self.control_plane.insert(daemon);
        let port = self.health_port;
        let ready = eventually("a control plane that is ready", SOON, async || {
            Ok(http_get(port, "/readyz").await.ok().filter(|answer| answer.contains("ok")))
        });
        ready.await.with_context(|| daemon.output())?;
        Ok(())
    }

    /// Kills the control plane, as a crash does.
    pub fn kill_control_plane(&mut self) {
        self.control_plane = None;
    }

    /// Asks the control plane to end and says how it did.
    pub async fn terminate_control_plane(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        let daemon = self.control_plane.as_mut().context("the control plane runs")?;
        daemon.terminate(SOON).await
    }

    /// What the control plane logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.control_plane.as_ref().map(Daemon::output).unwrap_or_default()
    }

    /// The control plane's metrics.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        http_get(self.metrics_port, "/metrics").await
    }

    /// A client with the control plane's own rights.
    pub async fn control_plane_client(&self) -> anyhow::Result<Client> {
        let config = kube::config::Kubeconfig::read_from(self.control_plane_kubeconfig().await?)?;
        let options = kube::config::KubeConfigOptions::default();
        Ok(Client::try_from(kube::Config::from_custom_kubeconfig(config, &options).await?)?)
    }

    async fn control_plane_kubeconfig(&self) -> anyhow::Result<PathBuf> {
        let token = service_account_token(&self.api.client().await?, NAMESPACE, "kube-booster", None).await?;
        let path = self.api.folder().join("control-plane.kubeconfig");
        std::fs::write(&path, self.api.kubeconfig_for(&token)?)?;
        Ok(path)
    }
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
