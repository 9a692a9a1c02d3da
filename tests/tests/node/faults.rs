//! Parts of the product die or are missing: the pod goes into service all the same.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::Api;
use libtest_mimic::Trial;
use proto::names;
use serde_json::json;
use tests::{
    cluster::{Cluster, container_status, shop},
    patience::{SOON, eventually},
    pods::{condition, create, create_until, delete, opened},
    sidecar::container,
    trials::trial,
};

use crate::{
    IMAGE,
    story::{is_true, namespace, ready},
};

const LONG: Duration = Duration::from_secs(150);

pub(crate) fn trials(cluster: Option<&Arc<Cluster>>) -> Vec<Trial> {
    vec![
        trial("a control plane that dies during a warm-up loses nothing", LONG, cluster, control_plane_dies),
        trial("a sidecar that dies during its warm-up starts over", LONG, cluster, sidecar_dies),
        trial("a sidecar that dies after its report parks again", LONG, cluster, sidecar_dies_later),
        trial("a sidecar that never reports does not hold its pod", LONG, cluster, sidecar_hangs),
        trial(
            "without a webhook pods are created untouched, and injected once it is back",
            LONG,
            cluster,
            no_webhook,
        ),
    ]
}

async fn control_plane_dies(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "control-plane-dies").await?;
    let settings = json!({"warmup-requests": "40", "warmup-duration": "4s"});
    create(&pods, &shop("web", IMAGE, &settings)).await?;
    running_sidecar(&pods, "web").await?;
    let system = ["--namespace", "kube-booster-system"];
    let delete = [&system[..], &["delete", "pods", "--all", "--grace-period=0", "--force"]].concat();
    cluster.kubectl(&delete)?;
    let (condition, record) = opened(&pods, "web", LONG).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupSucceeded"), "{condition:?}");
    ensure!(record.report.request_count == 40);
    let rollout = ["rollout", "status", "deployment/kube-booster", "--timeout=60s"];
    cluster.kubectl(&[&system[..], &rollout].concat())?;
    Ok(())
}

/// The sidecar's status, once it runs.
async fn running_sidecar(pods: &Api<Pod>, name: &str) -> anyhow::Result<ContainerStatus> {
    eventually("a sidecar that runs", LONG, async || {
        let pod = pods.get(name).await?;
        let status = container_status(&pod, names::SIDECAR_CONTAINER).cloned();
        Ok(status.filter(|status| status.state.as_ref().is_some_and(|state| state.running.is_some())))
    })
    .await
}

/// The sidecar's status, once it has been started again.
async fn restarted_sidecar(pods: &Api<Pod>, name: &str) -> anyhow::Result<ContainerStatus> {
    eventually("a sidecar that was started again", LONG, async || {
        let sidecar = running_sidecar(pods, name).await?;
        Ok(Some(sidecar).filter(|sidecar| sidecar.restart_count > 0))
    })
    .await
}

async fn sidecar_dies(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "sidecar-dies").await?;
    let settings = json!({"warmup-requests": "50", "warmup-duration": "5s"});
    create(&pods, &shop("web", IMAGE, &settings)).await?;
    let sidecar = running_sidecar(&pods, "web").await?;
    eventually("a warm-up under way", LONG, async || {
        Ok(Some(pods.get("web").await?).filter(|pod| is_true(pod, "ContainersReady")))
    })
    .await?;
    cluster.signal(&sidecar, "KILL")?;
    restarted_sidecar(&pods, "web").await?;
    let (condition, record) = opened(&pods, "web", LONG).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupSucceeded"), "{condition:?}");
    ensure!(record.report.request_count == 50);
    ready(&pods, "web", SOON).await?;
    Ok(())
}

async fn sidecar_dies_later(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "sidecar-dies-later").await?;
    let settings = json!({"warmup-requests": "5", "warmup-duration": "500ms", "warmup-endpoint": "/report"});
    create(&pods, &shop("web", IMAGE, &settings)).await?;
    let before = opened(&pods, "web", LONG).await?;
    ready(&pods, "web", SOON).await?;
    cluster.signal(&running_sidecar(&pods, "web").await?, "KILL")?;
    let sidecar = restarted_sidecar(&pods, "web").await?;
    ensure!(sidecar.restart_count == 1);
    ready(&pods, "web", SOON).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let curve = cluster.ask_app("sidecar-dies-later", "web", "/latency")?;
    ensure!(curve.contains("below: 5 warm-up, 0 of users"), "a second warm-up: {curve}");
    let pod = pods.get("web").await?;
    ensure!(is_true(&pod, "Ready") && condition(&pod).context("a condition")? == &before.0);
    Ok(())
}

async fn sidecar_hangs(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "sidecar-hangs").await?;
    let settings = json!({"warmup-requests": "10", "warmup-duration": "5s"});
    create(&pods, &shop("web", IMAGE, &settings)).await?;
    cluster.signal(&running_sidecar(&pods, "web").await?, "STOP")?;
    let (condition, record) = opened(&pods, "web", LONG).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupTimedOut"), "{condition:?}");
    ensure!(!record.report.success && record.report.request_count == 0);
    ready(&pods, "web", SOON).await?;
    delete(&pods, "web").await
}

async fn no_webhook(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "no-webhook").await?;
    let scale = |replicas: &str| {
        let count = format!("--replicas={replicas}");
        cluster.kubectl(&["--namespace", "kube-booster-system", "scale", "deployment/kube-booster", &count])
    };
    scale("0")?;
    let settings = json!({"warmup-requests": "2", "warmup-duration": "200ms"});
    create_until(&pods, &shop("untouched", IMAGE, &settings), LONG, |pod| container(pod).is_err()).await?;
    ready(&pods, "untouched", LONG).await?;
    scale("2")?;
    let rollout = [
        "--namespace",
        "kube-booster-system",
        "rollout",
        "status",
        "deployment/kube-booster",
        "--timeout=60s",
    ];
    cluster.kubectl(&rollout)?;
    create_until(&pods, &shop("injected", IMAGE, &settings), LONG, |pod| container(pod).is_ok()).await?;
    opened(&pods, "injected", LONG).await?;
    Ok(())
}
