use expect_test::expect_file;
use serde_json::{Value, json};

use super::*;

const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

fn template() -> SidecarTemplate {
    SidecarTemplate {
        image: "kube-booster/sidecar:1".to_owned(),
        report_address: "10.96.0.7:9090".to_owned(),
        report_server_name: "kube-booster-reports.kube-booster-system.svc".to_owned(),
        report_ca: "-----BEGIN CERTIFICATE-----".to_owned(),
    }
}

fn decide_json(pod: &Value) -> Decision {
    decide_under(pod, UID, &template())
}

fn decide_under(pod: &Value, uid: &str, template: &SidecarTemplate) -> Decision {
    let (text, limits) = (pod.to_string(), NamespaceLimits::default());
    decide(&serde_json::from_str(&text).unwrap(), uid, &Surroundings { template, limits: &limits })
}

fn injected(pod: &Value) -> Value {
    let Decision::Injected { operations, .. } = decide_json(pod) else { panic!("not injected: {pod}") };
    let patch: json_patch::Patch = serde_json::from_value(json!(operations)).unwrap();
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &patch).unwrap();
    patched
}

fn app() -> Value {
    json!({
        "metadata": {"annotations": {"kube-booster.io/warmup": "enabled"}},
        "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 8080}]}]},
    })
}

fn skipped_because(pod: &Value) -> Skip {
    match decide_json(pod) {
        Decision::Skipped { reason, warnings } => {
            assert!(warnings.iter().all(|warning| warning.starts_with("pod is not warmed up: ")));
            assert!(!warnings.is_empty());
            reason
        }
        other => panic!("not skipped but {other:?}"),
    }
}

#[test]
fn an_injected_pod_has_gate_label_sidecar_and_volume() {
    let patched = serde_json::to_string_pretty(&injected(&app())).unwrap();
    expect_file!["injected-pod.json"].assert_eq(&patched);
}

#[test]
fn only_the_value_enabled_turns_warm_up_on() {
    for value in ["true", "Enabled", "", "disabled"] {
        let mut pod = app();
        pod["metadata"]["annotations"]["kube-booster.io/warmup"] = value.into();
        assert_eq!(decide_json(&pod), Decision::NotAsked, "{value}");
    }
    assert_eq!(decide_json(&json!({"metadata": {}, "spec": {"containers": []}})), Decision::NotAsked);
}

#[test]
fn kinds_of_pods_that_nobody_waits_for_are_left_alone() {
    let with = |pointer: &str, value: Value| {
        let mut pod = app();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        pod.pointer_mut(parent).unwrap()[key] = value;
        pod
    };
    let owner = |kind: &str, version: &str| json!([{"apiVersion": version, "kind": kind, "name": "x", "controller": true}]);
    assert_eq!(skipped_because(&with("/metadata/ownerReferences", owner("Job", "batch/v1"))), Skip::Job);
    assert_eq!(skipped_because(&with("/metadata/ownerReferences", owner("Node", "v1"))), Skip::MirrorPod);
    assert_eq!(skipped_because(&with("/spec/os", json!({"name": "windows"}))), Skip::Windows);
    assert_eq!(
        skipped_because(&with("/spec/nodeSelector", json!({"kubernetes.io/os": "windows"}))),
        Skip::Windows
    );
    assert_eq!(skipped_because(&with("/spec/hostNetwork", json!(true))), Skip::HostNetwork);
    assert_eq!(
        skipped_because(&with("/spec/volumes", json!([{"name": "kube-booster-warmup"}]))),
        Skip::NameTaken
    );
    let namesake = json!([{"name": "kube-booster-warmup", "image": "theirs"}]);
    assert_eq!(skipped_because(&with("/spec/initContainers", namesake)), Skip::NameTaken);
    assert_eq!(skipped_because(&with("/spec/containers", json!([]))), Skip::NoTarget);
    let paths = format!("/{}", "a".repeat(2_000)).to_owned() + " ";
    let long =
        json!({"kube-booster.io/warmup": "enabled", "kube-booster.io/warmup-endpoint": paths.repeat(40)});
    assert_eq!(skipped_because(&with("/metadata/annotations", long)), Skip::PlanTooLong);
    injected(&with("/metadata/ownerReferences", owner("Job", "example.com/v1")));
    injected(&with("/metadata/ownerReferences", owner("ReplicaSet", "apps/v1")));
}

