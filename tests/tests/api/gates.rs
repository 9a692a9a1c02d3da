//! Reports and deadlines open gates.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use jiff::{Timestamp, ToSpan};
use kube::api::{Patch, PatchParams};
use libtest_mimic::Trial;
use proto::report::{EndedBy, Reason};
use serde_json::json;
use tests::{
    control_plane::{World, service_account_token},
    patience::{SOON, eventually},
    pods::{annotated, condition, containers_ready, create, delete, namespace, opened, record},
    reports::{good_report, submit},
    sidecar::pod_token,
    trials::trial,
};
use tonic::Code;

const AUDIENCE: &str = "kube-booster.io";

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial("a report opens the gate and is kept in the pod", SOON, world, report_opens),
        trial("the first report of a pod is the one that counts", SOON, world, first_counts),
        trial("without a report the gate opens at the deadline", SOON, world, deadline_opens),
        trial("a pod whose containers are not ready has no deadline yet", SOON, world, no_deadline_yet),
        trial("a token of another pod opens that pod's gate and no other", SOON, world, other_pods_token),
        trial("a token of no pod, of another audience or of nobody is refused", SOON, world, refused_tokens),
        trial("a report of a deleted pod does not open the gate of its successor", SOON, world, successor),
        trial("a gate that somebody closes is opened again with its report", SOON, world, closed_again),
        trial("a report that makes no sense is refused and opens nothing", SOON, world, senseless),
    ]
}

async fn report_opens(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "report-opens", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let token = pod_token(&client, &pod, AUDIENCE).await?;
    let answer = submit(&world, &token, &good_report()).await??;
    ensure!(answer.into_inner().recorded);
    // Answered only when it is stored: no waiting here.
    let pod = pods.get("web").await?;
    let condition = condition(&pod).context("a condition")?;
    ensure!((condition.status.as_str(), condition.reason.as_deref()) == ("True", Some("WarmupSucceeded")));
    ensure!(condition.message.as_deref() == Some("3/3 requests succeeded"));
    ensure!(record(&pod).context("a record")?.report.request_count == 3);
    let managers = pod.metadata.managed_fields.unwrap_or_default();
    ensure!(managers.iter().any(|entry| entry.manager.as_deref() == Some("kube-booster")));
    ensure!(
        world
            .metrics()
            .await?
            .contains(r#"kube_booster_warmup_total{namespace="report-opens",result="success"} 1"#)
    );
    Ok(())
}

async fn first_counts(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "first-counts", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let token = pod_token(&client, &pod, AUDIENCE).await?;
    let failed = proto::report::Report { success: false, ..good_report() };
    ensure!(submit(&world, &token, &failed).await??.into_inner().recorded);
    ensure!(!submit(&world, &token, &good_report()).await??.into_inner().recorded);
    let (condition, _) = opened(&pods, "web", SOON).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupFailed"));
    Ok(())
}

async fn deadline_opens(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "deadline", json!({})).await?;
    create(&pods, &annotated("web", 8080, &json!({"warmup-duration": "2s"}))).await?;
    // 2 s of plan and 30 s of grace: a second from now.
    let ready = Timestamp::now().checked_sub(31.seconds())?;
    containers_ready(&pods, "web", ready).await?;
    let (condition, record) = opened(&pods, "web", SOON).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupTimedOut"));
    ensure!(record.report.ended_by == EndedBy::NoReport && !record.report.success);
    let deadline = ready.checked_add(32.seconds())?.as_second();
    let transition = condition.last_transition_time.context("a transition time")?.0.as_second();
    ensure!(transition == deadline, "the transition is the deadline itself: {transition} and {deadline}");
    Ok(())
}

async fn no_deadline_yet(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "no-deadline", json!({})).await?;
    create(&pods, &annotated("web", 8080, &json!({"warmup-duration": "1ms"}))).await?;
    create(&pods, &annotated("marker", 8080, &json!({"warmup-duration": "1ms"}))).await?;
    containers_ready(&pods, "marker", Timestamp::now().checked_sub(60.seconds())?).await?;
    opened(&pods, "marker", SOON).await?;
    ensure!(condition(&pods.get("web").await?).is_none());
    Ok(())
}

async fn other_pods_token(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "other-token", json!({})).await?;
    let [one, _two] = [
        create(&pods, &annotated("one", 8080, &json!({}))).await?,
        create(&pods, &annotated("two", 8080, &json!({}))).await?,
    ];
    let token = pod_token(&client, &one, AUDIENCE).await?;
    submit(&world, &token, &good_report()).await??;
    opened(&pods, "one", SOON).await?;
    ensure!(condition(&pods.get("two").await?).is_none());
    Ok(())
}

async fn refused_tokens(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "refused-tokens", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let of_nobody = service_account_token(&client, "refused-tokens", "default", Some(AUDIENCE)).await?;
    let of_api = pod_token(&client, &pod, "https://kubernetes.default.svc").await?;
    for (token, expected) in [
        (of_nobody.as_str(), Code::PermissionDenied),
        (of_api.as_str(), Code::Unauthenticated),
        ("made-up", Code::Unauthenticated),
        ("", Code::Unauthenticated),
    ] {
        let status = submit(&world, token, &good_report()).await?.err().context("a refusal")?;
        ensure!(status.code() == expected, "{status:?}");
    }
    ensure!(condition(&pods.get("web").await?).is_none());
    Ok(())
}

async fn successor(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "successor", json!({})).await?;
    let first = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let token = pod_token(&client, &first, AUDIENCE).await?;
    delete(&pods, "web").await?;
    create(&pods, &annotated("web", 8080, &json!({}))).await?;
    // The API server may honour a deleted pod's token for some seconds.
    let refused = eventually("a refusal", SOON, async || {
        let answer = submit(&world, &token, &good_report()).await?;
        ensure!(answer.is_err(), "a report of a deleted pod was taken");
        Ok(answer.err().filter(|status| status.code() == Code::NotFound))
    });
    refused.await?;
    ensure!(condition(&pods.get("web").await?).is_none());
    Ok(())
}

async fn closed_again(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "closed-again", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    submit(&world, &pod_token(&client, &pod, AUDIENCE).await?, &good_report()).await??;
    let close =
        json!({"status": {"conditions": [{"type": "kube-booster.io/warmup-ready", "status": "False"}]}});
    pods.patch_status("web", &PatchParams::default(), &Patch::Strategic(close)).await?;
    let (condition, record) = opened(&pods, "web", SOON).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupSucceeded"));
    ensure!((record.reason, record.report.request_count) == (Reason::WarmupSucceeded, 3));
    Ok(())
}

async fn senseless(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "senseless", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let token = pod_token(&client, &pod, AUDIENCE).await?;
    let forged = proto::report::Report { failed_count: 4, ..good_report() };
    let status = submit(&world, &token, &forged).await?.err().context("a refusal")?;
    ensure!(status.code() == Code::InvalidArgument, "{status:?}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    ensure!(condition(&pods.get("web").await?).is_none());
    Ok(())
}
