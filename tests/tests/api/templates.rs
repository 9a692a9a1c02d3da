//! The `ValidatingAdmissionPolicy` that warns the authors of workloads.

use std::sync::Arc;

use anyhow::ensure;
use kube::Client;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    control_plane::World,
    patience::{SOON, eventually},
    trials::trial,
    warnings,
};

mod verdicts;

const POLICY: &str = "kube-booster-template-warnings";

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial(
            "the author of a workload is warned of wrong annotations, whatever its kind",
            2 * SOON,
            world,
            every_kind,
        ),
        trial("kubectl apply of a workload prints what is wrong with its annotations", SOON, world, printed),
        trial("a workload whose annotations are right brings no warning", SOON, world, right),
        trial("a workload without our annotations is not judged", 2 * SOON, world, not_judged),
        trial("a workload that is off, or nobody's, brings no warning", SOON, world, silent),
        trial("a workload's author hears what the webhook will say", 2 * SOON, world, verdicts::agree),
    ]
}

/// Kind, API version and resource of what holds a pod template.
const KINDS: [(&str, &str, &str); 7] = [
    ("Deployment", "apps/v1", "deployments"),
    ("StatefulSet", "apps/v1", "statefulsets"),
    ("DaemonSet", "apps/v1", "daemonsets"),
    ("ReplicaSet", "apps/v1", "replicasets"),
    ("ReplicationController", "v1", "replicationcontrollers"),
    ("Job", "batch/v1", "jobs"),
    ("CronJob", "batch/v1", "cronjobs"),
];

