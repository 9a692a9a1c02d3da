//! The injected sidecar of a stored pod, run on this machine as a kubelet would run it.

use std::{fs, process::Command};

use anyhow::Context;
use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{Container, EnvVar, Pod, ServiceAccount},
};
use kube::{Api, Client, api::PostParams};
use proto::names;
use serde_json::json;
use tempfile::TempDir;

use crate::{daemon::Daemon, programs};

/// A sidecar that runs; its app is on 127.0.0.1.
#[derive(Debug)]
pub struct Sidecar {
    /// The program.
    pub process: Daemon,
    _mount: TempDir,
}

impl Sidecar {
    /// Runs the sidecar of `pod`, with a token of its own.
    pub async fn of(client: &Client, pod: &Pod) -> anyhow::Result<Self> {
        let token = pod_token(client, pod, names::TOKEN_AUDIENCE).await?;
        Self::with_token(pod, &token)
    }

    /// Runs the sidecar of `pod` with `token`.
    pub fn with_token(pod: &Pod, token: &str) -> anyhow::Result<Self> {
        let mount = tempfile::tempdir()?;
        fs::write(mount.path().join(names::TOKEN_FILE), token)?;
        let annotations = pod.metadata.annotations.as_ref();
        let report = annotations.and_then(|all| all.get(names::REPORT_ANNOTATION)).map_or("", String::as_str);
        fs::write(mount.path().join(names::REPORT_FILE), report)?;
        let mut command = Command::new(programs::own("kube-booster-sidecar")?);
        command.env("KUBE_BOOSTER_MOUNT", mount.path());
        for variable in container(pod)?.env.iter().flatten() {
            command.env(&variable.name, value(variable, pod)?);
        }
        let process = Daemon::start(&command, &mount.path().join("log"))?;
        Ok(Self { process, _mount: mount })
    }
}

/// The injected container.
pub fn container(pod: &Pod) -> anyhow::Result<&Container> {
    let containers = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_ref());
    let found = containers.into_iter().flatten().find(|container| container.name == names::SIDECAR_CONTAINER);
    found.context("the pod has no sidecar")
}

/// What the kubelet would make of a variable.
fn value(variable: &EnvVar, pod: &Pod) -> anyhow::Result<String> {
    if let Some(value) = &variable.value {
        return Ok(value.replace("$$", "$"));
    }
    let source = variable.value_from.as_ref().and_then(|from| from.field_ref.as_ref());
    match source.map(|source| source.field_path.as_str()) {
        Some("metadata.uid") => pod.metadata.uid.clone().context("a stored pod has a UID"),
        Some("status.podIPs") => Ok("127.0.0.1".to_owned()),
        other => anyhow::bail!("{} comes from {other:?}, which this harness does not know", variable.name),
    }
}

/// A token bound to `pod`, for `audience`.
pub async fn pod_token(client: &Client, pod: &Pod, audience: &str) -> anyhow::Result<String> {
    let namespace = pod.metadata.namespace.as_deref().context("a stored pod has a namespace")?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request: TokenRequest = serde_json::from_value(json!({"metadata": {}, "spec": {
        "audiences": [audience], "expirationSeconds": 600,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod",
            "name": pod.metadata.name, "uid": pod.metadata.uid},
    }}))?;
    let made = accounts.create_token_request("default", &PostParams::default(), &request).await?;
    Ok(made.status.context("a token has a status")?.token)
}
