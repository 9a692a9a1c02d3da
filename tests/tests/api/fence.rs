//! The `ValidatingAdmissionPolicy` that fences the control plane's writes to pods.

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
        trial("the control plane has no right beyond what it does", SOON, world, least_privilege),
    ]
}

fn apply(metadata: &Value, status: &Value) -> Value {
    let mut body = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "status": status});
    for (key, value) in metadata.as_object().into_iter().flatten() {
        body["metadata"][key] = value.clone();
    }
    body
}

async fn fenced(world: Arc<World>) -> anyhow::Result<()> {
    namespace(&world.api.client().await?, "fenced", json!({})).await?;
    let ours: Api<Pod> = Api::namespaced(world.control_plane_client().await?, "fenced");
    create(&Api::namespaced(world.api.client().await?, "fenced"), &annotated("web", 8080, &json!({})))
        .await?;
    let refuse = async |metadata: Value, status: Value| {
        let params = PatchParams::apply("kube-booster").force();
        let answer = ours.patch_status("web", &params, &Patch::Apply(apply(&metadata, &status))).await;
        anyhow::Ok(answer.err().map(|error| error.to_string()))
    };
    let none = json!({});
    let condition = |kind: &str| json!({"conditions": [{"type": kind, "status": "True"}]});
    let foreign = [
        ("a label", json!({"labels": {"app": "other"}}), none.clone()),
        ("an annotation", json!({"annotations": {"example.com/x": "y"}}), none.clone()),
        ("our switch", json!({"annotations": {"kube-booster.io/warmup": "off"}}), none.clone()),
        ("a finalizer", json!({"finalizers": ["example.com/x"]}), none.clone()),
        ("a condition", none.clone(), condition("Ready")),
        ("another gate", none.clone(), condition("example.com/gate")),
        ("the phase", none.clone(), json!({"phase": "Succeeded"})),
        ("the address", none.clone(), json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]})),
    ];
    for (what, metadata, status) in foreign {
        // The policy takes a moment to be in force after it was made.
        let refusal = eventually("a refusal", SOON, async || {
            refuse(metadata.clone(), status.clone()).await.with_context(|| what.to_owned())
        });
        let refusal = refusal.await.with_context(|| format!("{what} was not refused"))?;
        ensure!(refusal.contains("ValidatingAdmissionPolicy"), "{what}: {refusal}");
    }
    let report = json!({"annotations": {"kube-booster.io/warmup-report": "{}"}});
    let own = refuse(report, condition("kube-booster.io/warmup-ready")).await?;
    ensure!(own.is_none(), "{own:?}");
    Ok(())
}

async fn least_privilege(world: Arc<World>) -> anyhow::Result<()> {
    let account = "system:serviceaccount:kube-booster-system:kube-booster";
    let can = |verb: &str, resource: &str, more: &[&str]| {
        let arguments = [&["auth", "can-i", verb, resource, "--as", account], more].concat();
        // kubectl fails where it may not, and says `no`.
        let said = world.api.kubectl(&arguments).unwrap_or_else(|error| error.to_string());
        match (said.trim_end().ends_with("yes"), said.trim_end().ends_with("no")) {
            (true, false) => Ok(true),
            (false, true) => Ok(false),
            _ => Err(anyhow::anyhow!(said)),
        }
    };
    for (verb, resource) in [("list", "pods"), ("create", "tokenreviews.authentication.k8s.io")] {
        ensure!(can(verb, resource, &["--all-namespaces"])?, "may not {verb} {resource}");
    }
    for (verb, resource) in [
        ("list", "secrets"),
        ("create", "pods"),
        ("delete", "pods"),
        ("create", "mutatingwebhookconfigurations.admissionregistration.k8s.io"),
        ("list", "configmaps"),
        ("impersonate", "users"),
    ] {
        ensure!(!can(verb, resource, &["--all-namespaces"])?, "may {verb} {resource}");
    }
    ensure!(!can("create", "pods", &["--subresource=eviction", "--all-namespaces"])?, "may evict pods");
    let own = ["--namespace", "kube-booster-system"];
    ensure!(can("update", "leases.coordination.k8s.io/kube-booster", &own)?, "may not lead");
    ensure!(!can("update", "leases.coordination.k8s.io/other", &own)?, "may write any Lease");
    ensure!(!can("get", "secrets/other", &["--namespace", "kube-booster-system"])?);
    Ok(())
}
