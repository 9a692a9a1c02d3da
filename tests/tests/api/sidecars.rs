//! The real sidecar warms a real app on loopback and reports to the real control plane.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use libtest_mimic::Trial;
use proto::report::EndedBy;
use serde_json::{Value, json};
use tests::{
    app::App,
    control_plane::World,
    patience::{SOON, eventually},
    pods::{annotated, create, namespace, opened},
    sidecar::Sidecar,
    trials::trial,
};

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial("a pod is warmed, reported and opened", SOON, world, warmed),
        trial("the gRPC method of an annotated pod is called with its payload", SOON, world, called),
        trial("a pod is warmed back to back over several connections", SOON, world, quick),
        trial("an app that fails its warm-up goes into service all the same", SOON, world, failing),
        trial("a sidecar that starts again after its report sends nothing more", SOON, world, parked),
        trial("a bad plan is reported and is no crash loop", SOON, world, bad_plan),
        trial("a sidecar ends at once when it is told to", SOON, world, ends),
        trial("a warm-up tells its story in Events", SOON, world, tells),
    ]
}

async fn pod(
    world: &World,
    namespace_: &str,
    port: u16,
    annotations: Value,
) -> anyhow::Result<(Client, Api<Pod>, Pod)> {
    let client = world.api.client().await?;
    let pods = namespace(&client, namespace_, json!({})).await?;
    let pod = create(&pods, &annotated("web", port, &annotations)).await?;
    Ok((client, pods, pod))
}

async fn warmed(world: Arc<World>) -> anyhow::Result<()> {
    let app = App::answering(200).await?;
    let settings =
        json!({"warmup-requests": "12", "warmup-duration": "1200ms", "warmup-endpoint": "/a /b?c=$(X)"});
    let (client, pods, pod) = pod(&world, "warmed", app.port(), settings).await?;
    let _sidecar = Sidecar::of(&client, &pod).await?;
    let (condition, record) = opened(&pods, "web", SOON).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupSucceeded"), "{condition:?}");
    let message = condition.message.unwrap_or_default();
    ensure!(message.starts_with("12/12 requests succeeded, p50 "), "{message}");
    let report = record.report;
    ensure!((report.planned_count, report.request_count, report.failed_count) == (12, 12, 0));
    ensure!(report.first_request.is_some() && report.latency.is_some() && report.app_wait.is_some());
    ensure!(report.elapsed() >= Duration::from_secs(1), "spread over its time: {:?}", report.elapsed());
    let seen = app.warmup_requests();
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    ensure!(paths.chunks(2).all(|pair| pair == ["/a", "/b?c=$(X)"]) && paths.len() == 12, "{paths:?}");
    let headers = &seen[0].headers;
    ensure!(headers["user-agent"] == "kube-booster/1.0" && headers["x-warmup-request"] == "true");
    ensure!(headers["traceparent"].to_str()?.ends_with("-00"), "not sampled");
    Ok(())
}

