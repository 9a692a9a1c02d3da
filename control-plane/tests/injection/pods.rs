//! Random pods that an API server could take.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

/// Annotated pods with and without each part that an injection touches or reads, and with fields that no type of ours
/// knows.
pub(crate) fn any_pod() -> impl Strategy<Value = Value> {
    (metadata(), spec()).prop_map(|(metadata, spec)| json!({"metadata": metadata, "spec": spec}))
}

fn metadata() -> impl Strategy<Value = Value> {
    let labels = proptest::collection::btree_map("[a-z]{1,8}", "[a-z]{0,4}", 0..3);
    let label = select(vec![None, Some("true"), Some("false")]);
    (option::of(labels), label, annotations(), "\\PC{0,20}").prop_map(|(labels, label, annotations, text)| {
        let mut metadata =
            json!({"name": "web", "annotations": annotations, "fieldOfTomorrow": {"text": text}});
        if let Some(labels) = labels {
            metadata["labels"] = json!(labels);
            if let Some(label) = label {
                metadata["labels"]["kube-booster.io/injected"] = label.into();
            }
        }
        metadata
    })
}

fn annotations() -> impl Strategy<Value = Value> {
    let settings = vec![
        ("warmup-endpoint", "/a /b?c=$(D)"),
        ("warmup-endpoint", "auto"),
        ("warmup-requests", "12"),
        ("warmup-requests", "none"),
        ("warmup-duration", "1m30s"),
        ("warmup-port", "9090"),
        ("warmup-port", "http"),
        ("warmup-allow", "job,host-network"),
        ("warmup-report", r#"{"success":true}"#),
        ("sidecar-cpu-request", "3m"),
        ("sidecar-cpu-limit", "50m"),
        ("sidecar-memory-request", "12Mi"),
        ("sidecar-memory-limit", "24Mi"),
        ("warmup-typo", "x"),
    ];
    vec(select(settings), 0..4).prop_map(|settings| {
        let mut all = json!({"kube-booster.io/warmup": "enabled"});
        for (key, value) in settings {
            all[format!("kube-booster.io/{key}")] = value.into();
        }
        all
    })
}

fn spec() -> impl Strategy<Value = Value> {
    let containers = vec((resources(), ports(), probe(), user()), 1..4);
    let inits = option::of(vec((resources(), any::<bool>()), 0..3));
    let volumes = option::of(vec(Just(json!({"emptyDir": {}})), 0..3));
    let gates = option::of(vec(select(vec!["example.com/a", "kube-booster.io/warmup-ready"]), 0..2));
    (containers, inits, volumes, gates, user(), any_extra()).prop_map(
        |(containers, inits, volumes, gates, user, extra)| {
            let mut spec = json!({"containers": numbered("app", containers.into_iter().map(container))});
            if let Some(inits) = inits {
                spec["initContainers"] = numbered("init", inits.into_iter().map(init)).into();
            }
            if let Some(volumes) = volumes {
                spec["volumes"] = numbered("volume", volumes).into();
            }
            if let Some(gates) = gates {
                let gates: Vec<_> = gates.iter().map(|gate| json!({"conditionType": gate})).collect();
                spec["readinessGates"] = gates.into();
            }
            if let Some(user) = user {
                spec["securityContext"] = json!({"runAsUser": user});
            }
            let (key, value) = extra;
            spec[key] = value;
            spec
        },
    )
}

fn numbered(name: &str, elements: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let named = |(i, mut element): (usize, Value)| {
        element["name"] = format!("{name}{i}").into();
        element
    };
    elements.into_iter().enumerate().map(named).collect()
}

fn container((resources, ports, probe, user): (Value, Value, Value, Option<i64>)) -> Value {
    let mut container = json!({"image": "localhost/app:1", "fieldOfTomorrow": [1.5, null]});
    container["resources"] = resources;
    container["ports"] = ports;
    if !probe.is_null() {
        container["readinessProbe"] = probe;
    }
    if let Some(user) = user {
        container["securityContext"] = json!({"runAsUser": user});
    }
    container
}

fn init((resources, is_sidecar): (Value, bool)) -> Value {
    let mut container = json!({"image": "localhost/init:1", "resources": resources});
    if is_sidecar {
        container["restartPolicy"] = "Always".into();
    }
    container
}

fn user() -> impl Strategy<Value = Option<i64>> {
    option::of(0..3_i64)
}

fn amounts() -> impl Strategy<Value = Value> {
    let amount = |values: &[&'static str]| option::of(select(values.to_vec()));
    (amount(&["0", "1m", "100m", "1"]), amount(&["0", "8Mi", "64Mi", "1Gi"])).prop_map(|(cpu, memory)| {
        let amounts = [("cpu", cpu), ("memory", memory)].into_iter();
        let set = amounts.filter_map(|(name, amount)| Some((name.to_owned(), Value::from(amount?))));
        Value::Object(set.collect::<Map<_, _>>())
    })
}

fn resources() -> impl Strategy<Value = Value> {
    // Limits alone, requests alone, or both alike: never a request above its limit.
    prop_oneof![
        Just(json!({})),
        amounts().prop_map(|limits| json!({"limits": limits})),
        amounts().prop_map(|requests| json!({"requests": requests})),
        amounts().prop_map(|both| json!({"requests": both, "limits": both})),
        Just(
            json!({"requests": {"cpu": "1", "memory": "64Mi"}, "limits": {"cpu": "1000m", "memory": "65536Ki"}})
        ),
    ]
}

fn ports() -> impl Strategy<Value = Value> {
    select(vec![
        json!([]),
        json!([{"containerPort": 8080}]),
        json!([{"name": "http", "containerPort": 8080}, {"containerPort": 9090}]),
        json!([{"name": "grpc", "containerPort": 9090}]),
    ])
}

fn probe() -> impl Strategy<Value = Value> {
    select(vec![
        Value::Null,
        json!({"httpGet": {"port": 8080, "path": "/ready"}}),
        json!({"httpGet": {"port": "http", "path": "/health check", "scheme": "HTTPS"}}),
        json!({"httpGet": {"port": 15020, "path": "/app-health/app0/readyz"}}),
        json!({"tcpSocket": {"port": 8080}}),
        json!({"grpc": {"port": 9090}}),
        json!({"exec": {"command": ["true"]}}),
    ])
}

fn any_extra() -> impl Strategy<Value = (&'static str, Value)> {
    select(vec![
        ("fieldOfTomorrow", json!(["text", 1.5, null])),
        ("hostNetwork", json!(false)),
        ("automountServiceAccountToken", json!(false)),
        ("restartPolicy", json!("Never")),
        ("nodeSelector", json!({"kubernetes.io/os": "windows"})),
        ("os", json!({"name": "linux"})),
        ("imagePullSecrets", json!([{"name": "secret"}])),
        ("terminationGracePeriodSeconds", json!(5)),
        ("activeDeadlineSeconds", json!(60)),
        (
            "resources",
            json!({"requests": {"cpu": "4", "memory": "8Gi"}, "limits": {"cpu": "8", "memory": "8Gi"}}),
        ),
    ])
}