#[test]
fn a_pod_may_ask_for_a_warm_up_in_spite_of_its_kind() {
    let mut pod = app();
    pod["metadata"]["annotations"]["kube-booster.io/warmup-allow"] = "job,host-network".into();
    pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "x"}]);
    pod["spec"]["hostNetwork"] = json!(true);
    injected(&pod);
}

#[test]
fn a_bad_annotation_leaves_the_pod_untouched() {
    let mut pod = app();
    pod["metadata"]["annotations"]["kube-booster.io/warmup-requests"] = "0".into();
    assert_eq!(skipped_because(&pod), Skip::BadAnnotation);
    pod["metadata"]["annotations"]["kube-booster.io/warmup-requests"] = "5".into();
    pod["metadata"]["annotations"]["kube-booster.io/warmup-config"] = "shop".into();
    assert_eq!(skipped_because(&pod), Skip::NotBuilt);
}

#[test]
fn an_unknown_annotation_warns_and_does_not_stop_the_injection() {
    let mut pod = app();
    pod["metadata"]["annotations"]["kube-booster.io/warmup-request"] = "5".into();
    let Decision::Injected { warnings, .. } = decide_json(&pod) else { panic!("not injected") };
    assert_eq!(warnings, ["kube-booster.io/warmup-request: unknown annotation, ignored"]);
}

#[test]
fn a_report_that_a_copied_manifest_brings_along_is_emptied() {
    let mut pod = app();
    pod["metadata"]["annotations"]["kube-booster.io/warmup-report"] = r#"{"success":true}"#.into();
    assert_eq!(injected(&pod)["metadata"]["annotations"]["kube-booster.io/warmup-report"], "");
}

#[test]
fn a_root_pods_sidecar_is_not_root() {
    let mut pod = app();
    pod["spec"]["securityContext"] = json!({"runAsUser": 0});
    assert_eq!(injected(&pod)["spec"]["initContainers"][0]["securityContext"]["runAsUser"], 65532);
    pod["spec"]["securityContext"] = json!({"runAsUser": 1000});
    assert_eq!(injected(&pod)["spec"]["initContainers"][0]["securityContext"].get("runAsUser"), None);
}

#[test]
fn text_of_an_annotation_is_safe_from_the_kubelets_expansion() {
    let mut pod = app();
    pod["metadata"]["annotations"]["kube-booster.io/warmup-endpoint"] = "/$(HOME)".into();
    let patched = injected(&pod);
    let value = patched["spec"]["initContainers"][0]["env"][0]["value"].as_str().unwrap();
    assert!(value.contains("/$$(HOME)"), "{value}");
    assert_eq!(Plan::from_env_value(value).unwrap().steps[0].requests[0].path, "/$(HOME)");
}

#[test]
fn while_injection_is_paused_a_pod_is_left_alone_and_its_author_warned() {
    let Decision::Skipped { reason, warnings } = decide_json(&app()).unless_paused(|| false) else {
        panic!("injected in spite of the pause")
    };
    assert_eq!(reason, Skip::Paused);
    assert!(warnings[0].starts_with("pod is not warmed up: injection is paused"), "{warnings:?}");
    assert_eq!(decide_json(&app()).unless_paused(|| true), decide_json(&app()));
}

#[test]
fn a_pause_is_asked_for_pods_only_that_would_be_given_something() {
    let mut job = app();
    job["metadata"]["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "Job"}]);
    for pod in [injected(&app()), job, json!({"metadata": {}, "spec": {"containers": []}})] {
        let decision = decide_json(&pod);
        assert_eq!(decide_json(&pod).unless_paused(|| panic!("asked for {pod}")), decision);
    }
}
