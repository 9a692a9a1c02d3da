//! The JSON Patch of an injection: what is added, with parents only where they are missing, and our own old parts
//! replaced in their place.

use proto::{names, plan::Plan};
use serde::Serialize;
use serde_json::{Value, json};

use super::{container, copied::Sidecar};
use crate::ground::pod::{Pod, Texts};

/// One operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Operation {
    op: Kind,
    path: String,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Add,
    /// Only of what we once injected: anything else would lose what we do not know.
    Replace,
}

/// What `pod` lacks of gate, label, volume and an empty report.
pub(super) fn marks(pod: &Pod<'_>) -> Vec<Operation> {
    let has_gate = gates(pod).any(|gate| gate == names::CONDITION);
    let has_volume = our_volume(pod).is_some();
    let brings_report = pod.annotation(names::REPORT_ANNOTATION).is_some_and(|report| !report.is_empty());
    let labels = pod.metadata.labels.as_ref();
    let is_labelled =
        labels.and_then(|labels| labels.get(names::INJECTED_LABEL)).is_some_and(|on| &**on == "true");
    let gate = json!({"conditionType": names::CONDITION});
    [
        (!is_labelled).then(|| member("/metadata/labels", labels, names::INJECTED_LABEL, "true")),
        // A report that came along with a copied manifest is another pod's.
        brings_report.then(|| {
            member("/metadata/annotations", pod.metadata.annotations.as_ref(), names::REPORT_ANNOTATION, "")
        }),
        (!has_gate).then(|| element("/spec/readinessGates", pod.spec.readiness_gates.as_deref(), gate)),
        (!has_volume).then(|| element("/spec/volumes", pod.spec.volumes.as_deref(), container::volume())),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `container` where the pod has none, or a stale one.
pub(super) fn sidecar(pod: &Pod<'_>, existing: &Sidecar, container: Value) -> Vec<Operation> {
    let Sidecar::Stale(index) = existing else {
        return vec![element("/spec/initContainers", pod.spec.init_containers.as_deref(), container)];
    };
    let volume = our_volume(pod).map(|at| replace(format!("/spec/volumes/{at}"), container::volume()));
    volume.into_iter().chain([replace(format!("/spec/initContainers/{index}"), container)]).collect()
}

/// `plan` in the place of an old one.
pub(super) fn plan(path: &str, plan: &Plan) -> Operation {
    replace(path.to_owned(), plan.to_env_value().into())
}

fn our_volume(pod: &Pod<'_>) -> Option<usize> {
    let volumes = pod.spec.volumes.as_deref().unwrap_or_default();
    volumes.iter().position(crate::ground::pod::Volume::is_ours)
}

fn gates<'p>(pod: &'p Pod<'_>) -> impl Iterator<Item = &'p str> {
    pod.spec.readiness_gates.as_deref().unwrap_or_default().iter().map(|gate| &*gate.condition_type)
}

/// `key: value` in the object at `parent`, which is made where it is missing.
fn member(parent: &str, existing: Option<&Texts<'_>>, key: &str, value: &str) -> Operation {
    if existing.is_none() {
        return add(parent.to_owned(), json!({key: value}));
    }
    add(format!("{parent}/{}", key.replace('~', "~0").replace('/', "~1")), value.into())
}

/// `value` at the end of the list at `parent`, which is made where it is missing.
fn element<T>(parent: &str, existing: Option<&[T]>, value: Value) -> Operation {
    if existing.is_none() {
        return add(parent.to_owned(), json!([value]));
    }
    add(format!("{parent}/-"), value)
}

fn add(path: String, value: Value) -> Operation {
    Operation { op: Kind::Add, path, value }
}

fn replace(path: String, value: Value) -> Operation {
    Operation { op: Kind::Replace, path, value }
}
