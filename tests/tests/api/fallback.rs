//! Sidecars that do not run: their image is exchanged, and injection pauses where that happened.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use libtest_mimic::Trial;
use proto::{names, report::Reason};
use serde_json::{Value, json};
use tests::{
    control_plane::World,
    patience::{SOON, eventually},
    pods::{annotated, condition, create, delete, namespace, opened},
    reports::{good_report, submit},
    sidecar::{container, pod_token},
    trials::{alone, trial},
};
use tokio::time::{Instant, sleep};

/// What the shared control plane exchanges images for.
pub(crate) const FALLBACK_FLAG: &str = "--fallback-image=localhost/pause:1";
const FALLBACK: &str = "localhost/pause:1";
/// From the first error on, with some time for a machine that is shared.
const PATIENCE: Duration = Duration::from_secs(20);
const AUDIENCE: &str = "kube-booster.io";

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial(
            "ten seconds after the first error the image is exchanged and the gate opens",
            2 * SOON,
            world,
            exchanged,
        ),
        trial(
            "neither another container's trouble nor a single crash exchanges an image",
            SOON,
            world,
            left_alone,
        ),
        trial("a sidecar of which nothing is heard for a minute is exchanged", 2 * SOON, world, silent),
        trial("an open gate does not keep an image from being exchanged", 2 * SOON, world, open_gate),
        trial(
            "an image that fails pauses injection in its namespace, and a sidecar that works ends that",
            2 * SOON,
            world,
            paused,
        ),
    ]
}

pub(crate) fn trials_alone() -> Vec<Trial> {
    vec![alone(
        "an image that cannot be pulled anywhere pauses all namespaces, and without a fallback image nothing is exchanged",
        3 * SOON,
        everywhere,
    )]
}

fn waiting(reason: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": "a registry's own words"}})
}

/// Says of the sidecar what a kubelet says.
async fn say(pods: &Api<Pod>, name: &str, state: Value, restarts: u32) -> anyhow::Result<()> {
    let status = json!({"status": {"initContainerStatuses": [{
        "name": names::SIDECAR_CONTAINER, "image": "localhost/sidecar:1", "imageID": "", "ready": false,
        "restartCount": restarts, "state": state,
    }]}});
    pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(status)).await?;
    Ok(())
}

fn is_exchanged(pod: &Pod) -> anyhow::Result<bool> {
    Ok(container(pod)?.image.as_deref() == Some(FALLBACK))
}

async fn until_exchanged(pods: &Api<Pod>, name: &str) -> anyhow::Result<Pod> {
    eventually("another image", PATIENCE, async || {
        let pod = pods.get(name).await?;
        Ok(is_exchanged(&pod)?.then_some(pod))
    })
    .await
}

async fn exchanged(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "exchanged", json!({})).await?;
    create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let first = Instant::now();
    // The kubelet's errors come and go.
    for reason in ["ErrImagePull", "ImagePullBackOff", "PodInitializing", "ErrImagePull", "ImagePullBackOff"]
    {
        say(&pods, "web", waiting(reason), 0).await?;
        sleep(Duration::from_millis(1_500)).await;
    }
    until_exchanged(&pods, "web").await?;
    let took = first.elapsed();
    ensure!(took >= Duration::from_secs(9), "exchanged after {took:?}");

    let (condition, record) = opened(&pods, "web", SOON).await?;
    ensure!(condition.reason.as_deref() == Some("SidecarUnavailable"), "{condition:?}");
    let message = "in service without a warm-up: \
                   the image of container kube-booster-warmup cannot be pulled (ImagePullBackOff)";
    ensure!(condition.message.as_deref() == Some(message), "{condition:?}");
    ensure!(record.reason == Reason::SidecarUnavailable && !record.report.success);
    let counted = world.metrics().await?;
    let exchanges = r#"kube_booster_sidecar_exchanges_total{cause="pull",result="exchanged"}"#;
    ensure!(world.metric(exchanges).await? >= 1.0, "{counted}");
    ensure!(
        counted.contains(r#"kube_booster_warmup_total{namespace="exchanged",result="unavailable"} 1"#),
        "{counted}"
    );
    event(&world, "exchanged", "WarmupFailed", message).await
}

async fn silent(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "silent", json!({})).await?;
    for (name, seconds) in [("long", 70), ("short", 5)] {
        create(&pods, &annotated(name, 8080, &json!({}))).await?;
        say(&pods, name, waiting("PodInitializing"), 0).await?;
        let since = Timestamp::now().checked_sub(seconds.seconds())?.to_string();
        let ready =
            json!({"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": since});
        let status = json!({"status": {"conditions": [ready]}});
        pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(status)).await?;
    }
    until_exchanged(&pods, "long").await?;
    ensure!(!is_exchanged(&pods.get("short").await?)?, "a minute is not over");
    let (condition, _) = opened(&pods, "long", SOON).await?;
    ensure!(condition.reason.as_deref() == Some("SidecarUnavailable"), "{condition:?}");
    Ok(())
}

/// Waits until an Event of `namespace` with `reason` says `text`.
async fn event(world: &World, namespace: &str, reason: &str, text: &str) -> anyhow::Result<()> {
    eventually("an Event", SOON, async || {
        let columns = "custom-columns=:.reason,:.message";
        let events = world.api.kubectl(&["--namespace", namespace, "get", "events", "--output", columns])?;
        Ok(events.lines().any(|event| event.starts_with(reason) && event.contains(text)).then_some(()))
    })
    .await
}

