//! Pods of the tests, and the parts of the kubelet that an API server without a node lacks.

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Pod, PodCondition, ServiceAccount};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use proto::{names, report::Record};
use serde_json::{Value, json};

use crate::patience::{SOON, eventually};

/// A namespace of a test's own.
pub async fn namespace(client: &Client, name: &str, labels: Value) -> anyhow::Result<Api<Pod>> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let body = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}}))?;
    namespaces.create(&PostParams::default(), &body).await?;
    // There is no controller manager that would make it.
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    let account = serde_json::from_value(json!({"metadata": {"name": "default"}}))?;
    accounts.create(&PostParams::default(), &account).await?;
    Ok(Api::namespaced(client.clone(), name))
}

/// An annotated pod with an app on `port`; `annotations` are added to the one that turns warm-up on.
#[must_use]
pub fn annotated(name: &str, port: u16, annotations: &Value) -> Value {
    let mut all = json!({"kube-booster.io/warmup": "enabled"});
    for (key, value) in annotations.as_object().into_iter().flatten() {
        all[format!("kube-booster.io/{key}")] = value.clone();
    }
    json!({
        "metadata": {"name": name, "annotations": all},
        "spec": {"containers": [{
            "name": "app", "image": "localhost/app:1", "ports": [{"containerPort": port}],
            "resources": {"requests": {"cpu": "1m"}},
        }]},
    })
}

/// Creates `pod`.
pub async fn create(pods: &Api<Pod>, pod: &Value) -> anyhow::Result<Pod> {
    Ok(pods.create(&PostParams::default(), &serde_json::from_value(pod.clone())?).await?)
}

/// Deletes a pod at once and waits until it is gone.
pub async fn delete(pods: &Api<Pod>, name: &str) -> anyhow::Result<()> {
    pods.delete(name, &DeleteParams::default().grace_period(0)).await?;
    eventually("a pod that is gone", SOON, async || Ok(pods.get_opt(name).await?.is_none().then_some(())))
        .await
}

/// Creates `pod` anew until the stored one is `wanted`: the API server takes news of a webhook over a moment later.
pub async fn create_until(
    pods: &Api<Pod>,
    pod: &Value,
    within: Duration,
    wanted: impl Fn(&Pod) -> bool,
) -> anyhow::Result<Pod> {
    eventually("a pod that is stored as wanted", within, async || {
        let stored = create(pods, pod).await?;
        if wanted(&stored) {
            return Ok(Some(stored));
        }
        delete(pods, stored.metadata.name.as_deref().unwrap_or_default()).await?;
        Ok(None)
    })
    .await
}

/// Says what the kubelet says once all containers of a pod are ready.
pub async fn containers_ready(pods: &Api<Pod>, name: &str, at: Timestamp) -> anyhow::Result<()> {
    let at = at.to_string();
    let status = json!({"status": {
        "phase": "Running",
        "conditions": [{"type": "ContainersReady", "status": "True", "lastTransitionTime": at}],
        "containerStatuses": [{
            "name": "app", "image": "localhost/app:1", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"running": {"startedAt": at}},
        }],
    }});
    pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(status)).await?;
    Ok(())
}

/// Our condition of `pod`.
#[must_use]
pub fn condition(pod: &Pod) -> Option<&PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == names::CONDITION)
}

/// The pod's record of its own warm-up.
#[must_use]
pub fn record(pod: &Pod) -> Option<Record> {
    let annotation = pod.metadata.annotations.as_ref()?.get(names::REPORT_ANNOTATION)?;
    Record::of_pod(pod.metadata.uid.as_ref()?, annotation)
}

/// Waits until the gate of pod `name` is open; gives its condition and record.
pub async fn opened(pods: &Api<Pod>, name: &str, within: Duration) -> anyhow::Result<(PodCondition, Record)> {
    let pod = eventually("an open gate", within, async || {
        let pod = pods.get(name).await?;
        Ok(condition(&pod).is_some_and(|condition| condition.status == "True").then_some(pod))
    });
    let pod = pod.await?;
    let record = record(&pod).context("an open gate comes with its record")?;
    Ok((condition(&pod).cloned().context("there is a condition")?, record))
}
