//! Replicas agree on a leader, and lose nothing when it goes.

use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::{Timestamp, ToSpan};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    control_plane::World,
    patience::{SOON, eventually},
    pods::{annotated, containers_ready, create, namespace, opened},
    replica::Replica,
    sidecar::container,
    trials::alone,
};
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(150);
const LEASE: Duration = Duration::from_secs(15);
/// Between two looks at the Lease, with room for a busy machine.
const RETRY: Duration = Duration::from_secs(2);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        alone("of two replicas one leads, and the other once it is gone", LONG, one_leads),
        alone("a replica alone leads without an election", SOON, without_election),
        alone("a replica that is asked to end serves on for a while", 2 * SOON, lingers),
    ]
}

fn leads(metrics: &str) -> bool {
    metrics.lines().any(|line| line == "kube_booster_leader 1")
}

async fn one_leads() -> anyhow::Result<()> {
    let mut world = World::start(&["--leader-elect"]).await?;
    let mut other = Replica::start(&world).await?;
    let pods = namespace(&world.api.client().await?, "one-leads", json!({})).await?;
    eventually("a leader", SOON, async || Ok(leads(&world.metrics().await?).then_some(()))).await?;
    tokio::time::sleep(2 * RETRY).await;
    ensure!(leads(&world.metrics().await?) && !leads(&other.metrics().await?), "{}", other.log());

    // A deadline that passes while nobody leads.
    create(&pods, &annotated("web", 8080, &json!({"warmup-duration": "1s"}))).await?;
    containers_ready(&pods, "web", Timestamp::now().checked_sub(27.seconds())?).await?;
    world.kill_control_plane();
    let killed = Instant::now();
    let (condition, _) = opened(&pods, "web", SOON).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupTimedOut"), "{condition:?}");
    ensure!(!leads(&other.metrics().await?), "opened by a replica that does not lead");
    eventually("the other one leads", SOON, async || Ok(leads(&other.metrics().await?).then_some(())))
        .await?;
    let took = killed.elapsed();
    ensure!(took > RETRY && took < 2 * LEASE, "after {took:?}");
    println!("killed: another replica led after {took:?}");

    world.start_control_plane().await?;
    tokio::time::sleep(2 * RETRY).await;
    ensure!(!leads(&world.metrics().await?));
    let asked = Instant::now();
    let (ended, took) = tokio::join!(other.terminate(), async {
        eventually("the first one leads", SOON, async || Ok(leads(&world.metrics().await?).then_some(())))
            .await?;
        anyhow::Ok(asked.elapsed())
    });
    let took = took?;
    // A lease that was not given back would have to run out.
    ensure!(ended?.success() && took < LEASE, "after {took:?}");
    println!("terminated: another replica led after {took:?}");
    Ok(())
}

async fn without_election() -> anyhow::Result<()> {
    let world = World::start(&[]).await?;
    eventually("a leader", SOON, async || Ok(leads(&world.metrics().await?).then_some(()))).await?;
    let lease = world.api.kubectl(&["--namespace", "kube-booster-system", "get", "lease", "kube-booster"]);
    ensure!(lease.is_err(), "a Lease that nobody asked for");
    Ok(())
}

async fn lingers() -> anyhow::Result<()> {
    let mut world = World::start(&["--leader-elect"]).await?;
    let pods = namespace(&world.api.client().await?, "lingers", json!({})).await?;
    create(&pods, &annotated("before", 8080, &json!({}))).await?;
    world.ask_control_plane_to_end()?;
    let start = Instant::now();
    eventually("a replica that is not ready", SOON, async || {
        Ok(world.readiness().await?.contains("stopping").then_some(()))
    })
    .await?;
    let mut index = 0;
    while start.elapsed() < Duration::from_secs(2) {
        let pod = create(&pods, &annotated(&format!("during-{index}"), 8080, &json!({}))).await?;
        container(&pod).context("while the replica lingers")?;
        world.connect_to_webhook().await.context("a new connection while the replica lingers")?;
        index += 1;
    }
    ensure!(index > 0, "no pod in time");
    let ended = world.terminate_control_plane().await?;
    ensure!(ended.success(), "{ended} {}", world.log());
    Ok(())
}
