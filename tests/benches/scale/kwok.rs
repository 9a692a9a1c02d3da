//! Simulated nodes: kwok says of each of their pods what a kubelet would.

use std::{path::Path, process::Command, time::Duration};

use anyhow::Context;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use serde_json::json;
use tests::{api_server::ApiServer, daemon::Daemon, patience::eventually, programs};

const PATIENCE: Duration = Duration::from_mins(5);

/// The nodes' names.
pub(crate) fn node(number: usize) -> String {
    format!("node-{number}")
}

/// Creates `count` nodes.
pub(crate) async fn create_nodes(client: &Client, count: usize) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    for number in 0..count {
        let body = serde_json::from_value(json!({"metadata": {"name": node(number)}}))?;
        nodes.create(&PostParams::default(), &body).await?;
    }
    Ok(())
}

/// Runs kwok at `program`.
pub(crate) fn start(program: &Path, api: &ApiServer) -> anyhow::Result<Daemon> {
    let mut command = Command::new(program);
    command
        .env("HOME", api.folder())
        .arg("--manage-all-nodes")
        .arg("--node-lease-duration-seconds=0")
        .arg(format!("--kubeconfig={}", api.kubeconfig().display()))
        .arg(format!("--config={}", programs::checkout().join("hack/bench/stages.yaml").display()));
    Daemon::start(&command, &api.folder().join("kwok.log"))
}

/// Waits until all of `pods` run.
pub(crate) async fn all_run(pods: &Api<Pod>, kwok: &Daemon) -> anyhow::Result<()> {
    let waits = ListParams::default().fields("status.phase!=Running").limit(1);
    let all_run = eventually("pods that all run", PATIENCE, async || {
        Ok(pods.list_metadata(&waits).await?.items.is_empty().then_some(()))
    });
    all_run.await.with_context(|| kwok.output())
}
