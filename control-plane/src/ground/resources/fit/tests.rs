use super::*;
use crate::ground::limits::{LimitRange, QuotaSpec, QuotaStatus, RangeSpec};

const EQUAL: &str = r#"{"requests":{"cpu":"1","memory":"1Gi"},"limits":{"cpu":"1","memory":"1Gi"}}"#;
const BURSTABLE: &str = r#"{"requests":{"cpu":"100m","memory":"128Mi"}}"#;
const LIMITED: &str = r#"{"requests":{"cpu":"100m","memory":"128Mi"},"limits":{"cpu":"1","memory":"256Mi"}}"#;
const NONE: &str = "{}";

/// The sidecar's resources, or why it has none, in a pod whose container has `app`.
fn fitted(app: &str, range: &str, hard: &str, used: &str, wishes: &ResourceSettings) -> String {
    let pod = format!(r#"{{"spec":{{"containers":[{{"name":"a","resources":{app}}}]}}}}"#);
    fitted_in(&pod, range, hard, used, wishes)
}

fn fitted_in(pod: &str, range: &str, hard: &str, used: &str, wishes: &ResourceSettings) -> String {
    let mut limits = NamespaceLimits::default();
    if !range.is_empty() {
        let spec: RangeSpec = serde_json::from_str(&format!(r#"{{"limits":{range}}}"#)).unwrap();
        limits.ranges = [("r".into(), LimitRange::from(spec))]
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>()
            .into();
    }
    if !hard.is_empty() {
        let spec: QuotaSpec = serde_json::from_str(&format!(r#"{{"hard":{hard}}}"#)).unwrap();
        let status = format!(r#"{{"hard":{hard},"used":{used}}}"#);
        let quota = Quota::from((spec, serde_json::from_str::<QuotaStatus>(&status).unwrap()));
        limits.quotas =
            [("q".into(), quota)].into_iter().collect::<std::collections::BTreeMap<_, _>>().into();
    }
    match fit(&serde_json::from_str(pod).unwrap(), wishes, &limits) {
        Ok(Fitting { json, warning }) => {
            let of = |part: &str, resource: &str| json[part][resource].as_str().unwrap_or("-").to_owned();
            let each =
                ["cpu", "memory"].map(|name| format!("{}/{}", of("requests", name), of("limits", name)));
            format!("{}{}", each.join(" "), warning.map_or("", |_| " warned"))
        }
        Err(misfit) => misfit.to_string(),
    }
}

fn check(app: &str, range: &str, expected: &str) {
    assert_eq!(fitted(app, range, "", "", &ResourceSettings::default()), expected, "{app} {range}");
}

fn check_quota(app: &str, hard: &str, used: &str, expected: &str) {
    assert_eq!(fitted(app, "", hard, used, &ResourceSettings::default()), expected, "{app} {hard} {used}");
}

#[test]
fn defaults_are_tiny() {
    check(BURSTABLE, "", "1m/- 2Mi/16Mi");
    check(EQUAL, "", "25m/25m 16Mi/16Mi");
    check(NONE, "", "-/- -/-");
}

#[test]
fn a_container_rule_moves_what_it_has_to() {
    let item = |rule: &str| format!(r#"[{{"type":"Container",{rule}}}]"#);
    check(BURSTABLE, &item(r#""min":{"cpu":"10m","memory":"4Mi"}"#), "10m/- 4Mi/16Mi");
    check(BURSTABLE, &item(r#""min":{"cpu":"200m","memory":"64Mi"}"#), "200m/- 64Mi/64Mi");
    check(EQUAL, &item(r#""min":{"cpu":"50m","memory":"32Mi"}"#), "50m/50m 32Mi/32Mi");
    check(EQUAL, &item(r#""max":{"cpu":"20m","memory":"10Mi"}"#), "20m/20m 10Mi/10Mi");
    // The API server makes a default of a maximum.
    check(LIMITED, &item(r#""max":{"cpu":"1","memory":"10Mi"},"default":{"cpu":"1"}"#), "1m/- 2Mi/10Mi");
    check(LIMITED, &item(r#""max":{"cpu":"50m"}"#), "1m/50m 2Mi/16Mi");
    check(
        LIMITED,
        &item(r#""maxLimitRequestRatio":{"cpu":"4","memory":"3"},"default":{"cpu":"500m"}"#),
        "25m/100m 5592406/16Mi",
    );
    check(
        LIMITED,
        &item(r#""maxLimitRequestRatio":{"cpu":"1000"},"default":{"cpu":"500m"}"#),
        "1m/- 2Mi/16Mi",
    );
    check(BURSTABLE, &item(r#""default":{"memory":"4Mi"}"#), "1m/- 2Mi/16Mi");
    check(NONE, &item(r#""default":{"cpu":"500m"}"#), "0/0 -/-");
}

#[test]
fn a_pod_rule_is_kept_together_with_the_containers() {
    let item = |rule: &str| format!(r#"[{{"type":"Pod",{rule}}}]"#);
    check(LIMITED, &item(r#""max":{"cpu":"2","memory":"300Mi"}"#), "1m/- 2Mi/16Mi");
    check(LIMITED, &item(r#""max":{"memory":"256Mi"}"#), "1m/- 2Mi/-");
    check(LIMITED, &item(r#""maxLimitRequestRatio":{"memory":"2"}"#), "1m/- 2Mi/-");
    // Without a limit of the app's, ours would be the pod's, and below the minimum.
    check(BURSTABLE, &item(r#""min":{"memory":"100Mi"}"#), "1m/- 2Mi/-");
    check(EQUAL, &item(r#""min":{"cpu":"1"}"#), "25m/25m 16Mi/16Mi");
}

#[test]
fn where_nothing_fits_the_range_and_its_rule_are_named() {
    let item = |rule: &str| format!(r#"[{{"type":"Container",{rule}}}]"#);
    check(
        EQUAL,
        &item(r#""max":{"memory":"4Mi"}"#),
        "LimitRange \"r\" takes at most 4Mi of memory per container, and the sidecar does not fit into that; raise its max",
    );
    check(
        EQUAL,
        r#"[{"type":"Pod","max":{"cpu":"1"}}]"#,
        "LimitRange \"r\" takes at most 1 of cpu per pod, and with the sidecar the pod does not fit into that; raise its max",
    );
    check(
        NONE,
        &item(r#""min":{"cpu":"10m"}"#),
        "LimitRange \"r\" asks for at least 10m of cpu per container, and the sidecar does not fit into that; lower its min",
    );
    check(
        NONE,
        r#"[{"type":"Pod","maxLimitRequestRatio":{"cpu":"2"}}]"#,
        "LimitRange \"r\" takes limits of at most 2 times the requests of cpu per pod, and with the sidecar the pod does \
         not fit into that; raise its maxLimitRequestRatio",
    );
}

#[test]
fn what_a_quota_counts_the_sidecar_has() {
    check_quota(LIMITED, r#"{"limits.cpu":"10"}"#, r#"{"limits.cpu":"0"}"#, "1m/100m 2Mi/16Mi");
    check_quota(BURSTABLE, r#"{"requests.cpu":"10"}"#, r#"{"requests.cpu":"0"}"#, "1m/- 2Mi/16Mi");
    check_quota(NONE, r#"{"pods":"10"}"#, r#"{"pods":"0"}"#, "-/- -/-");
    // Nothing, spelled out, is what a quota demands, too.
    check_quota(NONE, r#"{"requests.memory":"1Gi"}"#, r#"{"requests.memory":"0"}"#, "-/- 0/0");
}

#[test]
fn a_quota_that_is_nearly_full_is_left_to_the_apps() {
    let full = "ResourceQuota \"q\" has 1 of limits.cpu left, which is room for 1 such pod(s) without the sidecar's 25m \
                each; raise it";
    check_quota(EQUAL, r#"{"limits.cpu":"10"}"#, r#"{"limits.cpu":"9"}"#, full);
    check_quota(EQUAL, r#"{"limits.cpu":"10"}"#, r#"{"limits.cpu":"9500m"}"#, "25m/25m 16Mi/16Mi");
    // Where the usual limit does not fit, a tight one may.
    check_quota(LIMITED, r#"{"limits.cpu":"10"}"#, r#"{"limits.cpu":"8930m"}"#, "25m/25m 2Mi/16Mi");
}

#[test]
fn the_resources_of_a_whole_pod_are_shared() {
    let pod = |whole: &str, app: &str| {
        format!(r#"{{"spec":{{"resources":{whole},"containers":[{{"name":"a","resources":{app}}}]}}}}"#)
    };
    let wishes = ResourceSettings::default();
    assert_eq!(fitted_in(&pod(EQUAL, "{}"), "", "", "", &wishes), "-/- -/-");
    let default = r#"[{"type":"Container","default":{"cpu":"2"},"defaultRequest":{"cpu":"10m"}}]"#;
    assert_eq!(fitted_in(&pod(EQUAL, LIMITED), default, "", "", &wishes), "1m/100m -/-");
    let quota = (r#"{"limits.cpu":"10"}"#, r#"{"limits.cpu":"9"}"#);
    assert_eq!(fitted_in(&pod(EQUAL, "{}"), "", quota.0, quota.1, &wishes), "-/- -/-");
}

#[test]
fn wishes_are_followed_and_a_request_never_exceeds_its_limit() {
    let wish = |text: &str| Some(text.parse().unwrap());
    let fitted = |app, wishes: &ResourceSettings| fitted(app, "", "", "", wishes);
    let wishes =
        ResourceSettings { memory_request: wish("32Mi"), cpu_limit: wish("500u"), ..Default::default() };
    assert_eq!(fitted(BURSTABLE, &wishes), "500u/500u 32Mi/32Mi");
    let low =
        ResourceSettings { memory_limit: wish("8Mi"), memory_request: wish("4Mi"), ..Default::default() };
    assert_eq!(fitted(BURSTABLE, &low), "1m/- 4Mi/8Mi");
}

#[test]
fn a_wish_that_would_change_the_class_is_named_in_a_warning() {
    let wish = |text: &str| Some(text.parse().unwrap());
    let fitted = |app, wishes: &ResourceSettings| fitted(app, "", "", "", wishes);
    let wishes = ResourceSettings { cpu_request: wish("5m"), ..Default::default() };
    assert_eq!(fitted(NONE, &wishes), "-/- -/- warned");
    assert_eq!(fitted(EQUAL, &wishes), "5m/5m 16Mi/16Mi");
    let tiny = ResourceSettings { memory_request: wish("2Mi"), ..Default::default() };
    assert_eq!(fitted(EQUAL, &tiny), "25m/25m 8Mi/8Mi warned", "less would not start");
    let both = ResourceSettings { cpu_limit: wish("10m"), ..wishes };
    assert_eq!(fitted(EQUAL, &both), "10m/10m 16Mi/16Mi warned");
}
