//! Our control plane as it ships, against an API server on loopback.

use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

pub use crate::replica::{NAMESPACE, http_get, service_account_token};
use crate::{api_server::ApiServer, programs, replica::Replica};

const CONFIGURATION: &str = "zz-kube-booster";
/// What tests want to read.
const LOGS: [&str; 2] = [
    "--log-format=text",
    "--log-level=debug,h2=info,hyper_util=info,kube_client=info,rustls=info,tower=info",
];

/// An API server with our manifests applied and our control plane running.
#[derive(Debug)]
pub struct World {
    /// The API server.
    pub api: Arc<ApiServer>,
    /// Where the report server listens, on 127.0.0.1.
    pub report_port: u16,
    control_plane: Replica,
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
        let api = Arc::new(api_server_with_manifests().await?);
        let control_plane = Replica::new(&api, "control-plane", &[&LOGS, arguments].concat()).await?;
        let ports = control_plane.ports();
        call_webhook_at(&api.client().await?, ports.webhook).await?;
        Ok(Self { api, report_port: ports.report, control_plane })
    }

    /// Starts the control plane and waits until it is ready.
    pub async fn start_control_plane(&mut self) -> anyhow::Result<()> {
        self.control_plane.start().await
    }

    /// Kills the control plane, as a crash does.
    pub fn kill_control_plane(&mut self) {
        self.control_plane.kill();
    }

    /// Asks the control plane to end and says how it did.
    pub async fn terminate_control_plane(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        self.control_plane.terminate().await
    }

    /// What the control plane logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.control_plane.log()
    }

    /// The control plane's metrics.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        self.control_plane.metrics().await
    }

    /// A client with the control plane's own rights.
    pub async fn control_plane_client(&self) -> anyhow::Result<Client> {
        let config = kube::config::Kubeconfig::read_from(self.control_plane.kubeconfig())?;
        let options = kube::config::KubeConfigOptions::default();
        Ok(Client::try_from(kube::Config::from_custom_kubeconfig(config, &options).await?)?)
    }
}

/// An API server that has our manifests, and nobody who serves.
pub async fn api_server_with_manifests() -> anyhow::Result<ApiServer> {
    let api = ApiServer::start().await?;
    let base = programs::checkout().join("manifests/base");
    api.kubectl(&["apply", "--server-side", "-k", &base.display().to_string()])?;
    Ok(api)
}

/// Has the API server call the webhook at this port of 127.0.0.1: without a node there is no Service.
pub async fn call_webhook_at(client: &Client, port: u16) -> anyhow::Result<()> {
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let called = format!("https://127.0.0.1:{port}/mutate-v1-pod");
    let patch = json!([
        // Who serves writes its CA into it.
        {"op": "replace", "path": "/webhooks/0/clientConfig", "value": {"url": called}},
    ]);
    let patch = Patch::Json::<()>(serde_json::from_value(patch)?);
    configurations.patch(CONFIGURATION, &PatchParams::default(), &patch).await?;
    Ok(())
}
