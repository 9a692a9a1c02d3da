//! The `ValidatingAdmissionPolicy` that fences the control plane's patches of pods.

use std::sync::Arc;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    control_plane::World,
    patience::{SOON, eventually},
    pods::{annotated, create, namespace},
    sidecar::container,
    trials::trial,
};

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![trial(
        "the control plane may change nothing of a pod's spec but its own container's image",
        2 * SOON,
        world,
        fenced,
    )]
}

/// An annotated pod with an init container of its author's.
fn pod() -> Value {
    let mut pod = annotated("web", 8080, &json!({}));
    pod["metadata"]["labels"] = json!({"app": "web"});
    pod["spec"]["initContainers"] = json!([{"name": "migrate", "image": "localhost/migrate:1"}]);
    pod["spec"]["activeDeadlineSeconds"] = 3_600.into();
    pod
}

/// Changes that the API server itself takes, so that nobody but the policy refuses them.
fn foreign() -> Vec<(&'static str, Value)> {
    let ours = json!({"op": "replace", "path": "/spec/initContainers/1/image", "value": "localhost/pause:1"});
    let replace = |path: &str, value: Value| json!([{"op": "replace", "path": path, "value": value}]);
    let add = |path: &str, value: Value| json!([ours, {"op": "add", "path": path, "value": value}]);
    let toleration = json!({"key": "example.com/x", "operator": "Exists"});
    vec![
        ("the app's image", replace("/spec/containers/0/image", "localhost/other:1".into())),
        (
            "another init container's image",
            replace("/spec/initContainers/0/image", "localhost/other:1".into()),
        ),
        ("a deadline", replace("/spec/activeDeadlineSeconds", 1.into())),
        ("a toleration", add("/spec/tolerations/-", toleration)),
        ("a label", add("/metadata/labels/more", "x".into())),
        ("our label", replace("/metadata/labels/kube-booster.io~1injected", "false".into())),
        ("an annotation", add("/metadata/annotations/more", "x".into())),
        ("the report", replace("/metadata/annotations/kube-booster.io~1warmup-report", "{}".into())),
        ("a finalizer", add("/metadata/finalizers", json!(["example.com/x"]))),
        (
            "an owner",
            add(
                "/metadata/ownerReferences",
                json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]),
            ),
        ),
    ]
}

async fn fenced(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "pod-fence", json!({})).await?;
    let before = create(&pods, &pod()).await?;
    let ours: Api<Pod> = Api::namespaced(world.control_plane_client().await?, "pod-fence");
    // Dry, because the policy takes a moment to be in force after it was made.
    let dry_run = PatchParams { dry_run: true, ..PatchParams::default() };
    for (what, patch) in foreign() {
        let patch = Patch::<()>::Json(serde_json::from_value(patch)?);
        // The administrator may: it is the policy alone that refuses it.
        pods.patch("web", &dry_run, &patch)
            .await
            .with_context(|| format!("{what} cannot be changed at all"))?;
        let refused = eventually("a refusal", SOON, async || {
            let answer = ours.patch("web", &dry_run, &patch).await;
            Ok(answer.err().map(|error| error.to_string()))
        });
        let refused = refused.await.with_context(|| format!("{what} was not refused"))?;
        ensure!(refused.contains("ValidatingAdmissionPolicy"), "{what}: {refused}");
    }
    ensure!(pods.get("web").await?.spec == before.spec);
    made_by_apply_is_refused(&ours).await?;

    let own =
        json!([{"op": "replace", "path": "/spec/initContainers/1/image", "value": "localhost/pause:1"}]);
    ours.patch("web", &PatchParams::default(), &Patch::<()>::Json(serde_json::from_value(own)?)).await?;
    ensure!(container(&pods.get("web").await?)?.image.as_deref() == Some("localhost/pause:1"));
    Ok(())
}

/// A server-side apply is a patch that can make what is not there.
async fn made_by_apply_is_refused(ours: &Api<Pod>) -> anyhow::Result<()> {
    let mut made = annotated("made", 8080, &json!({}));
    (made["apiVersion"], made["kind"]) = ("v1".into(), "Pod".into());
    let answer = ours.patch("made", &PatchParams::apply("kube-booster"), &Patch::Apply(made)).await;
    ensure!(answer.is_err() && ours.get_opt("made").await?.is_none());
    Ok(())
}