/// The app is the control plane's own report server, which has health and reflection over TLS.
async fn called(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "called", json!({})).await?;
    for (name, method, payload, message, statuses) in [
        ("served", "Check", r#"{"service": "kube_booster.v1.ReportService"}"#, "4/4 requests succeeded", 4),
        ("refused", "Check", r#"{"service": "$(X)"}"#, "4 x gRPC NOT_FOUND", 4),
        ("streams", "Watch", "{}", "grpc.health.v1.Health/Watch: it streams", 0),
    ] {
        let settings = json!({
            "warmup-protocol": "grpc", "warmup-grpc-method": format!("grpc.health.v1.Health/{method}"),
            "warmup-grpc-payload": payload, "warmup-requests": "4", "warmup-duration": "200ms",
        });
        let pod = create(&pods, &annotated(name, world.ports.report, &settings)).await?;
        let _sidecar = Sidecar::of(&client, &pod).await?;
        let (condition, record) = opened(&pods, name, SOON).await?;
        let reason = if name == "served" { "WarmupSucceeded" } else { "WarmupFailed" };
        ensure!(condition.reason.as_deref() == Some(reason), "{condition:?}");
        ensure!(record.report.message.contains(message), "{}", record.report.message);
        ensure!(
            record.report.statuses.get(&200).copied().unwrap_or_default() == statuses,
            "{:?}",
            record.report
        );
    }
    Ok(())
}

async fn quick(world: Arc<World>) -> anyhow::Result<()> {
    let app = App::answering(200).await?;
    let settings = json!({"warmup-requests": "200", "warmup-timeout": "1m", "warmup-connections": "5"});
    let (client, pods, pod) = pod(&world, "quick", app.port(), settings).await?;
    let _sidecar = Sidecar::of(&client, &pod).await?;
    let (condition, record) = opened(&pods, "web", SOON).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupSucceeded"), "{condition:?}");
    let report = record.report;
    ensure!((report.request_count, report.failed_count, report.connections) == (200, 0, 5), "{report:?}");
    ensure!((report.ended_by, report.held_back, report.restarts) == (EndedBy::Count, None, 0), "{report:?}");
    ensure!(report.service_time.is_some(), "{report:?}");
    Ok(())
}

async fn failing(world: Arc<World>) -> anyhow::Result<()> {
    let app = App::answering(503).await?;
    let settings = json!({"warmup-requests": "4", "warmup-duration": "200ms"});
    let (client, pods, pod) = pod(&world, "failing", app.port(), settings).await?;
    let _sidecar = Sidecar::of(&client, &pod).await?;
    let (condition, record) = opened(&pods, "web", SOON).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupFailed"), "{condition:?}");
    ensure!((record.report.success, record.report.failed_count) == (false, 4));
    ensure!(record.report.statuses.get(&503) == Some(&4));
    Ok(())
}

async fn parked(world: Arc<World>) -> anyhow::Result<()> {
    let app = App::answering(200).await?;
    let settings = json!({"warmup-requests": "2", "warmup-duration": "100ms"});
    let (client, pods, pod) = pod(&world, "parked", app.port(), settings).await?;
    let first = Sidecar::of(&client, &pod).await?;
    opened(&pods, "web", SOON).await?;
    drop(first);
    let mut again = Sidecar::of(&client, &pods.get("web").await?).await?;
    let said = async || Ok((!again.process.output().is_empty()).then_some(()));
    eventually("a line of the sidecar's", SOON, said).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    ensure!(again.process.runs() && app.warmup_requests().len() == 2);
    Ok(())
}

async fn bad_plan(world: Arc<World>) -> anyhow::Result<()> {
    let (client, pods, mut pod) = pod(&world, "bad-plan", 8080, json!({})).await?;
    for container in pod.spec.iter_mut().flat_map(|spec| spec.init_containers.iter_mut().flatten()) {
        for variable in
            container.env.iter_mut().flatten().filter(|variable| variable.name == "KUBE_BOOSTER_PLAN")
        {
            variable.value = Some(r#"{"version":9}"#.to_owned());
        }
    }
    let mut sidecar = Sidecar::of(&client, &pod).await?;
    let (condition, record) = opened(&pods, "web", SOON).await?;
    ensure!(
        condition.reason.as_deref() == Some("WarmupFailed") && record.report.ended_by == EndedBy::BadPlan
    );
    ensure!(sidecar.process.output().contains("version 9"), "{}", sidecar.process.output());
    ensure!(sidecar.process.runs());
    Ok(())
}

async fn ends(world: Arc<World>) -> anyhow::Result<()> {
    let app = App::answering(200).await?;
    let settings = json!({"warmup-requests": "100", "warmup-duration": "1m"});
    let (client, _pods, pod) = pod(&world, "ends", app.port(), settings).await?;
    let mut sidecar = Sidecar::of(&client, &pod).await?;
    eventually("a first request", SOON, async || Ok((!app.warmup_requests().is_empty()).then_some(())))
        .await?;
    let status = sidecar.process.terminate(Duration::from_secs(2)).await?;
    ensure!(status.success(), "{status}");
    Ok(())
}

async fn tells(world: Arc<World>) -> anyhow::Result<()> {
    let app = App::answering(200).await?;
    let settings = json!({"warmup-requests": "2", "warmup-duration": "100ms"});
    let (client, pods, pod) = pod(&world, "tells", app.port(), settings).await?;
    let _sidecar = Sidecar::of(&client, &pod).await?;
    opened(&pods, "web", SOON).await?;
    let described = eventually("all Events", SOON, async || {
        let text = world.api.kubectl(&["--namespace", "tells", "describe", "pod", "web"])?;
        let reasons = ["WarmupStarted", "WarmupCompleted", "ConditionUpdated"];
        Ok(reasons.iter().all(|reason| text.contains(reason)).then_some(text))
    });
    ensure!(described.await?.contains("2/2 requests succeeded"));
    Ok(())
}
