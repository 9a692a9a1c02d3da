//! The leader's look at all pods: nobody is missed without a word, and no gate stays closed because nobody watches it.

use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::api::{Api, ListParams, Patch, PatchParams};
use libtest_mimic::Trial;
use proto::v1::ListMissedPodsRequest;
use serde_json::{Value, json};
use tests::{
    control_plane::{World, service_account_token},
    patience::{SOON, eventually},
    pods::{annotated, condition, containers_ready, create, namespace, opened},
    programs,
    reports::{people, with_token},
    trials::alone,
};

const LONG: Duration = Duration::from_secs(150);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        alone("pods that were missed or skipped are counted, listed and told about once", LONG, told_once),
        alone("the author of a workload of which only / is warmed is told once", 2 * SOON, narrow),
        alone("a gate that nobody watches is opened at its deadline", 3 * SOON, strays),
        alone("missed pods are evicted one by one, as far as their budgets allow it", LONG, evicted),
    ]
}

fn owned(mut pod: Value, owner: &str) -> Value {
    pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner,
        "uid": format!("00000000-0000-0000-0000-{owner:0>12}"), "controller": true}]);
    pod
}

async fn missed_pods(world: &World, namespace: &str, count: usize) -> anyhow::Result<()> {
    let line = format!(r#"kube_booster_pods_missed_injection{{namespace="{namespace}"}} {count}"#);
    eventually("a count of missed pods", SOON, async || {
        Ok(world.metrics().await?.contains(&line).then_some(()))
    })
    .await
    .with_context(|| world.log())
}

async fn told_once() -> anyhow::Result<()> {
    let mut world = World::without_control_plane(&["--leader-elect", "--scan-interval=1s"]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "told-once", json!({})).await?;
    create(&pods, &annotated("missed", 8080, &json!({}))).await?;
    for name in ["skipped-1", "skipped-2"] {
        create(&pods, &owned(annotated(name, 8080, &json!({"warmup-requests": "none"})), "1")).await?;
    }
    let mut plain = annotated("plain", 8080, &json!({}));
    plain["metadata"]["annotations"] = json!({});
    create(&pods, &plain).await?;
    let system: Api<Pod> = Api::namespaced(client.clone(), "kube-booster-system");
    create(&system, &conforming(annotated("ours", 8080, &json!({})))).await?;

    let events: Api<Event> = Api::namespaced(client.clone(), "told-once");
    let told = async || {
        let all = events.list(&ListParams::default()).await?.items.into_iter();
        let told = all.map(|event| {
            let of = event.regarding.and_then(|pod| pod.name).unwrap_or_default();
            (event.reason.unwrap_or_default(), of, event.note.unwrap_or_default())
        });
        anyhow::Ok(told.collect::<Vec<_>>())
    };
    // The second round is another leader's.
    for _ in 0..2 {
        world.start_control_plane().await?;
        missed_pods(&world, "told-once", 1).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut told = told().await?;
        told.sort();
        ensure!(told.len() == 2, "{told:?}");
        ensure!((told[0].0.as_str(), told[0].1.as_str()) == ("InjectionMissed", "missed"), "{told:?}");
        ensure!(told[0].2.contains("while the webhook of kube-booster did not answer"), "{told:?}");
        ensure!(told[1].0 == "InjectionSkipped" && told[1].1.starts_with("skipped-"), "{told:?}");
        ensure!(told[1].2.contains("use a whole number from 1 to 12000"), "{told:?}");
        ensure!(!world.metrics().await?.contains(r#"missed_injection{namespace="kube-booster-system""#));
        listed(&world).await?;
        world.terminate_control_plane().await?;
    }
    Ok(())
}

/// Our own namespace takes restricted pods only.
fn conforming(mut pod: Value) -> Value {
    pod["spec"]["securityContext"] =
        json!({"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
    pod["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    pod["spec"]["automountServiceAccountToken"] = false.into();
    pod["spec"]["serviceAccountName"] = "kube-booster".into();
    pod
}

async fn listed(world: &World) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let audience = Some("kube-booster.io");
    let nobody = service_account_token(&client, "told-once", "default", audience).await?;
    let asked =
        ListMissedPodsRequest { namespace: "told-once".to_owned(), ..ListMissedPodsRequest::default() };
    let mut people = people(world).await?;
    let refused =
        people.list_missed_pods(with_token(asked.clone(), &nobody)?).await.err().context("a refusal")?;
    ensure!(refused.code() == tonic::Code::PermissionDenied, "{refused:?}");

    let role = "--clusterrole=kube-booster-report-viewer";
    let binding = ["create", "rolebinding", "viewer", role, "--serviceaccount=told-once:default"];
    // The second round finds it there.
    let _ = world.api.kubectl(&[&["--namespace", "told-once"][..], &binding].concat());
    let page = eventually("a list", SOON, async || {
        Ok(people.list_missed_pods(with_token(asked.clone(), &nobody)?).await.ok())
    });
    let page = page.await?.into_inner();
    let names: Vec<_> =
        page.pods.iter().filter_map(|missed| Some(missed.pod.as_ref()?.name.as_str())).collect();
    ensure!(names == ["missed"] && page.pods[0].created.is_some(), "{page:?}");
    let odd = ListMissedPodsRequest { page_token: "odd".to_owned(), ..asked };
    let refused = people.list_missed_pods(with_token(odd, &nobody)?).await.err().context("a refusal")?;
    ensure!(refused.code() == tonic::Code::InvalidArgument, "{refused:?}");
    world.api.kubectl(&["--namespace", "told-once", "delete", "rolebinding", "viewer"])?;
    Ok(())
}

async fn narrow() -> anyhow::Result<()> {
    let world = World::start(&["--leader-elect", "--scan-interval=1s"]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "narrow", json!({})).await?;
    for name in ["default-1", "default-2"] {
        create(&pods, &owned(annotated(name, 8080, &json!({})), "1")).await?;
    }
    create(&pods, &owned(annotated("wanted", 8080, &json!({"warmup-endpoint": "/"})), "2")).await?;
    let events: Api<Event> = Api::namespaced(client, "narrow");
    let told = async || {
        let all = events.list(&ListParams::default()).await?.items.into_iter();
        let told = all.filter(|event| event.reason.as_deref() == Some("OnlyRootWarmed"));
        anyhow::Ok(told.collect::<Vec<_>>())
    };
    eventually("an Event", SOON, async || Ok((!told().await?.is_empty()).then_some(())))
        .await
        .with_context(|| world.log())?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = told().await?;
    ensure!(told.len() == 1, "{told:?}");
    let of = told[0].regarding.as_ref().and_then(|pod| pod.name.as_deref()).unwrap_or_default();
    let note = told[0].note.as_deref().unwrap_or_default();
    ensure!(of.starts_with("default-") && note.contains("kube-booster.io/warmup-endpoint"), "{told:?}");
    Ok(())
}

async fn strays() -> anyhow::Result<()> {
    let world = World::start(&["--leader-elect", "--scan-interval=1s"]).await?;
    let pods = namespace(&world.api.client().await?, "strays", json!({})).await?;
    let ready = Timestamp::now().checked_sub(60.seconds())?;

    create(&pods, &annotated("lost-label", 8080, &json!({}))).await?;
    let unlabel = Patch::Merge(json!({"metadata": {"labels": {"kube-booster.io/injected": null}}}));
    pods.patch("lost-label", &PatchParams::default(), &unlabel).await?;
    let mut brought = annotated("brought-gate", 8080, &json!({}));
    brought["metadata"]["annotations"] = json!({});
    brought["spec"]["readinessGates"] = json!([{"conditionType": "kube-booster.io/warmup-ready"}]);
    create(&pods, &brought).await?;
    let mut waiting = brought;
    waiting["metadata"]["name"] = "not-ready-yet".into();
    create(&pods, &waiting).await?;

    for name in ["lost-label", "brought-gate"] {
        containers_ready(&pods, name, ready).await?;
        let (condition, record) = opened(&pods, name, SOON).await.with_context(|| world.log())?;
        ensure!(condition.reason.as_deref() == Some("WarmupTimedOut"), "{condition:?}");
        let message = condition.message.unwrap_or_default();
        ensure!(message.contains("not label kube-booster.io/injected"), "{message}");
        ensure!(!record.report.success);
    }
    ensure!(condition(&pods.get("not-ready-yet").await?).is_none(), "a gate without a deadline stays closed");
    let opened = r#"kube_booster_gate_opened_total{reason="WarmupTimedOut"} 2"#;
    ensure!(world.metrics().await?.contains(opened), "each is opened once");
    Ok(())
}

async fn evicted() -> anyhow::Result<()> {
    let arguments = ["--leader-elect", "--scan-interval=1s", "--evict-missed-pods"];
    let mut world = World::without_control_plane(&arguments).await?;
    let overlay = programs::checkout().join("manifests/overlays/evict-missed");
    for file in ["cluster-role.yaml", "cluster-role-binding.yaml"] {
        world.api.kubectl(&["apply", "--filename", &overlay.join(file).display().to_string()])?;
    }
    let pods = namespace(&world.api.client().await?, "evicted", json!({})).await?;
    world.api.kubectl(&[
        "--namespace",
        "evicted",
        "create",
        "poddisruptionbudget",
        "kept",
        "--selector=app=kept",
        "--min-available=1",
    ])?;
    let mut kept = owned(annotated("kept", 8080, &json!({})), "1");
    kept["metadata"]["labels"] = json!({"app": "kept"});
    create(&pods, &kept).await?;
    // Of a pod that does not run yet no budget is asked.
    containers_ready(&pods, "kept", Timestamp::now()).await?;
    create(&pods, &annotated("alone", 8080, &json!({}))).await?;
    create(&pods, &owned(annotated("goes", 8080, &json!({})), "2")).await?;

    world.start_control_plane().await?;
    eventually("an eviction", 2 * SOON, async || Ok(pods.get_opt("goes").await?.is_none().then_some(())))
        .await
        .with_context(|| world.log())?;
    eventually("refusals", SOON, async || {
        let metrics = world.metrics().await?;
        let refused = metrics
            .lines()
            .find_map(|line| line.strip_prefix(r#"kube_booster_evictions_total{result="refused"} "#));
        let is_accepted_once = metrics.contains(r#"kube_booster_evictions_total{result="accepted"} 1"#);
        Ok((is_accepted_once && refused.is_some_and(|count| count != "1")).then_some(()))
    })
    .await?;
    for name in ["kept", "alone"] {
        pods.get(name).await.context("a pod that is not to be evicted")?;
    }
    Ok(())
}
