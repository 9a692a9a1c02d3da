//! Injection as a whole: pods that people write, and the laws that hold for all of them.

mod difference;
mod golden;
mod laws;
mod pods;

use control_plane::ground::{
    injection::{Decision, SidecarTemplate, Surroundings, decide},
    limits::NamespaceLimits,
    resources::{QosClass, qos_class},
};
use serde_json::{Value, json};

const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

fn template() -> SidecarTemplate {
    SidecarTemplate {
        image: "kube-booster/sidecar:1".to_owned(),
        report_address: "10.96.0.7:9090".to_owned(),
        report_server_name: "kube-booster-reports.kube-booster-system.svc".to_owned(),
        report_ca: "-----BEGIN CERTIFICATE-----".to_owned(),
    }
}

fn decision(pod: &Value, uid: &str, limits: &NamespaceLimits) -> Decision {
    let (text, template) = (pod.to_string(), template());
    let pod = serde_json::from_str(&text).expect("a pod");
    decide(&pod, uid, &Surroundings { template: &template, limits })
}

/// `pod` with the operations of `decision`, where there are any.
fn patched(pod: &Value, decision: &Decision) -> Value {
    let Decision::Injected { operations, .. } = decision else { return pod.clone() };
    let patch: json_patch::Patch = serde_json::from_value(json!(operations)).expect("a JSON Patch");
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &patch).expect("a patch that applies");
    patched
}

fn class(pod: &Value) -> QosClass {
    qos_class(&serde_json::from_str(&pod.to_string()).expect("a pod"))
}

/// What holds for every pod, however it was decided.
fn check_laws(pod: &Value, limits: &NamespaceLimits) {
    let decision = decision(pod, UID, limits);
    let once = patched(pod, &decision);
    assert_eq!(difference::stripped(once.clone()), difference::stripped(pod.clone()), "only ours is added");
    if matches!(decision, Decision::Injected { .. }) {
        assert_eq!(whole_class(&once), class(pod), "the QoS class is that of the author's containers");
        // The API server calls again under another UID.
        let again = self::decision(&once, "0c7f6f52-0000-4000-8000-000000000000", limits);
        let is_nothing = matches!(&again, Decision::Injected { operations, .. } if operations.is_empty());
        assert!(is_nothing, "injecting twice is injecting once, and not {again:?}");
    }
}

/// The class with our own container counted like any other.
fn whole_class(pod: &Value) -> QosClass {
    let mut pod = pod.clone();
    for container in pod["spec"]["initContainers"].as_array_mut().into_iter().flatten() {
        if container["name"] == "kube-booster-warmup" {
            container["name"] = "counted".into();
        }
    }
    class(&pod)
}
