//! The JSON Patch of an injection: `add` operations only, parents only where they are missing.

use proto::names;
use serde::Serialize;
use serde_json::{Value, json};

use super::container;
use crate::ground::pod::{Container, Pod, Texts};

/// One `add` operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Operation {
    op: Add,
    path: String,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Add {
    Add,
}

/// What `pod` lacks of an injected pod with this `sidecar`.
#[must_use]
pub fn operations(pod: &Pod<'_>, sidecar: Value) -> Vec<Operation> {
    let has_gate = gates(pod).any(|gate| gate == names::CONDITION);
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
        (!has_volume(pod))
            .then(|| element("/spec/volumes", pod.spec.volumes.as_deref(), container::volume())),
        (!has_sidecar(pod))
            .then(|| element("/spec/initContainers", pod.spec.init_containers.as_deref(), sidecar)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn has_sidecar(pod: &Pod<'_>) -> bool {
    pod.init_containers().iter().any(is_sidecar)
}

/// Our container bears a plan; one that only bears our name is the author's.
pub(super) fn is_sidecar(container: &Container<'_>) -> bool {
    let env = container.env.as_deref().unwrap_or_default();
    &*container.name == names::SIDECAR_CONTAINER
        && env.iter().any(|variable| &*variable.name == names::PLAN_ENV)
}

pub(super) fn has_volume(pod: &Pod<'_>) -> bool {
    let volumes = pod.spec.volumes.as_deref().unwrap_or_default();
    volumes.iter().any(|volume| &*volume.name == names::SIDECAR_VOLUME)
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
    Operation { op: Add::Add, path, value }
}
