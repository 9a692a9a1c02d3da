//! What service meshes do to a pod before we see it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::pod::{Container, Pod, Probe, Text};

const ISTIO: &str = "istio-proxy";
/// Where Istio's agent finds the probes that it asks in the kubelet's place.
const ISTIO_PROBERS: &str = "ISTIO_KUBE_APP_PROBERS";

/// Whether `container` is a proxy that a mesh puts first, so that it runs before the app does.
#[must_use]
pub fn is_proxy(container: &Container<'_>) -> bool {
    matches!(&*container.name, ISTIO | "linkerd-proxy" | "kuma-sidecar" | "consul-dataplane")
}

/// Whether Istio has pointed `probe` at its agent: port and path are then not the app's.
#[must_use]
pub fn is_rewritten(probe: &Probe<'_>) -> bool {
    probe.http_get.as_ref().is_some_and(|http| http.path_or_root().starts_with("/app-health/"))
}

/// The probe that Istio's agent asks in the place of `rewritten`, as the author wrote it.
#[must_use]
pub fn original<'p>(pod: &'p Pod<'_>, rewritten: &Probe<'_>) -> Option<Probe<'p>> {
    let proxy = pod.all_containers().find(|container| &*container.name == ISTIO)?;
    // Read one by one, because an unreadable one must not hide the others.
    let probers: BTreeMap<Text<'_>, &RawValue> = serde_json::from_str(proxy.variable(ISTIO_PROBERS)?).ok()?;
    serde_json::from_str(probers.get(rewritten.http_get.as_ref()?.path_or_root())?.get()).ok()
}
