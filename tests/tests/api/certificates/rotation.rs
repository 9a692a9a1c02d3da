//! One CA follows another, and nobody notices.

use std::time::Duration;

use anyhow::ensure;
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    app::App,
    authority::TestCa,
    control_plane::World,
    patience::{SOON, eventually},
    pods::{annotated, create, namespace, opened},
    reports::{good_report, published_ca, submit},
    sidecar::{Sidecar, container, pod_token},
    trials::alone,
};

use super::{
    CA_EXPIRES, LONG, SERVING_EXPIRES, ca_bundle, injected_all_the_while, is_injected, metric, put_secret,
    secret_text,
};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        alone("a sidecar of the old CA reports after a rotation, and injections go on", LONG, rotation),
        alone("after the overlap the old CA is trusted no more", LONG, overlap_ends),
    ]
}

/// How many certificates are in `text`.
fn certificates_in(text: &str) -> usize {
    text.matches("BEGIN CERTIFICATE").count()
}

async fn rotation() -> anyhow::Result<()> {
    let mut world = World::without_control_plane(&[]).await?;
    let client = world.api.client().await?;
    let ca = TestCa::new("kube-booster CA")?;
    let (young, aged) = (ca.certificate((-1, 20))?, ca.certificate((-100, 20))?);
    put_secret(&client, &[("ca.crt", &young), ("ca.key", &ca.key())]).await?;
    world.start_control_plane().await?;
    ensure!(secret_text(&client, "ca.crt").await? == young, "what an earlier version made is used");
    let pods = namespace(&client, "rotation", json!({})).await?;
    let app = App::answering(200).await?;
    let settings = json!({"warmup-requests": "2", "warmup-duration": "100ms"});
    let before = create(&pods, &annotated("before", app.port(), &settings)).await?;
    let (ca_ends, serving_ends) = (metric(&world, CA_EXPIRES).await?, metric(&world, SERVING_EXPIRES).await?);

    injected_all_the_while(&pods, async {
        // Two thirds of its life are over at once.
        put_secret(&client, &[("ca.crt", &aged), ("ca.key", &ca.key())]).await?;
        eventually("a certificate of the new CA", SOON, async || {
            let is_later = metric(&world, SERVING_EXPIRES).await? > serving_ends;
            Ok((is_later && metric(&world, CA_EXPIRES).await? > ca_ends).then_some(()))
        })
        .await?;
        // What serves now is asked by connections of its own, too.
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(())
    })
    .await?;
    let new = secret_text(&client, "ca.crt").await?;
    ensure!(new != aged && secret_text(&client, "previous.crt").await? == aged);
    let (trusted, shown) = (ca_bundle(&client).await?, published_ca(&client).await?);
    for bundle in [&trusted, &shown] {
        ensure!(bundle.contains(&new) && bundle.contains(&aged), "{bundle}");
    }

    let sidecar = Sidecar::of(&client, &before).await?;
    let (condition, _) = opened(&pods, "before", SOON).await?;
    let log = sidecar.process.output();
    ensure!(condition.reason.as_deref() == Some("WarmupSucceeded"), "{condition:?} {log}");
    ensure!(!log.contains("not taken"), "{log}");
    let after = create(&pods, &annotated("after", 8080, &json!({}))).await?;
    let environment = container(&after)?.env.iter().flatten();
    let mut values = environment.filter_map(|variable| variable.value.as_deref());
    ensure!(values.any(|value| value.contains(&new) && value.contains(&aged)), "a new sidecar trusts both");
    Ok(())
}

async fn overlap_ends() -> anyhow::Result<()> {
    let mut world = World::without_control_plane(&[]).await?;
    let client = world.api.client().await?;
    let (old, new) = (TestCa::new("old")?, TestCa::new("new")?);
    let (previous, cross) = (old.certificate((-1000, 400))?, old.cross_sign(&new, (-6, 400))?);
    let put = async |days| {
        let current = new.certificate((days, 3_000))?;
        let texts = [
            ("ca.crt", &*current),
            ("ca.key", &new.key()),
            ("previous.crt", &*previous),
            ("cross.crt", &*cross),
        ];
        put_secret(&client, &texts).await
    };
    put(-6).await?;
    world.start_control_plane().await?;
    let pods = namespace(&client, "overlap", json!({})).await?;
    let trusted = ca_bundle(&client).await?;
    ensure!(certificates_in(&trusted) == 2, "the overlap goes on: {trusted}\n{}", world.log());
    injected_all_the_while(&pods, async {
        put(-8).await?;
        eventually("a Secret without the old CA", SOON, async || {
            Ok(secret_text(&client, "previous.crt").await?.is_empty().then_some(()))
        })
        .await?;
        // What is more than needed is taken away with the look of each minute.
        eventually("a caBundle without the old CA", Duration::from_secs(70), async || {
            Ok((certificates_in(&ca_bundle(&client).await?) == 1).then_some(()))
        })
        .await
    })
    .await?;
    ensure!(secret_text(&client, "cross.crt").await?.is_empty() && is_injected(&pods).await?);
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let token = pod_token(&client, &pod, "kube-booster.io").await?;
    ensure!(submit(&world, &token, &good_report()).await??.into_inner().recorded);
    Ok(())
}
