//! The one patch that exchanges the image of our container in a live pod.

use proto::names;
use serde_json::{Value, json};

use crate::ground::observed::PodRef;

/// An exchange of our container's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// In which pod.
    pub pod: PodRef,
    /// The container's place among `spec.initContainers`.
    pub index: usize,
    /// The image that cannot run.
    pub from: Box<str>,
    /// The image that takes its place.
    pub to: Box<str>,
}

impl Exchange {
    /// The JSON Patch; it fails on another pod of that name, and where somebody else was faster.
    #[must_use]
    pub fn body(&self) -> Value {
        let field = |name: &str| format!("/spec/initContainers/{}/{name}", self.index);
        json!([
            {"op": "test", "path": "/metadata/uid", "value": &*self.pod.uid},
            {"op": "test", "path": field("name"), "value": names::SIDECAR_CONTAINER},
            {"op": "test", "path": field("image"), "value": &*self.from},
            {"op": "replace", "path": field("image"), "value": &*self.to},
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(pod: &Value) -> Option<Value> {
        let exchange = Exchange {
            pod: PodRef { namespace: "shop".into(), name: "web-1".into(), uid: "u1".into() },
            index: 1,
            from: "sidecar:1".into(),
            to: "pause:1".into(),
        };
        let patch: json_patch::Patch = serde_json::from_value(exchange.body()).unwrap();
        let mut patched = pod.clone();
        json_patch::patch(&mut patched, &patch).ok().map(|()| patched)
    }

    fn pod(uid: &str, name: &str, image: &str) -> Value {
        json!({"metadata": {"uid": uid}, "spec": {
            "initContainers": [{"name": "mesh", "image": "mesh:1"}, {"name": name, "image": image}]}})
    }

    #[test]
    fn the_image_of_our_container_is_exchanged_and_nothing_else() {
        let exchanged = patched(&pod("u1", "kube-booster-warmup", "sidecar:1"));
        assert_eq!(exchanged, Some(pod("u1", "kube-booster-warmup", "pause:1")));
    }

    #[test]
    fn another_pod_another_container_or_another_image_is_left_alone() {
        for other in [
            pod("u2", "kube-booster-warmup", "sidecar:1"),
            pod("u1", "other", "sidecar:1"),
            pod("u1", "kube-booster-warmup", "sidecar:2"),
        ] {
            assert_eq!(patched(&other), None);
        }
    }
}
