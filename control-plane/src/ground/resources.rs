//! Requests and limits of the injected container: tiny, and never a change of the pod's `QoS` class.

use serde_json::{Map, Value, json};

use super::{
    annotations::{Quantity, ResourceSettings},
    pod::{Container, Pod, Resources, Texts},
};

/// A pod's quality-of-service class, as the scheduler and the kubelet see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QosClass {
    /// No container asks for CPU or memory.
    BestEffort,
    /// Neither of the others.
    Burstable,
    /// Every container has CPU and memory limits, and requests that equal them.
    Guaranteed,
    /// The pod as a whole has resources, and its containers share them.
    PodLevel,
}

/// What stands in the injected container, and what could not be done as asked.
#[derive(Debug, PartialEq, Eq)]
pub struct SidecarResources {
    /// `resources` as JSON; empty where the container is to have none.
    pub json: Value,
    /// Why the pod's own wishes were not followed.
    pub warning: Option<String>,
}

/// The class of `pod` without the sidecar.
#[must_use]
pub fn qos_class(pod: &Pod<'_>) -> QosClass {
    if pod.spec.resources.as_ref().is_some_and(asks_for_something) {
        return QosClass::PodLevel;
    }
    let mut containers = pod.all_containers().map(|container| &container.resources);
    if containers.all(|resources| !resources.as_ref().is_some_and(asks_for_something)) {
        return QosClass::BestEffort;
    }
    if pod.all_containers().all(is_guaranteed) { QosClass::Guaranteed } else { QosClass::Burstable }
}

fn amount(texts: Option<&Texts<'_>>, resource: &str) -> Option<Quantity> {
    texts?.get(resource)?.parse().ok().filter(|quantity: &Quantity| !quantity.is_zero())
}

fn asks_for_something(resources: &Resources<'_>) -> bool {
    [&resources.requests, &resources.limits]
        .into_iter()
        .any(|texts| ["cpu", "memory"].iter().any(|resource| amount(texts.as_ref(), resource).is_some()))
}

fn is_guaranteed(container: &Container<'_>) -> bool {
    let Some(resources) = &container.resources else { return false };
    ["cpu", "memory"].iter().all(|resource| {
        let limit = amount(resources.limits.as_ref(), resource);
        // An absent request is set to the limit by the API server.
        let request = amount(resources.requests.as_ref(), resource).or_else(|| limit.clone());
        limit.is_some() && request == limit
    })
}

/// The sidecar's resources in a pod of `class` that asks for `wishes`.
#[must_use]
pub fn of_sidecar(class: QosClass, wishes: &ResourceSettings) -> SidecarResources {
    match class {
        QosClass::BestEffort => {
            none(wishes, "the pod has no requests or limits and would change its QoS class")
        }
        QosClass::PodLevel => none(wishes, "the pod's own resources are shared by its containers"),
        QosClass::Burstable => SidecarResources { json: burstable(wishes), warning: None },
        QosClass::Guaranteed => guaranteed(wishes),
    }
}

fn none(wishes: &ResourceSettings, because: &str) -> SidecarResources {
    let warning =
        wishes.is_set().then(|| format!("kube-booster.io/sidecar-*: not applied, because {because}"));
    SidecarResources { json: json!({}), warning }
}

fn burstable(wishes: &ResourceSettings) -> Value {
    let memory_request = wishes.memory_request.clone().unwrap_or_else(|| quantity("2Mi"));
    let memory_limit =
        wishes.memory_limit.clone().unwrap_or_else(|| quantity("16Mi").max(memory_request.clone()));
    let cpu_request = match (&wishes.cpu_request, &wishes.cpu_limit) {
        (Some(request), _) => request.clone(),
        (None, Some(limit)) => quantity("1m").min(limit.clone()),
        (None, None) => quantity("1m"),
    };
    let mut limits = Map::from_iter([("memory".to_owned(), text(&memory_limit))]);
    if let Some(cpu_limit) = &wishes.cpu_limit {
        limits.insert("cpu".to_owned(), text(cpu_limit));
    }
    json!({
        "requests": {"cpu": text(&cpu_request), "memory": text(&memory_request.min(memory_limit))},
        "limits": limits,
    })
}

/// Limits decide, for in this class requests equal them.
fn guaranteed(wishes: &ResourceSettings) -> SidecarResources {
    let pick = |limit: &Option<Quantity>, request: &Option<Quantity>, default: &str| {
        limit.clone().or_else(|| request.clone()).unwrap_or_else(|| quantity(default))
    };
    let cpu = pick(&wishes.cpu_limit, &wishes.cpu_request, "25m");
    // Below its floor, the container runtime starts nothing, and a sidecar that does not start holds the app.
    let memory = pick(&wishes.memory_limit, &wishes.memory_request, "16Mi").max(quantity("8Mi"));
    let differs = |wish: &Option<Quantity>, taken: &Quantity| wish.as_ref().is_some_and(|wish| wish != taken);
    let warning = (differs(&wishes.cpu_request, &cpu) || differs(&wishes.memory_request, &memory)).then(|| {
        "kube-booster.io/sidecar-*: requests were set to the limits (memory at least 8Mi), because the pod's QoS class \
         is Guaranteed"
            .to_owned()
    });
    let amounts = json!({"cpu": text(&cpu), "memory": text(&memory)});
    SidecarResources { json: json!({"requests": amounts, "limits": amounts}), warning }
}

