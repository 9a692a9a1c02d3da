//! The real API server calls the real webhook over TLS.

use std::sync::Arc;

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use libtest_mimic::Trial;
use proto::names;
use serde_json::{Value, json};
use tests::{
    control_plane::World,
    patience::SOON,
    pods::{annotated, create, create_until, namespace},
    sidecar::container,
    trials::{alone, trial},
};

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial(
            "an annotated pod is stored with gate, label, sidecar and volume",
            SOON,
            world,
            stored_with_all,
        ),
        trial("a pod that does not ask is stored as it came", SOON, world, not_asked),
        trial("a dry run is answered as a create and has no effect", SOON, world, dry_run),
        trial("a namespace that enforces restricted takes an injected pod", SOON, world, restricted),
        trial("a bad annotation leaves the pod untouched and warns its author", SOON, world, bad_annotation),
        trial(
            "an annotation that is not built yet leaves the pod untouched and warns",
            SOON,
            world,
            not_built,
        ),
        trial("the pod of a job is left alone", SOON, world, job),
        trial(
            "a guaranteed pod stays guaranteed and a best-effort one best-effort",
            SOON,
            world,
            qos_classes,
        ),
        trial("our own namespace is never called for", SOON, world, own_namespace),
        alone(
            "an injected pod costs one call, and its sidecar gets no token for the Kubernetes API",
            2 * SOON,
            one_call,
        ),
        trial("a hundred pods created at once are all injected", 2 * SOON, world, hundred_at_once),
    ]
}

/// Whether everything that an injection adds is there.
fn is_injected(pod: &Pod) -> bool {
    let spec = pod.spec.clone().unwrap_or_default();
    let gates = spec.readiness_gates.unwrap_or_default();
    let volumes = spec.volumes.unwrap_or_default();
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    container(pod).is_ok()
        && gates.iter().any(|gate| gate.condition_type == names::CONDITION)
        && volumes.iter().any(|volume| volume.name == names::SIDECAR_VOLUME)
        && labels.get(names::INJECTED_LABEL).is_some_and(|value| value == "true")
}

async fn stored_with_all(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "stored", json!({})).await?;
    create(&pods, &annotated("web", 8080, &json!({"warmup-endpoint": "/$(HOME) /b"}))).await?;
    let pod = pods.get("web").await?;
    ensure!(is_injected(&pod));
    let sidecar = container(&pod)?;
    ensure!(sidecar.restart_policy.as_deref() == Some("Always"));
    let plan = sidecar.env.iter().flatten().find(|variable| variable.name == names::PLAN_ENV);
    let plan = plan.and_then(|plan| plan.value.as_deref()).context("the plan is in the environment")?;
    let plan = proto::plan::Plan::from_env_value(plan)?;
    let paths: Vec<_> = plan.steps[0].requests.iter().map(|request| request.path.as_str()).collect();
    ensure!(paths == ["/$(HOME)", "/b"] && plan.port == 8080);
    ensure!(world.metric(r#"kube_booster_injections_total{result="injected",reason=""}"#).await? >= 1.0);
    Ok(())
}

async fn not_asked(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "not-asked", json!({})).await?;
    let mut pod = annotated("web", 8080, &json!({}));
    pod["metadata"]["annotations"]["kube-booster.io/warmup"] = "off".into();
    let stored = create(&pods, &pod).await?;
    ensure!(!is_injected(&stored) && stored.spec.is_some_and(|spec| spec.init_containers.is_none()));
    Ok(())
}

async fn dry_run(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "dry-run", json!({})).await?;
    let pod = serde_json::from_value(annotated("web", 8080, &json!({})))?;
    let answer = pods.create(&PostParams { dry_run: true, ..PostParams::default() }, &pod).await?;
    ensure!(is_injected(&answer));
    ensure!(pods.get_opt("web").await?.is_none());
    Ok(())
}