/// `annotations` with our prefix before each key.
fn ours(annotations: &Value) -> Value {
    let prefixed = annotations.as_object().into_iter().flatten();
    prefixed
        .map(|(key, value)| (format!("kube-booster.io/{key}"), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A workload of `kind` whose pods carry `annotations`.
fn workload(kind: &str, annotations: &Value) -> Value {
    let (_, version, _) = KINDS.iter().find(|(known, ..)| *known == kind).expect("a kind of the table");
    let mut pod = json!({
        "metadata": {"labels": {"app": "web"}, "annotations": ours(annotations)},
        "spec": {"containers": [{"name": "app", "image": "localhost/app:1"}]},
    });
    let selector = json!({"matchLabels": {"app": "web"}});
    let spec = match kind {
        "Job" | "CronJob" => {
            pod["spec"]["restartPolicy"] = "Never".into();
            json!({"template": pod})
        }
        "ReplicationController" => json!({"selector": {"app": "web"}, "template": pod}),
        "StatefulSet" => json!({"selector": selector, "template": pod, "serviceName": "web"}),
        _ => json!({"selector": selector, "template": pod}),
    };
    let spec =
        if kind == "CronJob" { json!({"schedule": "@daily", "jobTemplate": {"spec": spec}}) } else { spec };
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": "web"}, "spec": spec})
}

/// What our policy warns of when `workload` is created.
async fn warned(client: &Client, workload: &Value) -> anyhow::Result<Vec<String>> {
    let kind = workload["kind"].as_str().unwrap_or_default();
    let (_, version, resource) =
        KINDS.iter().find(|(known, ..)| *known == kind).expect("a kind of the table");
    let api = if version.contains('/') { "apis" } else { "api" };
    let path = format!("/{api}/{version}/namespaces/default/{resource}");
    let all = warnings::of_dry_run(client, &path, workload).await?;
    let ours =
        format!("Validation failed for ValidatingAdmissionPolicy '{POLICY}' with binding '{POLICY}': ");
    Ok(all.into_iter().filter_map(|warning| warning.strip_prefix(&ours).map(str::to_owned)).collect())
}

/// A client, once the policy is in force.
async fn client(world: &World) -> anyhow::Result<Client> {
    let client = world.api.client().await?;
    let wrong = workload("Deployment", &json!({"warmup": "true"}));
    eventually("a policy in force", SOON, async || {
        Ok((!warned(&client, &wrong).await?.is_empty()).then_some(()))
    })
    .await?;
    Ok(client)
}

/// Annotations, and how the one warning begins that they bring.
fn wrong() -> Vec<(Value, &'static str)> {
    let on = |key: &str, value: &str| json!({"warmup": "enabled", "warmup-allow": "job", key: value});
    vec![
        (
            json!({"warmup": "true"}),
            r#"kube-booster.io/warmup: "true" leaves warm-up off; use enabled, written exactly so"#,
        ),
        (json!({"warmup": "Enabled"}), r#"kube-booster.io/warmup: "Enabled" leaves warm-up off"#),
        (
            json!({"warmup-requests": "3"}),
            "kube-booster.io/warmup-requests: without effect as long as kube-booster.io/warmup: enabled",
        ),
        (
            on("warmup-requests", "0"),
            r#"kube-booster.io/warmup-requests: "0" is not what it takes; use a whole number from 1 to 12000"#,
        ),
        (
            on("warmup-duration", "30"),
            r#"kube-booster.io/warmup-duration: "30" is not what it takes; use a duration from 1ms to 5m"#,
        ),
        (
            on("warmup-success-threshold", "0.9"),
            r#"kube-booster.io/warmup-success-threshold: "0.9" is not what it takes; use a percentage"#,
        ),
        (
            on("warmup-protocol", "spdy"),
            r#"kube-booster.io/warmup-protocol: "spdy" is not what it takes; use http, https, h2c or grpc"#,
        ),
        (
            on("warmup-protocol", "grpc"),
            "kube-booster.io/warmup-grpc-method: is missing, and protocol grpc needs it; use a method such as",
        ),
        (
            on("warmup-grpc-method", "a.B/C"),
            "kube-booster.io/warmup-grpc-method: for protocol grpc alone; set kube-booster.io/warmup-protocol: grpc",
        ),
        (
            on("warmup-config", "big"),
            "kube-booster.io/warmup-config: not supported by this version yet; leave it out",
        ),
        (on("warmup-request", "3"), "kube-booster.io/warmup-request: unknown annotation, ignored; mistyped?"),
        (
            on("sidecar-memory", "8Mi"),
            "kube-booster.io/sidecar-memory: unknown annotation, ignored; mistyped?",
        ),
    ]
}

async fn every_kind(world: Arc<World>) -> anyhow::Result<()> {
    let client = client(&world).await?;
    for (kind, ..) in KINDS {
        for (annotations, beginning) in wrong() {
            let mut warnings = warned(&client, &workload(kind, &annotations)).await?;
            if annotations.get("warmup-allow").is_none() {
                warnings.retain(|warning| !warning.contains("are left alone"));
            }
            ensure!(
                warnings.len() == 1 && warnings[0].starts_with(beginning),
                "{kind}: {annotations}: {warnings:?}"
            );
        }
        let mut misplaced = workload(kind, &json!({}));
        misplaced["metadata"]["annotations"] = ours(&json!({"warmup": "enabled", "warmup-requests": "3"}));
        let place = if kind == "CronJob" { "spec.jobTemplate.spec.template" } else { "spec.template" };
        let expected = format!(
            "kube-booster.io/warmup, kube-booster.io/warmup-requests: without effect here; it belongs to the pods: \
             move it to {place}.metadata.annotations"
        );
        let warnings = warned(&client, &misplaced).await?;
        ensure!(warnings == [expected], "{kind}: {warnings:?}");
        let on = warned(&client, &workload(kind, &json!({"warmup": "enabled"}))).await?;
        match kind {
            "Job" | "CronJob" => {
                let expected = format!(
                    "kube-booster.io/warmup: the pods of a {kind} are left alone; kube-booster.io/warmup-allow: job"
                );
                ensure!(on.len() == 1 && on[0].starts_with(&expected), "{on:?}");
            }
            _ => ensure!(on.is_empty(), "{kind}: {on:?}"),
        }
    }
    Ok(())
}

async fn printed(world: Arc<World>) -> anyhow::Result<()> {
    client(&world).await?;
    let file = world.api.folder().join("templates.json");
    let wrong =
        json!({"warmup": "true", "warmup-timeout": "5s", "warmup-duration": "5s", "warmup-config": "x"});
    let mut deployment = workload("Deployment", &wrong);
    deployment["metadata"]["name"] = "printed".into();
    std::fs::write(&file, deployment.to_string())?;
    let said = world.api.kubectl(&["apply", "--filename", &file.display().to_string()])?;
    for warning in [
        r#"kube-booster.io/warmup: "true" leaves warm-up off; use enabled, written exactly so, or off"#,
        "kube-booster.io/warmup-timeout: excludes kube-booster.io/warmup-duration; leave one of them out",
        "kube-booster.io/warmup-config: not supported by this version yet; leave it out",
    ] {
        let line = format!(
            "Warning: Validation failed for ValidatingAdmissionPolicy '{POLICY}' with binding '{POLICY}': {warning}"
        );
        ensure!(said.lines().any(|said| said == line), "{said}");
    }
    ensure!(said.contains("deployment.apps/printed created"), "{said}");
    Ok(())
}

async fn right(world: Arc<World>) -> anyhow::Result<()> {
    let client = client(&world).await?;
    let all = json!({
        "warmup": "enabled", "warmup-endpoint": "/ /search?q=shoes", "warmup-requests": "40", "warmup-duration": "1m30s",
        "warmup-port": "http", "warmup-protocol": "http", "warmup-concurrency": "8", "warmup-connections": "8",
        "warmup-until": "stable", "warmup-ramp": "5s", "warmup-retries": "2", "warmup-success-threshold": "99.5%",
        "sidecar-cpu-request": "5m", "sidecar-cpu-limit": "100m", "sidecar-memory-request": "4Mi",
        "sidecar-memory-limit": "16MB", "warmup-allow": "job, host-network",
    });
    for (kind, ..) in KINDS {
        let mut workload = workload(kind, &all);
        // What is written in both places is not misplaced.
        workload["metadata"]["annotations"] = ours(&json!({"warmup": "enabled"}));
        let warnings = warned(&client, &workload).await?;
        ensure!(warnings.is_empty(), "{kind}: {warnings:?}");
    }
    let mut host = workload("DaemonSet", &json!({"warmup": "enabled"}));
    host["spec"]["template"]["spec"]["hostNetwork"] = true.into();
    let warnings = warned(&client, &host).await?;
    ensure!(
        warnings.len() == 1 && warnings[0].contains("kube-booster.io/warmup-allow: host-network"),
        "{warnings:?}"
    );
    let mut windows = workload("Deployment", &json!({"warmup": "enabled"}));
    windows["spec"]["template"]["spec"]["nodeSelector"] = json!({"kubernetes.io/os": "windows"});
    let warnings = warned(&client, &windows).await?;
    ensure!(warnings.len() == 1 && warnings[0].contains("the sidecar runs on Linux only"), "{warnings:?}");
    Ok(())
}

/// How often the policy was asked so far.
fn judged(world: &World) -> anyhow::Result<u64> {
    let metrics = world.api.kubectl(&["get", "--raw", "/metrics"])?;
    let counts =
        metrics.lines().filter(|line| line.contains("_policy_check_total{") && line.contains(POLICY));
    Ok(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}

async fn not_judged(world: Arc<World>) -> anyhow::Result<()> {
    let client = client(&world).await?;
    ensure!(judged(&world)? > 0, "the API server counts what it asks");
    // Other tests ask at the same time: what counts is that one attempt sees no question.
    eventually("workloads that were not judged", SOON, async || {
        let before = judged(&world)?;
        for (kind, ..) in KINDS {
            let mut other = workload(kind, &json!({}));
            other["metadata"]["annotations"] = json!({"example.com/warmup": "enabled"});
            ensure!(warned(&client, &other).await?.is_empty());
        }
        Ok((judged(&world)? == before).then_some(()))
    })
    .await
}

async fn silent(world: Arc<World>) -> anyhow::Result<()> {
    let client = client(&world).await?;
    for off in ["off", "disabled", "false", ""] {
        let warnings =
            warned(&client, &workload("Deployment", &json!({"warmup": off, "warmup-requests": "many"})))
                .await?;
        ensure!(warnings.is_empty(), "{off}: {warnings:?}");
    }
    let mut of_deployment = workload("ReplicaSet", &json!({"warmup": "true"}));
    of_deployment["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u1", "controller": true}]);
    let warnings = warned(&client, &of_deployment).await?;
    ensure!(warnings.is_empty(), "{warnings:?}");
    Ok(())
}
