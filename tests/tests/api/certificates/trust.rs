//! What the API server is told, by whom, and what becomes of readiness when that fails.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    control_plane::World,
    patience::{SOON, eventually},
    pods::{annotated, create, namespace},
    reports::{good_report, submit},
    sidecar::pod_token,
    trials::alone,
};

use super::{CONFIGURATION, LONG, ca_bundle, configurations, is_injected, put_ca_bundle};

/// The look of each minute, with some patience.
const MINUTE: Duration = Duration::from_secs(75);

pub(super) fn trials() -> Vec<Trial> {
    vec![
        alone("caBundle is all that we own of the webhook configuration", LONG, one_field),
        alone("readiness is lost, and reports are not, when the API server trusts others", LONG, readiness),
        alone("without a watch the look of each minute heals", LONG, no_watch),
        alone("where an injector writes caBundle, we wait for it", LONG, injector),
    ]
}

async fn one_field() -> anyhow::Result<()> {
    let world = World::start(&[]).await?;
    let client = world.api.client().await?;
    let trusted = ca_bundle(&client).await?;
    // No `--force-conflicts`: a conflict would be an error.
    world.apply_configuration("gitops")?;
    world.apply_configuration("gitops")?;
    ensure!(!trusted.is_empty() && ca_bundle(&client).await? == trusted, "an apply takes nothing away");
    let managed = configurations(&client).get(CONFIGURATION).await?.metadata.managed_fields;
    let ours: Vec<_> = managed
        .into_iter()
        .flatten()
        .filter(|entry| entry.manager.as_deref() == Some("kube-booster"))
        .collect();
    let [entry] = ours.as_slice() else { anyhow::bail!("{ours:?}") };
    let fields: &Value = &entry.fields_v1.as_ref().context("there are fields")?.0;
    let owned = json!({"f:webhooks": {r#"k:{"name":"mutate-pods.kube-booster.io"}"#: {
        ".": {}, "f:clientConfig": {"f:caBundle": {}}, "f:name": {},
    }}});
    ensure!(*fields == owned, "{fields}");
    Ok(())
}

/// Gives the control plane these `verbs` on its webhook configuration, and no other.
async fn allow(client: &Client, verbs: &[&str]) -> anyhow::Result<()> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let known = roles.get("kube-booster").await?.rules.unwrap_or_default();
    let position = known.iter().position(|rule| {
        rule.resources.iter().flatten().any(|resource| resource == "mutatingwebhookconfigurations")
    });
    let at = format!("/rules/{}/verbs", position.context("there is a rule")?);
    let patch = json!([{"op": "replace", "path": at, "value": verbs}]);
    let patch = Patch::Json::<()>(serde_json::from_value(patch)?);
    roles.patch("kube-booster", &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn readiness() -> anyhow::Result<()> {
    let world = World::start(&[]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "readiness", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    allow(&client, &["get", "list", "watch"]).await?;
    // The authorizer learns of it a moment later.
    tokio::time::sleep(Duration::from_secs(1)).await;
    put_ca_bundle(&client, "rubbish").await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    ensure!(world.readiness().await? == "ok", "nothing is lost at once");
    eventually("a control plane that is not ready", MINUTE, async || {
        Ok((world.readiness().await? == "waiting for webhook").then_some(()))
    })
    .await?;
    ensure!(
        world.metric("kube_booster_self_check_failures_total").await? >= 1.0,
        "a failed trial is counted"
    );
    let token = pod_token(&client, &pod, "kube-booster.io").await?;
    ensure!(submit(&world, &token, &good_report()).await??.into_inner().recorded);
    allow(&client, &["get", "list", "watch", "patch"]).await?;
    eventually("a control plane that is ready again", MINUTE, async || {
        Ok((world.readiness().await? == "ok" && is_injected(&pods).await?).then_some(()))
    })
    .await
}

async fn no_watch() -> anyhow::Result<()> {
    let mut world = World::without_control_plane(&[]).await?;
    let client = world.api.client().await?;
    allow(&client, &["get", "patch"]).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.start_control_plane().await?;
    let pods = namespace(&client, "no-watch", json!({})).await?;
    eventually("an injection", SOON, async || Ok(is_injected(&pods).await?.then_some(()))).await?;
    let interrupted = "a watch was interrupted";
    eventually(interrupted, SOON, async || Ok(world.log().contains(interrupted).then_some(()))).await?;
    put_ca_bundle(&client, "rubbish").await?;
    eventually("an injection", MINUTE, async || Ok(is_injected(&pods).await?.then_some(()))).await
}

async fn injector() -> anyhow::Result<()> {
    let mut world = World::without_control_plane(&[]).await?;
    let client = world.api.client().await?;
    let annotation = "cert-manager.io/inject-ca-from=kube-booster-system/kube-booster";
    world.api.kubectl(&["annotate", "mutatingwebhookconfiguration", CONFIGURATION, annotation])?;
    world.start_control_plane().await?;
    let pods = namespace(&client, "injector", json!({})).await?;
    eventually("an injection", SOON, async || Ok(is_injected(&pods).await?.then_some(()))).await?;
    let ours = ca_bundle(&client).await?;
    put_ca_bundle(&client, "rubbish").await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    ensure!(ca_bundle(&client).await? == "rubbish", "we do not fight");
    eventually("our CA, where no injector is", MINUTE, async || {
        Ok((ca_bundle(&client).await? == ours).then_some(()))
    })
    .await
}
