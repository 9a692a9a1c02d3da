//! The first candidate that the namespace takes.

use serde_json::{Map, Value};

use super::{
    Amounts, QosClass, Resource,
    candidates::{Wish, candidates},
    qos_class,
};
use crate::ground::{
    annotations::{MIN_MEMORY_LIMIT, Quantity, ResourceSettings},
    limits::{Bounds, Claim, NamespaceLimits, Of, Quota, Refusal, Shortage},
    pod::Pod,
};

/// What stands in the injected container, and what could not be done as asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Fitting {
    /// `resources` as JSON; empty where the container is to have none.
    pub json: Value,
    /// Why the pod's own wishes were not followed.
    pub warning: Option<String>,
}

/// Why no sidecar fits into a pod.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A `LimitRange` would refuse the pod.
    #[error("LimitRange {0:?} {1}")]
    Range(String, Box<Refusal>),
    /// A `LimitRange`'s default would give the sidecar less than it needs, or the pod another class.
    #[error(
        "LimitRange {0:?} has defaults for {1} that the sidecar cannot live with; give the pod's own containers \
             requests and limits"
    )]
    Default(String, &'static str),
    /// The sidecar does not fit into the resources of the pod as a whole.
    #[error("the pod's own resources leave no {0} for the sidecar; raise spec.resources")]
    Pod(&'static str),
    /// A quota has no room.
    #[error("ResourceQuota {0:?} {1}")]
    Quota(String, Box<Shortage>),
}

/// The sidecar's resources in `pod`, which asks for `wishes`, under `limits`.
pub fn fit(pod: &Pod<'_>, wishes: &ResourceSettings, limits: &NamespaceLimits) -> Result<Fitting, Misfit> {
    let class = qos_class(pod);
    let quotas = limits.quotas.iter().map(|(name, quota)| (&**name, quota));
    let quotas = quotas.filter(|(_, quota)| quota.matches(pod, class));
    let namespace = Namespace { pod, class, limits, quotas: quotas.collect() };
    let (cpu, memory) =
        (namespace.choose(Resource::Cpu, wishes)?, namespace.choose(Resource::Memory, wishes)?);
    let differs =
        Wish::of(wishes, Resource::Cpu).differs(&cpu) || Wish::of(wishes, Resource::Memory).differs(&memory);
    let json = to_json(&[(Resource::Cpu, &cpu), (Resource::Memory, &memory)]);
    let warning = differs.then(|| warning(class, &json));
    Ok(Fitting { json, warning })
}

fn warning(class: QosClass, json: &Value) -> String {
    let because = match class {
        QosClass::BestEffort => "the pod has no requests or limits and would change its QoS class",
        QosClass::PodLevel => "the pod's own resources are shared by its containers",
        QosClass::Guaranteed => "the pod's QoS class is Guaranteed and the namespace may have a LimitRange",
        QosClass::Burstable => "the namespace has a LimitRange",
    };
    format!("kube-booster.io/sidecar-*: the sidecar's resources are {json}, because {because}")
}

fn to_json(chosen: &[(Resource, &Amounts)]) -> Value {
    let part = |of: fn(&Amounts) -> &Option<Quantity>| -> Map<String, Value> {
        let set = chosen.iter().filter_map(|(resource, amounts)| Some((resource, of(amounts).as_ref()?)));
        set.map(|(resource, quantity)| (resource.name().to_owned(), quantity.to_string().into())).collect()
    };
    let parts = [("limits", part(|amounts| &amounts.limit)), ("requests", part(|amounts| &amounts.request))];
    let parts = parts.into_iter().filter(|(_, part)| !part.is_empty());
    parts.map(|(name, part)| (name.to_owned(), Value::Object(part))).collect::<Map<_, _>>().into()
}

/// What a sidecar has to fit into.
struct Namespace<'n, 'a> {
    pod: &'n Pod<'a>,
    class: QosClass,
    limits: &'n NamespaceLimits,
    /// Those that count the pod.
    quotas: Vec<(&'n str, &'n Quota)>,
}

impl Namespace<'_, '_> {
    /// The first candidate that is taken, else why the first was not.
    fn choose(&self, resource: Resource, wishes: &ResourceSettings) -> Result<Amounts, Misfit> {
        let ranges = self.limits.ranges.values();
        let bounds = ranges.fold(Bounds::default(), |bounds, range| range.narrow(bounds, resource));
        let counts_limit = self.quotas.iter().any(|(_, quota)| quota.counts_limits(resource));
        let wish = Wish::of(wishes, resource);
        let mut why = None;
        for candidate in candidates(self.class, resource, wish, &bounds, counts_limit) {
            match self.check(resource, &candidate) {
                Ok(()) => return Ok(candidate),
                Err(misfit) => why = why.or(Some(misfit)),
            }
        }
        // There is always a candidate, and so a reason.
        why.map_or_else(|| Ok(Amounts::default()), Err)
    }

    fn check(&self, resource: Resource, candidate: &Amounts) -> Result<(), Misfit> {
        let sidecar = self.completed(resource, candidate)?;
        let with = Amounts::of_pod(self.pod, resource, Some(&sidecar));
        for (name, range) in &*self.limits.ranges {
            range
                .check(Of::Container, resource, &sidecar)
                .and_then(|()| range.check(Of::Pod, resource, &with))
                .map_err(|refusal| Misfit::Range(name.to_string(), refusal.into()))?;
        }
        if self.class == QosClass::PodLevel && !self.fits_into_pod(resource, &sidecar) {
            return Err(Misfit::Pod(resource.name()));
        }
        let without = Amounts::of_pod(self.pod, resource, None).with_overhead(self.pod, resource);
        let claim = Claim {
            resource,
            sidecar: (self.class != QosClass::PodLevel).then_some(&sidecar),
            without: &without,
            with: &with.with_overhead(self.pod, resource),
        };
        self.quotas.iter().try_for_each(|(name, quota)| {
            quota.check(&claim).map_err(|shortage| Misfit::Quota(name.to_string(), shortage.into()))
        })
    }

    /// `candidate` as the API server completes it.
    fn completed(&self, resource: Resource, candidate: &Amounts) -> Result<Amounts, Misfit> {
        let mut sidecar = candidate.clone();
        for (name, range) in &*self.limits.ranges {
            sidecar = range.complete(sidecar, resource);
            if !self.class.allows(&sidecar) || is_too_small(resource, &sidecar) {
                return Err(Misfit::Default(name.to_string(), resource.name()));
            }
        }
        Ok(sidecar)
    }

    /// The API server refuses containers that ask for more than their pod does.
    fn fits_into_pod(&self, resource: Resource, sidecar: &Amounts) -> bool {
        if *sidecar == Amounts::default() {
            return true;
        }
        let whole = Amounts::of(self.pod.spec.resources.as_ref(), resource);
        let all = Amounts::of_containers(self.pod, resource, Some(sidecar));
        let is_within = |part: &Option<Quantity>, whole: &Option<Quantity>| match (part, whole) {
            (Some(part), Some(whole)) => part <= whole,
            _ => true,
        };
        is_within(&all.request, &whole.request) && is_within(&sidecar.limit, &whole.limit)
    }
}

/// What the container runtime does not start holds the app.
fn is_too_small(resource: Resource, sidecar: &Amounts) -> bool {
    let limit = sidecar.limit.as_ref().filter(|limit| !limit.is_zero());
    resource == Resource::Memory && limit.is_some_and(|limit| limit.bytes() < MIN_MEMORY_LIMIT)
}

#[cfg(test)]
mod tests;
