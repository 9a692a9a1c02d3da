//! Our control plane as it ships, against an API server on loopback, with the rights that the manifests give it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use k8s_openapi::api::{
    admissionregistration::v1::MutatingWebhookConfiguration,
    authentication::v1::TokenRequest,
    core::v1::{Namespace, Pod},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    api_server::ApiServer,
    daemon::Daemon,
    patience::{SOON, eventually},
    pods,
    ports::Ports,
    programs, replica, sidecar,
};

/// Our own namespace.
pub const NAMESPACE: &str = "kube-booster-system";
const CONFIGURATION: &str = "zz-kube-booster";
/// Where it is tried whether the API server calls our webhook.
const PROBE: &str = "probe";

/// An API server with our manifests applied and our control plane running.
#[derive(Debug)]
pub struct World {
    /// The API server.
    pub api: Arc<ApiServer>,
    /// Where the control plane listens.
    pub ports: Ports,
    /// Whether sidecars are told to report there, or at the Service's address, which nobody answers here.
    pub is_reported_to: bool,
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
            ports: Ports::free()?,
            is_reported_to: true,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            control_plane: None,
        };
        world.point_webhook_at_loopback().await?;
        Ok(world)
    }

    /// No node, no Service: the API server calls the webhook by URL.
    async fn point_webhook_at_loopback(&self) -> anyhow::Result<()> {
        let configurations: Api<MutatingWebhookConfiguration> = Api::all(self.api.client().await?);
        let url = format!("https://127.0.0.1:{}/mutate-v1-pod", self.ports.webhook);
        let patch = json!([
            {"op": "remove", "path": "/webhooks/0/clientConfig/service"},
            {"op": "add", "path": "/webhooks/0/clientConfig/url", "value": url},
        ]);
        let patch = Patch::Json::<()>(serde_json::from_value(patch)?);
        configurations.patch(CONFIGURATION, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Applies the manifest of our webhook again, calling loopback, as field manager `manager` that forces nothing.
    pub fn apply_configuration(&self, manager: &str) -> anyhow::Result<String> {
        let manifest = programs::checkout().join("manifests/base/webhook-configuration.yaml");
        let manifest = std::fs::read_to_string(manifest)?;
        let (before, rest) = manifest.split_once("    service:\n").context("the manifest names a Service")?;
        let after = rest.lines().skip_while(|line| line.starts_with("      ")).collect::<Vec<_>>().join("\n");
        let url = format!("    url: https://127.0.0.1:{}/mutate-v1-pod\n", self.ports.webhook);
        let file = self.api.folder().join("webhook-configuration.yaml");
        std::fs::write(&file, format!("{before}{url}{after}\n"))?;
        let manager = format!("--field-manager={manager}");
        self.api.kubectl(&["apply", "--server-side", &manager, "--filename", &file.display().to_string()])
    }

    /// Starts the control plane and waits until it is ready.
    pub async fn start_control_plane(&mut self) -> anyhow::Result<()> {
        let ports = self.ports;
        let mut command = replica::command(&control_plane_kubeconfig(&self.api).await?)?;
        command
            .args(ports.arguments())
            .args(self.is_reported_to.then(|| ports.report_address()))
            .args(&self.arguments);
        let daemon = Daemon::start(&command, &self.api.folder().join("control-plane.log"))?;
        let daemon = self.control_plane.insert(daemon);
        let ready = eventually("a control plane that is ready", SOON, async || {
            Ok(ports.is_ready().await.then_some(()))
        });
        ready.await.with_context(|| daemon.output())?;
        self.injects().await.with_context(|| self.log())
    }

    /// Waits until the API server, too, has learnt what the control plane told it.
    async fn injects(&self) -> anyhow::Result<()> {
        let client = self.api.client().await?;
        if Api::<Namespace>::all(client.clone()).get_opt(PROBE).await?.is_none() {
            pods::namespace(&client, PROBE, json!({})).await?;
        }
        let probes: Api<Pod> = Api::namespaced(client, PROBE);
        let probe = serde_json::from_value(pods::annotated("probe", 8080, &json!({})))?;
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        eventually("an API server that calls our webhook", SOON, async || {
            let answer = probes.create(&dry_run, &probe).await?;
            Ok(sidecar::container(&answer).is_ok().then_some(()))
        })
        .await
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

    /// Sends `signal`, such as `STOP`, to the control plane.
    pub fn signal_control_plane(&self, signal: &str) -> anyhow::Result<()> {
        let pid = self.control_plane.as_ref().context("the control plane runs")?.pid();
        let sent = std::process::Command::new("kill").args(["-s", signal, &pid.to_string()]).status()?;
        anyhow::ensure!(sent.success(), "kill: {sent}");
        Ok(())
    }

    /// Asks the control plane to end, and does not wait for it.
    pub fn ask_control_plane_to_end(&self) -> anyhow::Result<()> {
        self.signal_control_plane("TERM")
    }

    /// Connects to the webhook's port, as a new client does, without a request.
    pub async fn connect_to_webhook(&self) -> anyhow::Result<tokio::net::TcpStream> {
        Ok(tokio::net::TcpStream::connect(("127.0.0.1", self.ports.webhook)).await?)
    }

    /// What the control plane is started with, beside what tests need.
    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// What the control plane logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.control_plane.as_ref().map(Daemon::output).unwrap_or_default()
    }

    /// Memory of the control plane that is resident, in MiB: now, and at most since the last look.
    pub fn memory(&self) -> anyhow::Result<(u64, u64)> {
        let pid = self.control_plane.as_ref().context("the control plane runs")?.pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let mebibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("there is memory")?;
            anyhow::Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
        };
        let memory = (mebibytes("VmRSS:")?, mebibytes("VmHWM:")?);
        // Has the kernel forget the highest value.
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        Ok(memory)
    }

    /// The value of the control plane's metric `series`, labels included; 0 where it has none yet.
    pub async fn metric(&self, series: &str) -> anyhow::Result<f64> {
        let text = self.metrics().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(value.map_or(Ok(0.0), str::parse)?)
    }

    /// What the control plane says of its readiness.
    pub async fn readiness(&self) -> anyhow::Result<String> {
        let answer = http_get(self.ports.health, "/readyz").await?;
        Ok(answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim().to_owned())
    }

    /// The control plane's metrics.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        http_get(self.ports.metrics, "/metrics").await
    }

    /// A client with the control plane's own rights.
    pub async fn control_plane_client(&self) -> anyhow::Result<Client> {
        let config = kube::config::Kubeconfig::read_from(control_plane_kubeconfig(&self.api).await?)?;
        let options = kube::config::KubeConfigOptions::default();
        Ok(Client::try_from(kube::Config::from_custom_kubeconfig(config, &options).await?)?)
    }
}

/// A kubeconfig with the rights that the manifests give the control plane.
pub(crate) async fn control_plane_kubeconfig(api: &ApiServer) -> anyhow::Result<PathBuf> {
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
