//! A held pod says in its condition what it waits for.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use kube::{Api, Client};
use libtest_mimic::Trial;
use proto::v1::{BeginWarmupRequest, Progress};
use serde_json::json;
use tests::{
    control_plane::World,
    patience::{SOON, eventually},
    pods::{annotated, condition, create, namespace, opened},
    reports::{good_report, sidecars, submit, with_token},
    sidecar::pod_token,
    trials::{alone, trial},
};

const AUDIENCE: &str = "kube-booster.io";
/// Pods whose report comes right after their beginning.
const HASTY: usize = 20;

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial("a held pod says in its condition that it is being warmed", SOON, world, says_why),
        trial("a pod whose app does not answer says so, and only that", SOON, world, says_once),
        trial("what a held pod says never closes a gate again", SOON, world, never_closes),
        alone("with --waiting-condition=false a held pod has no condition", 2 * SOON, switched_off),
    ]
}

async fn begin(world: &World, client: &Client, pod: &Pod, progress: Progress) -> anyhow::Result<()> {
    let token = pod_token(client, pod, AUDIENCE).await?;
    let message = BeginWarmupRequest {
        progress: progress.into(),
        message: "tried GET http://127.0.0.1:8080/ready: connection refused".to_owned(),
        app_wait: None,
    };
    sidecars(world).await?.begin_warmup(with_token(message, &token)?).await?;
    Ok(())
}

async fn held(pods: &Api<Pod>, name: &str) -> anyhow::Result<PodCondition> {
    eventually("a condition", SOON, async || Ok(condition(&pods.get(name).await?).cloned())).await
}

async fn says_why(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "says-why", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({"warmup-requests": "40"}))).await?;
    begin(&world, &client, &pod, Progress::Starting).await?;
    let held = held(&pods, "web").await?;
    ensure!((held.status.as_str(), held.reason.as_deref()) == ("False", Some("WarmingUp")), "{held:?}");
    let message = "the app answers; held out of Services until 40 warm-up requests were sent over 30s";
    ensure!(held.message.as_deref() == Some(message), "{held:?}");
    submit(&world, &pod_token(&client, &pod, AUDIENCE).await?, &good_report()).await??;
    opened(&pods, "web", SOON).await?;
    Ok(())
}

async fn says_once(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "says-once", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    begin(&world, &client, &pod, Progress::WaitingForApp).await?;
    let waiting = held(&pods, "web").await?;
    ensure!(waiting.reason.as_deref() == Some("WaitingForApp"), "{waiting:?}");
    begin(&world, &client, &pod, Progress::Starting).await?;
    submit(&world, &pod_token(&client, &pod, AUDIENCE).await?, &good_report()).await??;
    let ours = pods.get("web").await?.metadata.managed_fields.unwrap_or_default();
    ensure!(ours.iter().filter(|entry| entry.manager.as_deref() == Some("kube-booster")).count() == 1);
    let (condition, _) = opened(&pods, "web", SOON).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupSucceeded"));
    Ok(())
}

async fn never_closes(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "never-closes", json!({})).await?;
    let warm = async |index: usize| {
        let name = format!("web-{index}");
        let pod = create(&pods, &annotated(&name, 8080, &json!({}))).await?;
        begin(&world, &client, &pod, Progress::Starting).await?;
        let token = pod_token(&client, &pod, AUDIENCE).await?;
        submit(&world, &token, &good_report()).await??;
        let condition = condition(&pods.get(&name).await?).cloned().context("a report was taken")?;
        ensure!(condition.status == "True", "{condition:?}");
        anyhow::Ok(name)
    };
    let names = try_join_all((0..HASTY).map(warm)).await?;
    // What was still under way has landed, or was refused, by now.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for name in names {
        let condition = condition(&pods.get(&name).await?).cloned().context("a condition")?;
        ensure!(condition.reason.as_deref() == Some("WarmupSucceeded"), "{condition:?}");
    }
    Ok(())
}

async fn switched_off() -> anyhow::Result<()> {
    let world = World::start(&["--waiting-condition=false"]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "switched-off", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    begin(&world, &client, &pod, Progress::Starting).await?;
    eventually("an active warm-up", SOON, async || {
        Ok(world.metrics().await?.contains(r#"warmup_active_pods{namespace="switched-off""#).then_some(()))
    })
    .await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    ensure!(condition(&pods.get("web").await?).is_none());
    Ok(())
}
