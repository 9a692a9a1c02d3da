//! What a stored pod's sidecar is, be it called for once or again, and when the pod is a copy of another.

use std::sync::Arc;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use proto::{names, plan::Plan};
use serde_json::{Value, json};
use tests::{
    control_plane::World,
    patience::SOON,
    pods::{annotated, namespace},
    trials::trial,
};

use super::{create, sidecar, untyped};

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial("the sidecar does not get the pod's own API token", SOON, world, no_api_token),
        trial("a copied manifest's sidecar is made anew where it is stale", SOON, world, copied_manifest),
    ]
}

fn variable<'c>(container: &'c Value, name: &str) -> Option<&'c str> {
    let mut env = container["env"].as_array()?.iter();
    env.find(|variable| variable["name"] == name)?["value"].as_str()
}

async fn no_api_token(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    namespace(&client, "no-api-token", json!({})).await?;
    let stored = create(&untyped(&client, "no-api-token"), &annotated("web", 8080, &json!({})), true).await?;
    let stored = stored.map_err(anyhow::Error::msg)?;
    let mounts = |container: &Value| {
        let mounts = container["volumeMounts"].as_array().cloned().unwrap_or_default();
        mounts.iter().filter_map(|mount| mount["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let app = mounts(&stored["spec"]["containers"][0]);
    ensure!(app.iter().any(|name| name.starts_with("kube-api-access-")), "the app has its own: {app:?}");
    let ours = mounts(sidecar(&stored).context("a sidecar")?);
    ensure!(ours.iter().all(|name| name == names::SIDECAR_VOLUME), "{ours:?}");
    Ok(())
}

/// As `kubectl get --output json` gives it, without what the API server does not take back.
async fn copied_manifest(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    namespace(&client, "copied", json!({})).await?;
    let pods = untyped(&client, "copied");
    let first = create(&pods, &annotated("first", 8080, &json!({})), false).await?;
    let mut copy = first.map_err(anyhow::Error::msg)?;
    copy["metadata"] = json!({"name": "second", "annotations": copy["metadata"]["annotations"],
        "labels": copy["metadata"]["labels"]});
    copy["metadata"]["annotations"][names::REPORT_ANNOTATION] = r#"{"podUid":"x"}"#.into();
    let original = sidecar(&copy).context("a sidecar")?.clone();

    let again = create(&pods, &copy, true).await?.map_err(anyhow::Error::msg)?;
    ensure!(sidecar(&again) == Some(&original), "what is current stays");
    ensure!(again["metadata"]["annotations"][names::REPORT_ANNOTATION] == "");

    copy["metadata"]["annotations"]["kube-booster.io/warmup-endpoint"] = "/other".into();
    let other = create(&pods, &copy, true).await?.map_err(anyhow::Error::msg)?;
    let plan = variable(sidecar(&other).context("a sidecar")?, names::PLAN_ENV).context("a plan")?;
    ensure!(Plan::from_env_value(plan)?.steps[0].requests[0].path == "/other");

    let containers = copy["spec"]["initContainers"].as_array_mut().context("init containers")?;
    containers[0]["image"] = "localhost/old:1".into();
    let env = containers[0]["env"].as_array_mut().context("variables")?;
    env.retain(|variable| variable["name"] != names::REPORT_CA_ENV);
    let renewed = create(&pods, &copy, true).await?.map_err(anyhow::Error::msg)?;
    let renewed = sidecar(&renewed).context("a sidecar")?;
    ensure!(renewed["image"] == original["image"]);
    ensure!(variable(renewed, names::REPORT_CA_ENV) == variable(&original, names::REPORT_CA_ENV));
    Ok(())
}
