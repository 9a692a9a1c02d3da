//! What was deleted, overwritten or has expired is there again within seconds.

use anyhow::{bail, ensure};
use futures::future::join_all;
use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{Api, api::DeleteParams};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    authority::TestCa,
    control_plane::{NAMESPACE, World},
    patience::{SOON, eventually},
    pods::{annotated, containers_ready, create, namespace, opened},
    reports::{good_report, submit},
    sidecar::{Sidecar, container, pod_token},
    trials::alone,
};

use super::{
    CA_EXPIRES, CONFIGURATION, HEALED, LONG, SECRET, ca_bundle, configurations, is_injected, metric,
    put_ca_bundle, put_secret, secret_text, secrets,
};

/// What is promised within [`HEALED`]: a machine that runs ten clusters beside them would break that promise.
pub(super) fn undisturbed() -> Vec<Trial> {
    vec![
        alone("everything deleted at once is there again in ten seconds", LONG, everything_deleted),
        alone("a CA that has expired is replaced in ten seconds", LONG, expired_ca),
        alone("a webhook configuration that comes back is trusted in ten seconds", LONG, configuration_back),
    ]
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        alone(
            "a Secret that is not readable says what to do and takes nothing away",
            LONG,
            unreadable_secret,
        ),
        alone(
            "a control plane that starts without a readable CA opens gates all the same",
            LONG,
            gates_without_ca,
        ),
        alone("replicas that start at once agree on one CA", LONG, one_ca),
        alone("sidecars are told the Service's new address", LONG, service_moves),
    ]
}

async fn everything_deleted() -> anyhow::Result<()> {
    let world = World::start(&[]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "deleted", json!({})).await?;
    let before = create(&pods, &annotated("before", 8080, &json!({}))).await?;
    let old_ca = secret_text(&client, "ca.crt").await?;

    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    secrets(&client).delete(SECRET, &DeleteParams::default()).await?;
    maps.delete(SECRET, &DeleteParams::default()).await?;
    put_ca_bundle(&client, "rubbish").await?;
    eventually("a new CA that is trusted and an injection", HEALED, async || {
        let ca = secret_text(&client, "ca.crt").await?;
        let is_new = !ca.is_empty() && ca != old_ca && ca_bundle(&client).await?.contains(&ca);
        let is_shown = maps.get_opt(SECRET).await?.is_some();
        Ok((is_new && is_shown && is_injected(&pods).await?).then_some(()))
    })
    .await?;
    let token = pod_token(&client, &before, "kube-booster.io").await?;
    ensure!(submit(&world, &token, &good_report()).await??.into_inner().recorded);
    Ok(())
}

async fn expired_ca() -> anyhow::Result<()> {
    let world = World::start(&[]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "expired", json!({})).await?;
    let expired = TestCa::new("expired")?;
    put_secret(&client, &[("ca.crt", &expired.certificate((-20, -1))?), ("ca.key", &expired.key())]).await?;
    eventually("a CA that is valid, and an injection by it", HEALED, async || {
        let ca = secret_text(&client, "ca.crt").await?;
        let is_new = ca != expired.certificate((-20, -1))? && ca_bundle(&client).await?.contains(&ca);
        Ok((is_new && is_injected(&pods).await?).then_some(()))
    })
    .await?;
    let in_five_years = jiff::Timestamp::now().as_second() + 5 * 365 * 86_400;
    eventually("the new CA's end in the metrics", HEALED, async || {
        Ok((metric(&world, CA_EXPIRES).await? > in_five_years).then_some(()))
    })
    .await
}

async fn configuration_back() -> anyhow::Result<()> {
    let world = World::start(&[]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "back", json!({})).await?;
    configurations(&client).delete(CONFIGURATION, &DeleteParams::default()).await?;
    eventually("no injection", HEALED, async || Ok((!is_injected(&pods).await?).then_some(()))).await?;
    world.apply_configuration("kubectl")?;
    eventually("an injection", HEALED, async || Ok(is_injected(&pods).await?.then_some(()))).await?;
    for rubbish in ["rubbish".to_owned(), TestCa::new("stranger")?.certificate((-1, 1))?, String::new()] {
        put_ca_bundle(&client, &rubbish).await?;
        eventually("an injection", HEALED, async || {
            let is_healed = ca_bundle(&client).await? != rubbish;
            Ok((is_healed && is_injected(&pods).await?).then_some(()))
        })
        .await?;
    }
    Ok(())
}