async fn left_alone(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "left-alone", json!({})).await?;
    for name in ["app-fails", "killed-once"] {
        create(&pods, &annotated(name, 8080, &json!({}))).await?;
        say(&pods, name, json!({"running": {"startedAt": Timestamp::now().to_string()}}), 0).await?;
    }
    let app = json!({"status": {"containerStatuses": [{
        "name": "app", "image": "localhost/app:1", "imageID": "", "ready": false, "restartCount": 7,
        "state": waiting("CrashLoopBackOff"),
    }]}});
    pods.patch_status("app-fails", &PatchParams::default(), &Patch::Strategic(app)).await?;
    let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled",
        "finishedAt": Timestamp::now().to_string()}});
    say(&pods, "killed-once", killed, 0).await?;
    sleep(Duration::from_secs(1)).await;
    say(&pods, "killed-once", json!({"running": {"startedAt": Timestamp::now().to_string()}}), 1).await?;
    sleep(Duration::from_secs(12)).await;
    for name in ["app-fails", "killed-once"] {
        let pod = pods.get(name).await?;
        ensure!(!is_exchanged(&pod)? && condition(&pod).is_none(), "{name}");
    }
    Ok(())
}

async fn open_gate(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "open-gate", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    submit(&world, &pod_token(&client, &pod, AUDIENCE).await?, &good_report()).await??;
    // Its node was started again, and the image is not there any more.
    say(&pods, "web", waiting("CreateContainerError"), 0).await?;
    let pod = until_exchanged(&pods, "web").await?;
    let reason = condition(&pod).and_then(|condition| condition.reason.as_deref());
    ensure!(reason == Some("WarmupSucceeded"), "its report stays: {reason:?}");
    event(&world, "open-gate", "WarmupFailed", "cannot be created (CreateContainerError)").await
}

/// Whether a pod that is created in this namespace is injected; it is deleted again.
async fn is_injected(pods: &Api<Pod>) -> anyhow::Result<bool> {
    let injected = container(&create(pods, &annotated("probe", 8080, &json!({}))).await?).is_ok();
    delete(pods, "probe").await?;
    Ok(injected)
}

async fn paused(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "paused", json!({})).await?;
    let others = namespace(&client, "not-paused", json!({})).await?;
    create(&pods, &annotated("fails", 8080, &json!({}))).await?;
    let works = create(&pods, &annotated("works", 8080, &json!({}))).await?;
    say(&pods, "fails", waiting("CrashLoopBackOff"), 2).await?;
    until_exchanged(&pods, "fails").await?;

    let manifest = world.api.folder().join("paused.json");
    let mut pod = annotated("warned", 8080, &json!({}));
    (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
    std::fs::write(&manifest, pod.to_string())?;
    let create = ["--namespace", "paused", "create", "--filename", &manifest.display().to_string()];
    let printed = world.api.kubectl(&create)?;
    ensure!(printed.contains("Warning: pod is not warmed up: injection is paused"), "{printed}");
    ensure!(container(&pods.get("warned").await?).is_err());
    ensure!(is_injected(&others).await?, "a namespace pauses no other");
    let counted = world.metrics().await?;
    ensure!(counted.contains(r#"kube_booster_injections_total{result="skipped",reason="paused"}"#));
    ensure!(counted.contains("kube_booster_injection_paused_everywhere 0"));
    event(&world, "paused", "InjectionPaused", "pods of namespace paused are not injected for 30s").await?;

    let started = Timestamp::now().to_string();
    say(&pods, "works", json!({"running": {"startedAt": started}}), 0).await?;
    submit(&world, &pod_token(&client, &works, AUDIENCE).await?, &good_report()).await??;
    eventually("a pod that is injected", SOON, async || Ok(is_injected(&pods).await?.then_some(()))).await?;
    event(&world, "paused", "InjectionResumed", "injected again").await
}

async fn everywhere() -> anyhow::Result<()> {
    let world = World::start(&[]).await?;
    let client = world.api.client().await?;
    let fail = async |name: &str, node: &str| {
        let pods = namespace(&client, name, json!({})).await?;
        let mut pod = annotated("web", 8080, &json!({}));
        pod["spec"]["nodeName"] = node.into();
        create(&pods, &pod).await?;
        say(&pods, "web", waiting("ErrImagePull"), 0).await?;
        anyhow::Ok(pods)
    };
    let failed = [fail("one", "n1").await?, fail("two", "n1").await?, fail("three", "n2").await?];
    eventually("a pause of all namespaces", PATIENCE, async || {
        Ok(world.metrics().await?.contains("kube_booster_injection_paused_everywhere 1").then_some(()))
    })
    .await?;
    let bystander = namespace(&client, "bystander", json!({})).await?;
    ensure!(!is_injected(&bystander).await?);
    event(&world, "kube-booster-system", "InjectionPaused", "pods of all namespaces").await?;
    event(&world, "one", "WarmupFailed", "kube-booster has no --fallback-image").await?;
    for pods in failed {
        let pod = pods.get("web").await?;
        let image = container(&pod)?.image.as_deref().context("an image")?;
        ensure!(image.starts_with("kube-booster/sidecar:") && condition(&pod).is_none(), "{image}");
    }
    let none = r#"kube_booster_sidecar_exchanges_total{cause="pull",result="no_image"} 3"#;
    ensure!(world.metrics().await?.contains(none));
    Ok(())
}
