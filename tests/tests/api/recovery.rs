//! The control plane goes away and comes back: nothing is lost. Each test has a pair of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use jiff::{Timestamp, ToSpan};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    app::App,
    control_plane::World,
    patience::{SOON, eventually},
    pods::{annotated, condition, containers_ready, create, create_until, delete, namespace, opened},
    reports::{good_report, submit},
    sidecar::{Sidecar, container, pod_token},
    trials::alone,
};
use tonic::Code;

const LONG: Duration = Duration::from_secs(150);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        alone("a report and a deadline survive a restart of the control plane", LONG, restart),
        alone(
            "a pod is created untouched while the webhook is down, and injected when it is back",
            LONG,
            webhook_down,
        ),
        alone("a webhook that does not answer lets a pod through in its five seconds", LONG, webhook_silent),
        alone(
            "a patch that the API server refuses for a while is tried until it is taken",
            LONG,
            refused_patch,
        ),
        alone(
            "pods that go away before, during and after their warm-up leave nothing behind",
            LONG,
            pods_go_away,
        ),
    ]
}

async fn restart() -> anyhow::Result<()> {
    let mut world = World::start(&[]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "restart", json!({})).await?;
    let app = App::answering(200).await?;
    let settings = json!({"warmup-requests": "10", "warmup-duration": "1s"});
    let reporting = create(&pods, &annotated("reporting", app.port(), &settings)).await?;
    create(&pods, &annotated("silent", 8080, &json!({"warmup-duration": "1s"}))).await?;
    let ready = Timestamp::now().checked_sub(27.seconds())?;
    containers_ready(&pods, "silent", ready).await?;

    let sidecar = Sidecar::of(&client, &reporting).await?;
    eventually("a first request", SOON, async || Ok((!app.warmup_requests().is_empty()).then_some(())))
        .await?;
    world.kill_control_plane();
    eventually("all requests", SOON, async || Ok((app.warmup_requests().len() == 10).then_some(()))).await?;
    // The deadline of the silent pod passes, and the sidecar tries to report, while nobody is there.
    tokio::time::sleep(Duration::from_secs(5)).await;
    for name in ["silent", "reporting"] {
        let pod = pods.get(name).await?;
        ensure!(condition(&pod).is_none_or(|condition| condition.status == "False"), "{name} was opened");
    }

    world.start_control_plane().await?;
    let (reported, _) = opened(&pods, "reporting", SOON).await?;
    ensure!(
        reported.reason.as_deref() == Some("WarmupSucceeded"),
        "{reported:?} {}",
        sidecar.process.output()
    );
    let (timed_out, _) = opened(&pods, "silent", SOON).await?;
    ensure!(timed_out.reason.as_deref() == Some("WarmupTimedOut"));
    let deadline = ready.checked_add(31.seconds())?.as_second();
    ensure!(
        timed_out.last_transition_time.map(|time| time.0.as_second()) == Some(deadline),
        "the same deadline"
    );
    let ended = world.terminate_control_plane().await?;
    ensure!(ended.success(), "{ended}");
    Ok(())
}

async fn webhook_down() -> anyhow::Result<()> {
    let mut world = World::without_control_plane(&[]).await?;
    let pods = namespace(&world.api.client().await?, "webhook-down", json!({})).await?;
    let untouched = create(&pods, &annotated("before", 8080, &json!({}))).await?;
    ensure!(container(&untouched).is_err(), "nobody was there to inject it");
    world.start_control_plane().await?;
    create_until(&pods, &annotated("after", 8080, &json!({})), SOON, |pod| container(pod).is_ok()).await?;
    world.kill_control_plane();
    let untouched = create(&pods, &annotated("down-again", 8080, &json!({}))).await?;
    ensure!(container(&untouched).is_err());
    Ok(())
}

async fn webhook_silent() -> anyhow::Result<()> {
    let world = World::start(&[]).await?;
    let pods = namespace(&world.api.client().await?, "silent-webhook", json!({})).await?;
    world.signal_control_plane("STOP")?;
    let start = Instant::now();
    let untouched = create(&pods, &annotated("meanwhile", 8080, &json!({}))).await?;
    let took = start.elapsed();
    world.signal_control_plane("CONT")?;
    ensure!(container(&untouched).is_err() && took < Duration::from_secs(9), "after {took:?}");
    create_until(&pods, &annotated("again", 8080, &json!({})), SOON, |pod| container(pod).is_ok()).await?;
    Ok(())
}

async fn refused_patch() -> anyhow::Result<()> {
    const BINDING: &str = "clusterrolebinding/kube-booster";
    let world = World::start(&[]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "refused-patch", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let token = pod_token(&client, &pod, "kube-booster.io").await?;
    let binding = world.api.folder().join("binding.json");
    std::fs::write(&binding, world.api.kubectl(&["get", BINDING, "--output=json"])?)?;
    world.api.kubectl(&["delete", BINDING])?;
    eventually("a right that is gone", SOON, async || {
        let account = "--as=system:serviceaccount:kube-booster-system:kube-booster";
        let may = world.api.kubectl(&["auth", "can-i", "patch", "pods", "--subresource=status", account]);
        Ok(may.is_err().then_some(()))
    })
    .await?;
    let refused =
        submit(&world, &token, &good_report()).await?.err().context("a report that is not stored")?;
    ensure!(refused.code() == Code::Unavailable, "{refused:?}");
    let failures = r#"kube_booster_gate_patch_failures_total{cause="refused"}"#;
    ensure!(world.metric(failures).await? >= 1.0, "a refused patch is counted");
    ensure!(condition(&pods.get("web").await?).is_none_or(|condition| condition.status == "False"));
    world.api.kubectl(&["create", "--filename", &binding.display().to_string()])?;
    let (condition, _) = opened(&pods, "web", SOON).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupSucceeded"), "{condition:?}");
    Ok(())
}

async fn pods_go_away() -> anyhow::Result<()> {
    let world = World::start(&[]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "go-away", json!({})).await?;
    let app = App::answering(200).await?;
    let settings = json!({"warmup-requests": "20", "warmup-duration": "2s"});
    create(&pods, &annotated("before", app.port(), &settings)).await?;
    delete(&pods, "before").await?;

    let during = create(&pods, &annotated("during", app.port(), &settings)).await?;
    let mut orphan = Sidecar::of(&client, &during).await?;
    eventually("an active warm-up", SOON, async || {
        let active = r#"kube_booster_warmup_active_pods{namespace="go-away",node=""} 1"#;
        Ok(world.metrics().await?.contains(active).then_some(()))
    })
    .await?;
    delete(&pods, "during").await?;

    let after = create(&pods, &annotated("after", app.port(), &settings)).await?;
    let _sidecar = Sidecar::of(&client, &after).await?;
    opened(&pods, "after", SOON).await?;
    delete(&pods, "after").await?;
    eventually("no active warm-up", SOON, async || {
        let none = r#"kube_booster_warmup_active_pods{namespace="go-away",node=""} 0"#;
        Ok(world.metrics().await?.contains(none).then_some(()))
    })
    .await?;
    ensure!(orphan.process.runs(), "a sidecar never ends by itself: {}", orphan.process.output());
    Ok(())
}
