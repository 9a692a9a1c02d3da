//! Requests and limits of the injected container: tiny, fitted to the namespace, and never a change of the pod's `QoS`
//! class.

mod amounts;
mod candidates;
mod fit;

pub use amounts::{Amounts, Resource};
pub use fit::{Fitting, Misfit, fit};

use super::pod::{Container, Pod};

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

/// The class of `pod` without the sidecar, be it there or not.
#[must_use]
pub fn qos_class(pod: &Pod<'_>) -> QosClass {
    let whole = pod.spec.resources.as_ref();
    if Resource::ALL.into_iter().any(|resource| !Amounts::of(whole, resource).are_nothing()) {
        return QosClass::PodLevel;
    }
    let every = |test: fn(&Amounts) -> bool| {
        let of = |container: &Container<'_>, resource| Amounts::of(container.resources.as_ref(), resource);
        let mut others = pod.all_containers().filter(|container| !container.is_ours());
        others.all(|container| Resource::ALL.into_iter().all(|resource| test(&of(container, resource))))
    };
    if every(Amounts::are_nothing) {
        QosClass::BestEffort
    } else if every(Amounts::are_guaranteed) {
        QosClass::Guaranteed
    } else {
        QosClass::Burstable
    }
}

/// Whether `sidecar` leaves a pod of `class` in it.
#[must_use]
pub fn keeps_class(class: QosClass, sidecar: &Container<'_>) -> bool {
    Resource::ALL.into_iter().all(|resource| class.allows(&Amounts::of(sidecar.resources.as_ref(), resource)))
}

impl QosClass {
    fn allows(self, sidecar: &Amounts) -> bool {
        match self {
            Self::BestEffort => sidecar.are_nothing(),
            Self::Guaranteed => sidecar.are_guaranteed(),
            Self::Burstable | Self::PodLevel => true,
        }
    }
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
}
