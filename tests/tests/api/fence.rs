//! The `ValidatingAdmissionPolicy` that fences the control plane's writes to pods.

use std::sync::Arc;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    control_plane::World,
    patience::{SOON, eventually},
    pods::{annotated, create, namespace},
    trials::trial,
};

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial(
            "the control plane may change nothing of a pod but condition and report",
            2 * SOON,
            world,
            fenced,
        ),
        trial("the control plane may write its condition and its report into a pod", SOON, world, own_writes),
    ]
}

/// A pod as its owner and the kubelet fill it, through `pods`.
async fn full_pod(pods: &Api<Pod>) -> anyhow::Result<()> {
    let mut pod = annotated("web", 8080, &json!({}));
    pod["metadata"]["labels"] = json!({"app": "web"});
    pod["metadata"]["annotations"]["example.com/x"] = "y".into();
    pod["metadata"]["finalizers"] = json!(["example.com/x"]);
    pod["spec"]["resourceClaims"] = json!([{"name": "gpu", "resourceClaimTemplateName": "gpu"}]);
    create(pods, &pod).await?;
    // Long before its deadline, at which the control plane would write it itself.
    let at = Timestamp::now().to_string();
    let container = |name: &str| {
        json!({"name": name, "image": "localhost/app:1", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"running": {"startedAt": at}}})
    };
    let status = json!({"status": {
        "phase": "Running", "startTime": at, "reason": "Example", "message": "as the kubelet says", "observedGeneration": 1,
        "hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.1"}], "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}],
        "nominatedNodeName": "node-1",
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": at},
            {"type": "ContainersReady", "status": "True", "lastTransitionTime": at},
            {"type": "example.com/gate", "status": "False", "lastTransitionTime": at},
        ],
        "containerStatuses": [container("app")], "initContainerStatuses": [container("kube-booster-warmup")],
    }});
    pods.patch_status("web", &PatchParams::default(), &Patch::Strategic(status)).await?;
    Ok(())
}

/// `value` is set at `path`, or put into the list there.
fn set(path: &str, value: &Value) -> Value {
    json!([{"op": "add", "path": path, "value": value}])
}

fn remove(path: &str) -> Value {
    json!([{"op": "remove", "path": path}])
}

/// Each way to change metadata that belong to others, as JSON Patch.
fn foreign_metadata() -> Vec<(&'static str, Value)> {
    vec![
        ("a label is changed", set("/metadata/labels/app", &json!("other"))),
        ("a label is added", set("/metadata/labels/new", &json!("x"))),
        ("a label is removed", remove("/metadata/labels/app")),
        ("our own label is removed", remove("/metadata/labels/kube-booster.io~1injected")),
        ("all labels are removed", remove("/metadata/labels")),
        ("an annotation is changed", set("/metadata/annotations/example.com~1x", &json!("z"))),
        ("an annotation is added", set("/metadata/annotations/new", &json!("x"))),
        ("an annotation is removed", remove("/metadata/annotations/example.com~1x")),
        ("our switch is changed", set("/metadata/annotations/kube-booster.io~1warmup", &json!("off"))),
        ("all annotations are removed", remove("/metadata/annotations")),
        ("a finalizer is added", set("/metadata/finalizers/-", &json!("example.com/y"))),
        ("a finalizer is removed", remove("/metadata/finalizers/0")),
        (
            "the report is above 4 KiB",
            set("/metadata/annotations/kube-booster.io~1warmup-report", &json!("x".repeat(4_097))),
        ),
    ]
}