async fn unreadable_secret() -> anyhow::Result<()> {
    let world = World::start(&[]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "unreadable", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    put_secret(&client, &[("ca.crt", "rubbish")]).await?;
    eventually("advice", SOON, async || {
        let advice =
            "Secret kube-booster-ca holds no CA in ca.crt and ca.key; delete it to have a new one made";
        Ok(world.log().contains(advice).then_some(()))
    })
    .await?;
    ensure!(metric(&world, r#"kube_booster_certificate_failures_total{what="ca_secret"}"#).await? >= 1);
    ensure!(is_injected(&pods).await? && world.readiness().await? == "ok");
    ensure!(secret_text(&client, "ca.crt").await? == "rubbish", "it is somebody's, and stays");

    secrets(&client).delete(SECRET, &DeleteParams::default()).await?;
    eventually("a new CA", SOON, async || {
        let ca = secret_text(&client, "ca.crt").await?;
        Ok((!ca.is_empty() && ca_bundle(&client).await?.contains(&ca)).then_some(()))
    })
    .await?;
    let mut sidecar = Sidecar::of(&client, &pod).await?;
    ensure!(is_injected(&pods).await? && sidecar.process.runs());
    Ok(())
}

async fn gates_without_ca() -> anyhow::Result<()> {
    let mut world = World::start(&[]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "gates-first", json!({})).await?;
    create(&pods, &annotated("web", 8080, &json!({"warmup-duration": "1s"}))).await?;
    world.kill_control_plane();
    put_secret(&client, &[("ca.crt", "rubbish")]).await?;
    containers_ready(&pods, "web", Timestamp::now().checked_sub(1.minutes())?).await?;
    let (condition, _) = tokio::select! {
        started = world.start_control_plane() => bail!("ready without a CA: {started:?}"),
        opened = opened(&pods, "web", SOON) => opened?,
    };
    ensure!(condition.reason.as_deref() == Some("WarmupTimedOut"), "{condition:?}");
    Ok(())
}

async fn one_ca() -> anyhow::Result<()> {
    use control_plane::adapters::certificates::{Occasion, obtain_authorities};
    let world = World::without_control_plane(&[]).await?;
    let client = world.control_plane_client().await?;
    let now = jiff::Timestamp::now().as_second();
    let obtain = |leads| obtain_authorities(&client, NAMESPACE, Occasion { known: None, now, leads });
    let obtained = join_all([false, true, false, true, false].map(obtain)).await;
    let obtained = obtained.into_iter().collect::<Result<Vec<_>, _>>()?;
    let stored = secret_text(&world.api.client().await?, "ca.crt").await?;
    ensure!(obtained.iter().all(|authorities| authorities.current().certificate() == stored));
    Ok(())
}

async fn service_moves() -> anyhow::Result<()> {
    let mut world = World::without_control_plane(&[]).await?;
    world.is_reported_to = false;
    world.start_control_plane().await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "moves", json!({})).await?;
    let services: Api<Service> = Api::namespaced(client.clone(), NAMESPACE);
    let mut service = services.get("kube-booster-reports").await?;
    services.delete("kube-booster-reports", &DeleteParams::default()).await?;
    ensure!(is_injected(&pods).await?, "the address that was known is kept");
    service.metadata.resource_version = None;
    let spec = service.spec.get_or_insert_default();
    (spec.cluster_ip, spec.cluster_ips) = (Some("10.96.77.77".to_owned()), None);
    services.create(&kube::api::PostParams::default(), &service).await?;
    eventually("the new address", SOON, async || {
        let pod = serde_json::from_value(annotated("nobody", 8080, &json!({})))?;
        let dry_run = kube::api::PostParams { dry_run: true, ..kube::api::PostParams::default() };
        let pod = pods.create(&dry_run, &pod).await?;
        let mut values =
            container(&pod)?.env.iter().flatten().filter_map(|variable| variable.value.as_deref());
        Ok(values.any(|value| value == "10.96.77.77:9090").then_some(()))
    })
    .await
}
