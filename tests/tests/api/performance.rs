//! The performance tracker, as an operator sees it.

use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    control_plane::{World, http_get},
    patience::{SOON, eventually},
    pods::{annotated, create, namespace},
    sidecar::container,
    trials::alone,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        alone("tracked reviews are in the snapshot, the metrics and the log", 2 * SOON, tracked),
        alone("reviews are not tracked unless somebody asks for it", 2 * SOON, untracked),
    ]
}

async fn snapshot(world: &World) -> anyhow::Result<Value> {
    let answer = http_get(world.ports.metrics, "/debug/performance").await?;
    let body = answer.split("\r\n\r\n").nth(1).context("an answer has a body")?;
    Ok(serde_json::from_str(body)?)
}

async fn tracked() -> anyhow::Result<()> {
    let flags = ["--enable-webhook-performance-tracking", "--webhook-slow-request-threshold=0s"];
    let world = World::start(&flags).await?;
    let pods = namespace(&world.api.client().await?, "tracked", json!({})).await?;
    container(&create(&pods, &annotated("web", 8080, &json!({}))).await?)?;

    let found = snapshot(&world).await?;
    let window = &found["webhook"]["window"];
    ensure!(window["answered"].as_u64() >= Some(1), "{found}");
    ensure!(window["slow"].as_u64() >= window["answered"].as_u64(), "{found}");
    let seconds = |name: &str| window["durations"][name].as_f64().unwrap_or_default();
    let parts = ["averageDecodeSeconds", "averageDecideSeconds", "averageEncodeSeconds"].map(seconds);
    ensure!(parts.iter().all(|part| *part > 0.0), "{found}");
    ensure!(parts.iter().sum::<f64>() <= seconds("averageSeconds"), "{found}");
    ensure!(found["webhookTasks"]["polls"].as_u64() >= Some(1), "{found}");
    ensure!(
        found["memory"]["allocatedBytes"].as_u64() < found["memory"]["residentBytes"].as_u64(),
        "{found}"
    );

    let log = world.log();
    let line = log.lines().rfind(|line| line.contains("slow review")).context("a line of a slow review")?;
    ensure!(
        line.contains("tracked") && line.contains("decide_seconds") && !line.contains("localhost/app"),
        "{line}"
    );
    let shown = eventually("metrics of the window", Duration::from_secs(20), async || {
        let rate = world.metric("kube_booster_webhook_window_requests_per_second").await?;
        Ok((rate > 0.0).then_some(()))
    });
    shown.await?;
    ensure!(world.metric(r#"kube_booster_memory_bytes{kind="resident"}"#).await? > 1e6);
    Ok(())
}

async fn untracked() -> anyhow::Result<()> {
    let world = World::start(&[]).await?;
    let found = snapshot(&world).await?;
    ensure!(found.get("webhook").is_none() && found["memory"]["residentBytes"].is_u64(), "{found}");
    Ok(())
}
