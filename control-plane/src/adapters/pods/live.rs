//! A pod as it is read from the API server: what nobody asks for is skipped, never built.

use std::{borrow::Cow, collections::BTreeMap};

use kube::{Resource, api::ObjectMeta, core::NamespaceResourceScope};
use proto::names;
use serde::{Deserialize, Deserializer};

use crate::ground::observed::{LiveSpec, LiveStatus};

/// A pod with the fields that the gate needs.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct LivePod {
    #[serde(deserialize_with = "trimmed")]
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) spec: LiveSpec,
    pub(super) status: Option<LiveStatus>,
}

/// The metadata that are kept; `managedFields` are the larger part of what is not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LiveMetadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    #[serde(default)]
    annotations: LiveAnnotations,
}

#[derive(Default, Deserialize)]
struct LiveAnnotations {
    #[serde(rename = "kube-booster.io/warmup-report")]
    report: Option<String>,
}

fn trimmed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let LiveMetadata { name, namespace, uid, resource_version, annotations } =
        LiveMetadata::deserialize(deserializer)?;
    let report = annotations.report.map(|report| (names::REPORT_ANNOTATION.to_owned(), report));
    let annotations = report.map(|report| BTreeMap::from([report]));
    Ok(ObjectMeta { name, namespace, uid, resource_version, annotations, ..ObjectMeta::default() })
}

impl Resource for LivePod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_read_without_what_nobody_asks_for() {
        let pod: LivePod = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "web-1", "namespace": "shop", "uid": "u1", "resourceVersion": "7",
                "annotations": {"kube-booster.io/warmup-report": "{}", "kube-booster.io/warmup": "enabled"},
                "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:metadata": {}}}],
            },
            "spec": {"containers": [{"name": "app"}]},
        }))
        .unwrap();
        assert_eq!(LivePod::url_path(&(), Some("shop")), "/api/v1/namespaces/shop/pods");
        let metadata = pod.metadata;
        assert_eq!((metadata.name.as_deref(), metadata.uid.as_deref()), (Some("web-1"), Some("u1")));
        assert_eq!(metadata.resource_version.as_deref(), Some("7"));
        let annotations = metadata.annotations.unwrap();
        assert_eq!(
            annotations.into_iter().collect::<Vec<_>>(),
            [(names::REPORT_ANNOTATION.to_owned(), "{}".to_owned())]
        );
        assert_eq!(metadata.managed_fields, None);
        assert!(pod.status.is_none());
    }

    #[test]
    fn the_annotations_name_is_the_contracts() {
        let metadata = json!({"metadata": {"annotations": {names::REPORT_ANNOTATION: "r"}}});
        let pod: LivePod = serde_json::from_value(metadata).unwrap();
        assert_eq!(pod.metadata.annotations.unwrap()[names::REPORT_ANNOTATION], "r");
    }
}
