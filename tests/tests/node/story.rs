//! A pod is held, warmed, and only then in service.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use futures::future::{join_all, try_join_all};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    cluster::{Cluster, shop},
    patience::{SOON, eventually},
    pods::{annotated, create, opened, record},
    sidecar::container,
    trials::trial,
};

use crate::IMAGE;

const LONG: Duration = Duration::from_secs(150);

pub(crate) fn trials(cluster: Option<&Arc<Cluster>>) -> Vec<Trial> {
    vec![
        trial("a pod is ready, and in its Service, only after its warm-up", LONG, cluster, held),
        trial("the pod of a job is left alone and completes", LONG, cluster, job),
        trial("twenty pods at once are all warmed", LONG, cluster, twenty),
        trial("a pod that is deleted during its warm-up is gone at once", LONG, cluster, deleted),
    ]
}

/// A namespace of a test's own, in which pods can be made.
pub(crate) async fn namespace(cluster: &Cluster, name: &str) -> anyhow::Result<Api<Pod>> {
    cluster.kubectl(&["create", "namespace", name])?;
    let has_account =
        async || Ok(cluster.kubectl(&["--namespace", name, "get", "serviceaccount", "default"]).ok());
    eventually("a default ServiceAccount", SOON, has_account).await?;
    Ok(Api::namespaced(cluster.client().await?, name))
}

/// Whether condition `kind` of `pod` is True.
pub(crate) fn is_true(pod: &Pod, kind: &str) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == kind && condition.status == "True")
}

/// Waits until pod `name` is Ready.
pub(crate) async fn ready(pods: &Api<Pod>, name: &str, within: Duration) -> anyhow::Result<Pod> {
    eventually("a pod that is Ready", within, async || {
        Ok(Some(pods.get(name).await?).filter(|pod| is_true(pod, "Ready")))
    })
    .await
}

/// Whether the Service's `EndpointSlice` has a ready endpoint; `None` while it has none at all.
async fn has_ready_endpoint(slices: &Api<EndpointSlice>) -> anyhow::Result<Option<bool>> {
    let slices = slices.list(&ListParams::default().labels("kubernetes.io/service-name=web")).await?;
    let endpoints: Vec<_> = slices.items.into_iter().flat_map(|slice| slice.endpoints).collect();
    let is_ready = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) == Some(true)
    };
    Ok((!endpoints.is_empty()).then(|| endpoints.iter().any(is_ready)))
}

async fn held(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "held").await?;
    let client = cluster.client().await?;
    let service = serde_json::from_value(json!({"metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}))?;
    Api::<Service>::namespaced(client.clone(), "held").create(&PostParams::default(), &service).await?;
    let slices = Api::namespaced(client, "held");
    let settings = json!({"warmup-requests": "30", "warmup-duration": "6s", "warmup-endpoint": "/ /report"});
    create(&pods, &shop("web", IMAGE, &settings)).await?;

    let mut was_held = 0;
    let pod = eventually("a pod that is Ready", LONG, async || {
        let pod = pods.get("web").await?;
        let in_service = has_ready_endpoint(&slices).await?;
        if is_true(&pod, "kube-booster.io/warmup-ready") {
            return Ok(Some(pod).filter(|pod| is_true(pod, "Ready")));
        }
        ensure!(!is_true(&pod, "Ready"), "the pod is Ready before its warm-up");
        ensure!(in_service != Some(true), "the pod is in its Service before its warm-up");
        if is_true(&pod, "ContainersReady") && in_service == Some(false) {
            was_held += 1;
        }
        Ok(None)
    });
    let pod = pod.await?;
    ensure!(was_held >= 10, "the gate alone held a pod whose containers were ready; seen {was_held} times");
    eventually("a ready endpoint", SOON, async || {
        Ok(has_ready_endpoint(&slices).await?.filter(|ready| *ready))
    })
    .await?;
    let report = record(&pod).context("a record")?.report;
    ensure!(report.success && report.request_count == 30, "{report:?}");
    let curve = cluster.ask_app("held", "web", "/latency")?;
    ensure!(curve.contains("below: 30 warm-up, 0 of users"), "the app saw the warm-up: {curve}");
    Ok(())
}

async fn job(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "job").await?;
    let jobs: Api<Job> = Api::namespaced(cluster.client().await?, "job");
    let mut template = annotated("task", 8080, &json!({}));
    template["spec"]["restartPolicy"] = "Never".into();
    template["spec"]["containers"][0]["image"] = IMAGE.into();
    template["spec"]["containers"][0]["args"] = json!(["--version"]);
    let body = json!({"metadata": {"name": "task"}, "spec": {"template": template, "backoffLimit": 0}});
    jobs.create(&PostParams::default(), &serde_json::from_value(body)?).await?;
    eventually("a job that is complete", LONG, async || {
        Ok(jobs.get("task").await?.status.and_then(|status| status.succeeded))
    })
    .await?;
    let made = pods.list(&ListParams::default()).await?;
    ensure!(made.items.len() == 1 && container(&made.items[0]).is_err());
    Ok(())
}

async fn twenty(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "twenty").await?;
    let settings = json!({"warmup-requests": "4", "warmup-duration": "1s", "warmup-endpoint": "/"});
    let names: Vec<_> = (0..20).map(|i| format!("web-{i}")).collect();
    let manifests: Vec<_> = names.iter().map(|name| shop(name, IMAGE, &settings)).collect();
    try_join_all(manifests.iter().map(|pod| create(&pods, pod))).await?;
    for opened in join_all(names.iter().map(|name| opened(&pods, name, LONG))).await {
        let (condition, record) = opened?;
        ensure!(condition.reason.as_deref() == Some("WarmupSucceeded"), "{condition:?}");
        ensure!(record.report.request_count == 4);
    }
    for name in &names {
        ready(&pods, name, SOON).await?;
    }
    pods.delete_collection(&DeleteParams::default().grace_period(0), &ListParams::default()).await?;
    Ok(())
}

async fn deleted(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "deleted").await?;
    let settings = json!({"warmup-requests": "100", "warmup-duration": "1m"});
    let mut pod = shop("web", IMAGE, &settings);
    // Should the sidecar wait for its end, the pod's would show.
    pod["spec"]["terminationGracePeriodSeconds"] = 60.into();
    create(&pods, &pod).await?;
    eventually("a pod whose containers are ready", LONG, async || {
        Ok(Some(pods.get("web").await?).filter(|pod| is_true(pod, "ContainersReady")))
    })
    .await?;
    pods.delete("web", &DeleteParams::default()).await?;
    let gone = async || Ok(pods.get_opt("web").await?.is_none().then_some(()));
    eventually("a pod that is gone", Duration::from_secs(15), gone).await
}
