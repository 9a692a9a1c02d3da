//! What a container or a pod asks for of one resource.

use crate::ground::{
    annotations::Quantity,
    pod::{Container, Pod, Resources, Texts},
};

/// A resource that `LimitRanges`, quotas and `QoS` classes are about, as far as the sidecar is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Cores
    Cpu,
    /// Bytes
    Memory,
}

impl Resource {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Memory];

    /// Its name in Kubernetes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

/// A request and a limit; absent is something else than nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Request
    pub request: Option<Quantity>,
    /// Limit
    pub limit: Option<Quantity>,
}

impl Amounts {
    /// Those of `resources`; an absent request is the limit, as the API server sets it.
    #[must_use]
    pub fn of(resources: Option<&Resources<'_>>, resource: Resource) -> Self {
        let Some(resources) = resources else { return Self::default() };
        let limit = quantity(resources.limits.as_ref(), resource);
        Self { request: quantity(resources.requests.as_ref(), resource).or_else(|| limit.clone()), limit }
    }

    /// Both are there, alike, and more than nothing.
    #[must_use]
    pub fn are_guaranteed(&self) -> bool {
        self.limit.as_ref().is_some_and(|limit| !limit.is_zero()) && self.request == self.limit
    }

    /// Neither asks for anything.
    #[must_use]
    pub fn are_nothing(&self) -> bool {
        [&self.request, &self.limit].into_iter().flatten().all(Quantity::is_zero)
    }

    /// Those of all of `pod`'s containers together (init containers run one after the other, native sidecars go on), as
    /// `LimitRanges` and quotas count them, with `sidecar` in the place of one of ours.
    #[must_use]
    pub fn of_pod(pod: &Pod<'_>, resource: Resource, sidecar: Option<&Self>) -> Self {
        let whole = Self::of(pod.spec.resources.as_ref(), resource);
        let total = Self::of_containers(pod, resource, sidecar);
        Self { request: whole.request.or(total.request), limit: whole.limit.or(total.limit) }
    }

    /// As [`Self::of_pod`], without what the pod as a whole asks for.
    #[must_use]
    pub fn of_containers(pod: &Pod<'_>, resource: Resource, sidecar: Option<&Self>) -> Self {
        let of = |container: &Container<'_>| Self::of(container.resources.as_ref(), resource);
        let mut running = Self::default();
        let mut starting = Self::default();
        for container in pod.init_containers().iter().filter(|container| !container.is_ours()) {
            let amounts = of(container);
            if container.is_native_sidecar() {
                running = running.plus(&amounts);
                starting = starting.at_least(&running);
            } else {
                starting = starting.at_least(&running.plus(&amounts));
            }
        }
        // Ours starts last, and nothing starts beside it that would be more than what runs then.
        running = sidecar.map_or(running.clone(), |sidecar| running.plus(sidecar));
        let running = pod.spec.containers.iter().fold(running, |sum, container| sum.plus(&of(container)));
        running.at_least(&starting)
    }

    /// Those that a quota counts for a pod that asks for these.
    #[must_use]
    pub fn with_overhead(&self, pod: &Pod<'_>, resource: Resource) -> Self {
        let Some(overhead) = quantity(pod.spec.overhead.as_ref(), resource) else { return self.clone() };
        Self {
            request: Some(self.request.as_ref().map_or_else(|| overhead.clone(), |sum| sum + &overhead)),
            limit: self.limit.as_ref().map(|sum| sum + &overhead),
        }
    }

    fn plus(&self, other: &Self) -> Self {
        self.join(other, |a, b| a + b)
    }

    fn at_least(&self, other: &Self) -> Self {
        self.join(other, |a, b| a.max(b).clone())
    }

    fn join(&self, other: &Self, both: impl Fn(&Quantity, &Quantity) -> Quantity) -> Self {
        let join = |a: &Option<Quantity>, b: &Option<Quantity>| match (a, b) {
            (Some(a), Some(b)) => Some(both(a, b)),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        Self { request: join(&self.request, &other.request), limit: join(&self.limit, &other.limit) }
    }
}

fn quantity(texts: Option<&Texts<'_>>, resource: Resource) -> Option<Quantity> {
    texts?.get(resource.name())?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(spec: &str, sidecar: &Amounts) -> (String, String) {
        let pod: Pod<'_> = serde_json::from_str(spec).unwrap();
        let total = Amounts::of_pod(&pod, Resource::Cpu, Some(sidecar)).with_overhead(&pod, Resource::Cpu);
        let text = |quantity: Option<Quantity>| quantity.map_or("none".to_owned(), |q| q.to_string());
        (text(total.request), text(total.limit))
    }

    fn check(spec: &str, request: &str, limit: &str) {
        let sidecar = Amounts { request: "1m".parse().ok(), limit: None };
        let spec = format!(r#"{{"spec":{spec}}}"#);
        assert_eq!(total(&spec, &sidecar), (request.to_owned(), limit.to_owned()), "{spec}");
    }

    #[test]
    fn a_pods_amounts_are_those_of_all_that_runs_at_once() {
        let app = r#""containers":[{"name":"a","resources":{"requests":{"cpu":"100m"}}},
                                   {"name":"b","resources":{"limits":{"cpu":"50m"}}}]"#;
        check(&format!("{{{app}}}"), "151m", "50m");
        check(
            &format!(
                r#"{{{app},"initContainers":[{{"name":"i","resources":{{"requests":{{"cpu":"2"}}}}}}]}}"#
            ),
            "2",
            "50m",
        );
        let sidecar = r#"{"name":"s","restartPolicy":"Always","resources":{"requests":{"cpu":"20m"}}}"#;
        check(&format!(r#"{{{app},"initContainers":[{sidecar}]}}"#), "171m", "50m");
        let big = r#"{"name":"i","resources":{"requests":{"cpu":"2"}}}"#;
        check(&format!(r#"{{{app},"initContainers":[{sidecar},{big}]}}"#), "2020m", "50m");
        check(&format!(r#"{{{app},"initContainers":[{big},{sidecar}]}}"#), "2", "50m");
        check(&format!(r#"{{{app},"overhead":{{"cpu":"9m"}}}}"#), "160m", "59m");
        check(&format!(r#"{{{app},"resources":{{"requests":{{"cpu":"200m"}}}}}}"#), "200m", "50m");
    }
}