fn text(quantity: &Quantity) -> Value {
    Value::String(quantity.to_string())
}

/// A quantity of this file.
fn quantity(text: &str) -> Quantity {
    text.parse().expect("a quantity that is written in the source is one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(spec: &str) -> QosClass {
        qos_class(&serde_json::from_str(&format!(r#"{{"spec":{spec}}}"#)).unwrap())
    }

    const EQUAL: &str =
        r#"{"requests":{"cpu":"1","memory":"1Gi"},"limits":{"cpu":"1000m","memory":"1073741824"}}"#;

    #[test]
    fn classes_are_kubernetes_own() {
        assert_eq!(
            class(r#"{"containers":[{"name":"a"},{"name":"b","resources":{}}]}"#),
            QosClass::BestEffort
        );
        assert_eq!(
            class(&format!(r#"{{"containers":[{{"name":"a","resources":{EQUAL}}}]}}"#)),
            QosClass::Guaranteed
        );
        let limits_only =
            r#"{"containers":[{"name":"a","resources":{"limits":{"cpu":"1","memory":"1Gi"}}}]}"#;
        assert_eq!(class(limits_only), QosClass::Guaranteed);
        let with_init = format!(
            r#"{{"initContainers":[{{"name":"i"}}],"containers":[{{"name":"a","resources":{EQUAL}}}]}}"#
        );
        assert_eq!(class(&with_init), QosClass::Burstable);
        assert_eq!(
            class(r#"{"containers":[{"name":"a","resources":{"requests":{"cpu":"1m"}}}]}"#),
            QosClass::Burstable
        );
        assert_eq!(
            class(r#"{"containers":[{"name":"a","resources":{"requests":{"cpu":"0"}}}]}"#),
            QosClass::BestEffort
        );
        let other = r#"{"containers":[{"name":"a","resources":{"limits":{"example.com/gpu":"1"}}}]}"#;
        assert_eq!(class(other), QosClass::BestEffort);
        assert_eq!(
            class(&format!(r#"{{"resources":{EQUAL},"containers":[{{"name":"a"}}]}}"#)),
            QosClass::PodLevel
        );
    }

    #[test]
    fn defaults_are_tiny() {
        let wishes = ResourceSettings::default();
        assert_eq!(
            of_sidecar(QosClass::Burstable, &wishes).json,
            json!({"requests": {"cpu": "1m", "memory": "2Mi"}, "limits": {"memory": "16Mi"}})
        );
        let amounts = json!({"cpu": "25m", "memory": "16Mi"});
        assert_eq!(
            of_sidecar(QosClass::Guaranteed, &wishes).json,
            json!({"requests": amounts, "limits": amounts})
        );
        assert_eq!(
            of_sidecar(QosClass::BestEffort, &wishes),
            SidecarResources { json: json!({}), warning: None }
        );
    }

    #[test]
    fn wishes_are_followed_and_a_request_never_exceeds_its_limit() {
        let wish = |text: &str| Some(quantity(text));
        let wishes =
            ResourceSettings { memory_request: wish("32Mi"), cpu_limit: wish("500u"), ..Default::default() };
        assert_eq!(
            of_sidecar(QosClass::Burstable, &wishes).json,
            json!({"requests": {"cpu": "500u", "memory": "32Mi"}, "limits": {"cpu": "500u", "memory": "32Mi"}})
        );
        let low =
            ResourceSettings { memory_limit: wish("8Mi"), memory_request: wish("4Mi"), ..Default::default() };
        assert_eq!(of_sidecar(QosClass::Burstable, &low).json["requests"]["memory"], "4Mi");
    }

    #[test]
    fn a_wish_that_would_change_the_class_is_named_in_a_warning() {
        let wishes = ResourceSettings { cpu_request: Some(quantity("5m")), ..Default::default() };
        assert!(of_sidecar(QosClass::BestEffort, &wishes).warning.is_some());
        assert_eq!(of_sidecar(QosClass::Guaranteed, &wishes).json["limits"]["cpu"], "5m");
        assert_eq!(of_sidecar(QosClass::Guaranteed, &wishes).warning, None);
        let tiny = ResourceSettings { memory_request: Some(quantity("2Mi")), ..Default::default() };
        let raised = of_sidecar(QosClass::Guaranteed, &tiny);
        assert_eq!(raised.json["limits"]["memory"], "8Mi", "less would not start");
        assert!(raised.warning.is_some());
        let both = ResourceSettings { cpu_limit: Some(quantity("10m")), ..wishes };
        assert!(of_sidecar(QosClass::Guaranteed, &both).warning.is_some());
    }
}
