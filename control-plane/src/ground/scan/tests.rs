use jiff::ToSpan;
use serde_json::{Value, json};

use super::*;

const CREATED: &str = "2026-01-01T00:00:00Z";

fn template() -> SidecarTemplate {
    SidecarTemplate {
        image: "kube-booster/sidecar:1".to_owned(),
        report_address: "10.96.0.7:9090".to_owned(),
        report_server_name: "reports".to_owned(),
        report_ca: "CA".to_owned(),
    }
}

fn app() -> Value {
    json!({
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "u1", "resourceVersion": "7",
            "creationTimestamp": CREATED, "annotations": {"kube-booster.io/warmup": "enabled"}},
        "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 80}], "fieldOfTomorrow": {"a": 1}}]},
        "status": {"phase": "Running"},
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut pod = app();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    pod.pointer_mut(parent).unwrap()[key] = value;
    pod
}

/// What is found in `pods` a minute after they were created.
fn found(pods: &[Value]) -> Vec<Finding> {
    found_after(60, pods)
}

fn found_after(seconds: i64, pods: &[Value]) -> Vec<Finding> {
    let text = json!({"kind": "PodList", "metadata": {"continue": "more"}, "items": pods}).to_string();
    let page: Page<'_> = serde_json::from_str(&text).unwrap();
    assert_eq!(page.next(), Some("more"));
    let now = CREATED.parse::<Timestamp>().unwrap().checked_add(seconds.seconds()).unwrap();
    page.findings(now, (&template(), &Limits::default(), &Barriers::default()), |namespace| {
        namespace != "kube-system"
    })
    .collect()
}

fn gates() -> Value {
    json!([{"conditionType": "kube-booster.io/warmup-ready"}])
}

#[test]
fn a_pod_that_would_be_injected_and_was_not_is_missed() {
    let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "r1", "controller": true}]);
    let findings =
        found(&[with("/metadata/ownerReferences", owner), json!({"kind": "what is no pod"}), app()]);
    let [Finding::Missed(one), Finding::Missed(alone)] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((one.controller.as_deref(), alone.controller.as_deref()), (Some("r1"), None));
    assert_eq!(
        (one.pod.to_string(), &one.created.to_string()),
        ("shop/web-1".to_owned(), &CREATED.to_owned())
    );
}

#[test]
fn a_pod_that_the_webhook_leaves_alone_is_skipped_with_the_webhooks_words() {
    let bad = json!({"kube-booster.io/warmup": "enabled", "kube-booster.io/warmup-requests": "none"});
    let findings = found(&[with("/metadata/annotations", bad)]);
    let [Finding::Skipped(skipped)] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!(
        skipped.why,
        "pod is not warmed up: kube-booster.io/warmup-requests: \"none\" is not a whole number; \
         use a whole number from 1 to 12000"
    );
}

#[test]
fn pods_that_want_nothing_done_are_left_out() {
    let label = json!({"kube-booster.io/injected": "true"});
    let sidecar = json!([{"name": "kube-booster-warmup"}]);
    for pod in [
        with("/metadata/annotations", json!({})),
        with("/metadata/annotations", json!({"kube-booster.io/warmup": "off"})),
        with("/metadata/namespace", "kube-system".into()),
        with("/metadata/deletionTimestamp", CREATED.into()),
        with("/status/phase", "Succeeded".into()),
        with("/status/phase", "Failed".into()),
        with("/metadata/labels", label),
        with("/spec/initContainers", sidecar),
    ] {
        assert_eq!(found(std::slice::from_ref(&pod)), [], "{pod}");
    }
    assert_eq!(found_after(4, &[app()]), []);
    assert_eq!(found_after(6, &[app()]).len(), 1);
}

#[test]
fn a_closed_gate_is_stray_where_the_watch_does_not_show_it() {
    let gated = with("/spec/readinessGates", gates());
    let findings = found(std::slice::from_ref(&gated));
    let [Finding::Stray(stray)] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((&*stray.pod.uid, &*stray.resource_version), ("u1", "7"));

    let mut watched = gated.clone();
    watched["metadata"]["labels"] = json!({"kube-booster.io/injected": "true"});
    let mut open = gated.clone();
    open["status"]["conditions"] = json!([{"type": "kube-booster.io/warmup-ready", "status": "True"}]);
    let mut ended = gated.clone();
    ended["status"]["phase"] = "Failed".into();
    assert_eq!(found(&[watched, open, ended]), []);

    let mut elsewhere = gated;
    elsewhere["metadata"]["namespace"] = "kube-system".into();
    assert_eq!(found(&[elsewhere]).len(), 1, "whoever made it: nobody else opens it");
}

#[test]
fn a_controllers_pod_is_warmed_narrowly_where_nobody_said_what_to_request() {
    let mut pod = with("/spec/initContainers", json!([{"name": "kube-booster-warmup"}]));
    pod["metadata"]["labels"] = json!({"kube-booster.io/injected": "true"});
    pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "r1", "controller": true}]);
    let findings = found(std::slice::from_ref(&pod));
    let [Finding::Narrow { controller, .. }] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!(&**controller, "r1");
    let silent = |key: &str, value: Value| {
        let mut silent = pod.clone();
        *silent.pointer_mut(key).unwrap() = value;
        assert_eq!(found(&[silent]), [], "{key}");
    };
    let on = |key: &str| json!({"kube-booster.io/warmup": "enabled", key: "/"});
    silent("/metadata/annotations", on("kube-booster.io/warmup-endpoint"));
    silent("/metadata/annotations", on("kube-booster.io/warmup-config"));
    silent("/metadata/annotations", json!({}));
    silent("/metadata/ownerReferences", json!([]));
    silent("/spec/initContainers", json!([]));
}

#[test]
fn missed_pods_that_come_back_are_evicted_oldest_first_once_no_more_are_missed() {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let pod = |second: i64, controller: Option<&str>| NotWarmed {
        pod: PodRef { namespace: "shop".into(), name: "web".into(), uid: second.to_string().into() },
        created: at(second),
        controller: controller.map(Into::into),
        why: String::new(),
    };
    let calm = Duration::from_mins(1);
    let missed = [pod(10, None), pod(30, Some("r1")), pod(20, Some("r2"))];
    assert!(to_evict(&missed, at(89), calm).is_empty());
    assert_eq!(
        to_evict(&missed, at(90), calm),
        [&missed[2], &missed[1]],
        "nobody would make the first again"
    );
}
