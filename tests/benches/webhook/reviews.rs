//! Reviews of pods of a size, as an API server sends them.

use serde_json::{Value, json};
use tests::{
    pods::annotated,
    webhook::{head, review_of},
};

/// What the review of a pod of about `bytes` looks like on the wire, head and body.
pub(crate) fn of_size(bytes: usize, asks: bool) -> Vec<u8> {
    let mut pod = annotated("web-7d4b9c6f5-x2x9p", 8080, &json!({}));
    if !asks {
        pod["metadata"]["annotations"] = json!({"example.com/team": "shop"});
    }
    let mut variables = Vec::new();
    let lacking = bytes.saturating_sub(pod.to_string().len());
    // Most of a large pod is its environment, volumes and managed fields: short texts in nested objects.
    for number in 0..lacking / 120 {
        variables.push(variable(number));
    }
    pod["spec"]["containers"][0]["env"] = variables.into();
    let body = review_of(&pod);
    [head("application/json", body.len()).into_bytes(), body].concat()
}

fn variable(number: usize) -> Value {
    json!({"name": format!("SETTING_{number:04}"), "valueFrom": {"configMapKeyRef": {
        "name": "web-settings", "key": format!("setting-{number:04}"), "optional": true}}})
}