/// Each way to change a status that belongs to others.
fn foreign_status() -> Vec<(&'static str, Value)> {
    vec![
        ("the phase is changed", set("/status/phase", &json!("Failed"))),
        ("the reason is changed", set("/status/reason", &json!("Evicted"))),
        ("the reason is removed", remove("/status/reason")),
        ("the message is changed", set("/status/message", &json!("other"))),
        ("the start is changed", set("/status/startTime", &json!("2026-01-02T00:00:00Z"))),
        ("the nominated node is changed", set("/status/nominatedNodeName", &json!("node-2"))),
        ("the observed generation is changed", set("/status/observedGeneration", &json!(2))),
        (
            "the host's address is changed",
            json!([
                {"op": "replace", "path": "/status/hostIP", "value": "192.0.2.2"},
                {"op": "replace", "path": "/status/hostIPs/0/ip", "value": "192.0.2.2"},
            ]),
        ),
        (
            "the pod's address is changed",
            json!([
                {"op": "replace", "path": "/status/podIP", "value": "10.0.0.2"},
                {"op": "replace", "path": "/status/podIPs/0/ip", "value": "10.0.0.2"},
            ]),
        ),
        (
            "the pod's address is removed",
            json!([{"op": "remove", "path": "/status/podIP"}, {"op": "remove", "path": "/status/podIPs"}]),
        ),
        ("a container is called not ready", set("/status/containerStatuses/0/ready", &json!(false))),
        ("a container's status is removed", remove("/status/containerStatuses/0")),
        (
            "an init container is called restarted",
            set("/status/initContainerStatuses/0/restartCount", &json!(9)),
        ),
        ("init containers' statuses are removed", remove("/status/initContainerStatuses")),
        (
            "an ephemeral container's status is added",
            set(
                "/status/ephemeralContainerStatuses",
                &json!([{"name": "debug", "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {}}}]),
            ),
        ),
        ("a resize is claimed", set("/status/resize", &json!("Deferred"))),
        (
            "a resource claim's status is added",
            set("/status/resourceClaimStatuses", &json!([{"name": "gpu", "resourceClaimName": "x"}])),
        ),
    ]
}

/// Each way to change conditions that belong to others.
fn foreign_conditions() -> Vec<(&'static str, Value)> {
    vec![
        ("a condition is added", set("/status/conditions/-", &json!({"type": "Ready", "status": "True"}))),
        ("a condition is changed", set("/status/conditions/1/status", &json!("False"))),
        (
            "a condition's time is changed",
            set("/status/conditions/1/lastTransitionTime", &json!("2026-01-02T00:00:00Z")),
        ),
        ("another's gate is opened", set("/status/conditions/2/status", &json!("True"))),
        ("a condition is removed", remove("/status/conditions/0")),
        (
            "conditions change places",
            json!([{"op": "move", "from": "/status/conditions/0", "path": "/status/conditions/2"}]),
        ),
        ("all conditions are removed", remove("/status/conditions")),
        (
            "our condition's message is above 4 KiB",
            set(
                "/status/conditions/-",
                &json!({
            "type": "kube-booster.io/warmup-ready", "status": "True", "message": "x".repeat(4_097)}),
            ),
        ),
    ]
}

/// What the API server itself lets nobody change by a pod's status; the policy sees no change, or is not asked.
fn changes_that_nobody_makes() -> Vec<(&'static str, Value)> {
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u1"}]);
    vec![
        ("an owner is added", set("/metadata/ownerReferences", &owner)),
        ("the UID is changed", set("/metadata/uid", &json!("u1"))),
        ("the creation is changed", set("/metadata/creationTimestamp", &json!("2026-01-01T00:00:00Z"))),
        ("a deletion is claimed", set("/metadata/deletionTimestamp", &json!("2026-01-01T00:00:00Z"))),
        ("the image is changed", set("/spec/containers/0/image", &json!("localhost/other:1"))),
        ("the node is changed", set("/spec/nodeName", &json!("node-1"))),
        ("a toleration is added", set("/spec/tolerations/-", &json!({"operator": "Exists"}))),
        ("the QoS class is changed", set("/status/qosClass", &json!("BestEffort"))),
    ]
}

/// `pod` without what every write changes.
async fn lasting(pods: &Api<Pod>) -> anyhow::Result<Value> {
    let mut pod = serde_json::to_value(pods.get("web").await?)?;
    for field in ["resourceVersion", "managedFields"] {
        pod["metadata"].as_object_mut().map(|metadata| metadata.remove(field));
    }
    Ok(pod)
}

async fn fenced(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "fenced", json!({})).await?;
    let ours: Api<Pod> = Api::namespaced(world.control_plane_client().await?, "fenced");
    full_pod(&pods).await?;
    let before = lasting(&pods).await?;
    let attempt = async |change: &Value| {
        let patch = Patch::Json::<()>(serde_json::from_value(change.clone())?);
        anyhow::Ok(
            ours.patch_status("web", &PatchParams::default(), &patch)
                .await
                .err()
                .map(|error| error.to_string()),
        )
    };
    // The policy takes a moment to be in force after it was made.
    let probe = json!([{"op": "add", "path": "/metadata/labels/probe", "value": "x"}]);
    let undo = json!([{"op": "remove", "path": "/metadata/labels/probe"}]);
    let in_force = eventually("a fence in force", SOON, async || {
        let refused = attempt(&probe).await?.is_some();
        if !refused {
            attempt(&undo).await?;
        }
        Ok(refused.then_some(()))
    });
    in_force.await?;
    let foreign = [foreign_metadata(), foreign_status(), foreign_conditions()];
    for (what, change) in foreign.into_iter().flatten() {
        let refusal = attempt(&change).await?;
        let refusal = refusal.with_context(|| format!("{what}, and nobody refuses it"))?;
        ensure!(refusal.contains("ValidatingAdmissionPolicy 'kube-booster-pod-status'"), "{what}: {refusal}");
    }
    for (what, change) in changes_that_nobody_makes() {
        attempt(&change).await?;
        let after = lasting(&pods).await?;
        ensure!(after == before, "{what}: {after} was {before}");
    }
    ensure!(lasting(&pods).await? == before);
    Ok(())
}

async fn own_writes(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "own-writes", json!({})).await?;
    full_pod(&pods).await?;
    let ours: Api<Pod> = Api::namespaced(world.control_plane_client().await?, "own-writes");
    let write = async |status: &str, reason: &str, report: &str| {
        let body = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web", "annotations": {"kube-booster.io/warmup-report": report}},
            "status": {"conditions": [{"type": "kube-booster.io/warmup-ready", "status": status, "reason": reason}]},
        });
        ours.patch_status("web", &PatchParams::apply("kube-booster").force(), &Patch::Apply(body)).await
    };
    write("False", "Waiting", "").await?;
    write("True", "WarmupSucceeded", &"x".repeat(4_096)).await?;
    let pod = write("True", "Released", "{}").await?;
    let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
    ensure!(conditions.len() == 4, "{conditions:?}");
    Ok(())
}