async fn restricted(world: Arc<World>) -> anyhow::Result<()> {
    let enforced = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let pods = namespace(&world.api.client().await?, "restricted", enforced).await?;
    let mut pod = annotated("web", 8080, &json!({}));
    ensure!(create(&pods, &pod).await.is_err(), "the namespace enforces nothing");
    pod["spec"]["securityContext"] =
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    pod["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    ensure!(is_injected(&create(&pods, &pod).await?));
    Ok(())
}

/// What kubectl prints when it creates `pod`.
fn kubectl_create(world: &World, namespace: &str, pod: &Value) -> anyhow::Result<String> {
    let mut manifest = pod.clone();
    (manifest["apiVersion"], manifest["kind"]) = ("v1".into(), "Pod".into());
    let file = world.api.folder().join(format!("{namespace}.json"));
    std::fs::write(&file, manifest.to_string())?;
    world.api.kubectl(&["--namespace", namespace, "create", "--filename", &file.display().to_string()])
}

async fn bad_annotation(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "bad-annotation", json!({})).await?;
    let bad = json!({"warmup-requests": "0", "warmup-duration": "30"});
    let printed = kubectl_create(&world, "bad-annotation", &annotated("web", 8080, &bad))?;
    for warning in [
        r#"Warning: pod is not warmed up: kube-booster.io/warmup-requests: "0" is out of range; use a whole number from 1 to 12000"#,
        r#"Warning: pod is not warmed up: kube-booster.io/warmup-duration: "30" is a duration without a unit"#,
    ] {
        ensure!(printed.contains(warning), "{printed}");
    }
    ensure!(!is_injected(&pods.get("web").await?));
    ensure!(
        world
            .metrics()
            .await?
            .contains(r#"kube_booster_injections_total{result="skipped",reason="bad_annotation"}"#)
    );
    Ok(())
}

async fn not_built(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "not-built", json!({})).await?;
    let later = json!({"warmup-config": "big"});
    let printed = kubectl_create(&world, "not-built", &annotated("web", 8080, &later))?;
    ensure!(printed.contains(r#"kube-booster.io/warmup-config: "big" is not supported by this version yet"#));
    ensure!(!is_injected(&pods.get("web").await?));
    Ok(())
}

async fn job(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "job", json!({})).await?;
    let mut pod = annotated("task", 8080, &json!({}));
    pod["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "task", "uid": "u1", "controller": true}]);
    ensure!(!is_injected(&create(&pods, &pod).await?));
    Ok(())
}

async fn qos_classes(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "qos", json!({})).await?;
    let amounts = json!({"cpu": "100m", "memory": "64Mi"});
    let cases = [
        ("guaranteed", json!({"requests": amounts, "limits": amounts}), "Guaranteed"),
        ("limits-only", json!({"limits": amounts}), "Guaranteed"),
        ("best-effort", json!({}), "BestEffort"),
        ("burstable", json!({"requests": {"cpu": "1m"}}), "Burstable"),
    ];
    for (name, resources, class) in cases {
        let mut pod = annotated(name, 8080, &json!({}));
        pod["spec"]["containers"][0]["resources"] = resources;
        let stored = create(&pods, &pod).await?;
        ensure!(is_injected(&stored));
        let found = stored.status.and_then(|status| status.qos_class);
        ensure!(found.as_deref() == Some(class), "{name} became {found:?}");
    }
    Ok(())
}

async fn own_namespace(world: Arc<World>) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(world.api.client().await?, "kube-booster-system");
    let mut pod = annotated("ours", 8080, &json!({}));
    pod["spec"]["securityContext"] =
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    pod["spec"]["serviceAccountName"] = "kube-booster".into();
    pod["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    ensure!(!is_injected(&create(&pods, &pod).await?));
    Ok(())
}

async fn hundred_at_once(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "hundred", json!({})).await?;
    let manifests: Vec<_> = (0..100).map(|i| annotated(&format!("web-{i}"), 8080, &json!({}))).collect();
    let stored = try_join_all(manifests.iter().map(|pod| create(&pods, pod))).await?;
    ensure!(stored.iter().all(is_injected));
    Ok(())
}

async fn one_call() -> anyhow::Result<()> {
    let world = World::start(&[]).await?;
    let pods = namespace(&world.api.client().await?, "one-call", json!({})).await?;
    let injected = create_until(&pods, &annotated("first", 8080, &json!({})), SOON, is_injected).await?;
    let mounts = container(&injected)?.volume_mounts.clone().unwrap_or_default();
    ensure!(mounts.iter().all(|mount| mount.name == names::SIDECAR_VOLUME), "{mounts:?}");
    let app = &injected.spec.context("a pod has a spec")?.containers[0];
    let mounts = app.volume_mounts.clone().unwrap_or_default();
    ensure!(
        mounts.iter().any(|mount| mount.name.starts_with("kube-api-access")),
        "the app has its own: {mounts:?}"
    );
    let calls = async || -> anyhow::Result<u32> {
        let metrics = world.metrics().await?;
        let count = "kube_booster_webhook_request_duration_seconds_count ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(count)).context("a count of calls")?;
        Ok(line.parse()?)
    };
    let before = calls().await?;
    create(&pods, &annotated("second", 8080, &json!({}))).await?;
    ensure!(calls().await? == before + 1);
    Ok(())
}
