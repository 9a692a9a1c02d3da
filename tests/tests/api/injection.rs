//! An injection never keeps a pod from being created: the same pods with and without it, on the real API server.

// What an injection may change, and random pods, are the control plane's own tests'.
#[path = "../../../control-plane/tests/injection/difference.rs"]
mod difference;
#[path = "../../../control-plane/tests/injection/pods.rs"]
mod pods;

mod copied;
mod golden;
mod limits;
mod random;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{LimitRange, Pod, ResourceQuota};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use libtest_mimic::Trial;
use proto::names;
use serde_json::{Value, json};
use tests::control_plane::World;

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    [copied::trials(world), golden::trials(world), limits::trials(world), random::trials(world)]
        .into_iter()
        .flatten()
        .collect()
}

/// The pods of a namespace as JSON: no field is lost that a type of ours does not know.
fn untyped(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Pod>(&()))
}

/// What the API server stores for `pod`, or why it refuses it.
async fn create(
    pods: &Api<DynamicObject>,
    pod: &Value,
    dry_run: bool,
) -> anyhow::Result<Result<Value, String>> {
    let body: DynamicObject = serde_json::from_value(pod.clone())?;
    match pods.create(&PostParams { dry_run, ..PostParams::default() }, &body).await {
        Ok(stored) => Ok(Ok(serde_json::to_value(stored)?)),
        Err(kube::Error::Api(status)) => Ok(Err(status.message.clone())),
        Err(error) => Err(error.into()),
    }
}

/// `pod` as if it had never asked for a warm-up.
fn unasked(pod: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(annotations) = pod["metadata"]["annotations"].as_object_mut() {
        annotations.remove(names::WARMUP_ANNOTATION);
    }
    pod
}

fn sidecar(pod: &Value) -> Option<&Value> {
    let containers = pod["spec"]["initContainers"].as_array()?;
    containers.iter().find(|container| container["name"] == names::SIDECAR_CONTAINER)
}

/// What of a stored pod has to be the same with and without an injection.
fn comparable(stored: &Value) -> Value {
    let mut pod = unasked(stored);
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        pod["metadata"].as_object_mut().map(|metadata| metadata.remove(field));
    }
    if pod["metadata"]["generateName"].is_string() {
        pod["metadata"]["name"] = "generated".into();
    }
    // The LimitRanger's own note of what it has filled in.
    if let Some(annotations) = pod["metadata"]["annotations"].as_object_mut() {
        annotations.remove("kubernetes.io/limit-ranger");
    }
    difference::stripped(with_one_token_volume(&pod))
}

/// The volume of the API token has a random name.
fn with_one_token_volume(pod: &Value) -> Value {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let names = volumes.filter_map(|volume| volume["name"].as_str());
    let random = names.filter(|name| name.starts_with("kube-api-access-"));
    let text = random.fold(pod.to_string(), |text, name| text.replace(name, "kube-api-access"));
    serde_json::from_str(&text).unwrap_or_default()
}

/// Creates a `LimitRange` or a `ResourceQuota` with its status, which no controller fills in here.
async fn limit(client: &Client, namespace: &str, object: &Value) -> anyhow::Result<()> {
    if object["kind"] == "LimitRange" {
        let ranges: Api<LimitRange> = Api::namespaced(client.clone(), namespace);
        ranges.create(&PostParams::default(), &serde_json::from_value(object.clone())?).await?;
        return Ok(());
    }
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), namespace);
    let quota = quotas.create(&PostParams::default(), &serde_json::from_value(object.clone())?).await?;
    let status = Patch::Merge(json!({"status": object["status"]}));
    let name = quota.metadata.name.unwrap_or_default();
    quotas.patch_status(&name, &PatchParams::default(), &status).await?;
    Ok(())
}
