//! A `ResourceQuota`: which pods it counts, what it demands of them, and what it has left.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::ground::{
    annotations::Quantity,
    pod::Pod,
    resources::{Amounts, QosClass, Resource},
};

/// A quota that has room for this many more such pods or fewer is nearly full: where it is room for them alone, they get
/// it alone. That also covers pods that are admitted while our view of the quota is a moment old.
const NEARLY_FULL: i32 = 3;

type Quantities = BTreeMap<Box<str>, Box<str>>;

/// `spec` of a `ResourceQuota`, as far as it is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QuotaSpec {
    hard: Quantities,
    scopes: Vec<Box<str>>,
    scope_selector: Selector,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_expressions: Vec<Expression>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Expression {
    scope_name: Box<str>,
    operator: Box<str>,
    values: Vec<Box<str>>,
}

/// `status` of a `ResourceQuota`, as far as it is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct QuotaStatus {
    hard: Quantities,
    used: Quantities,
}

/// A `ResourceQuota`, as far as it is about pods' CPU and memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quota {
    scopes: Vec<Expression>,
    counted: Vec<Counted>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Counted {
    resource: Resource,
    part: Part,
    hard: Quantity,
    used: Quantity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Requests,
    Limits,
}

/// What a pod claims of a quota.
#[derive(Debug)]
pub struct Claim<'c> {
    /// Of what
    pub resource: Resource,
    /// The sidecar alone; `None` where the pod has resources as a whole, and containers need none of their own
    pub sidecar: Option<&'c Amounts>,
    /// The pod as its author wrote it
    pub without: &'c Amounts,
    /// The pod with the sidecar
    pub with: &'c Amounts,
}

/// Why a sidecar is not to be added under a quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    /// Every container has to say how much it takes.
    #[error("demands {0} of every container, and the sidecar cannot have one in this pod")]
    Demanded(&'static str),
    /// There is room for the pods, but not for their sidecars.
    #[error(
        "has {left} of {name} left, which is room for {pods} such pod(s) without the sidecar's {extra} each; raise it"
    )]
    Full {
        /// What is left
        left: String,
        /// Of what
        name: &'static str,
        /// For how many pods
        pods: i32,
        /// What a sidecar adds
        extra: String,
    },
}

impl Quota {
    /// Whether it counts `pod`, which is of `class`. A scope that nobody here knows counts.
    #[must_use]
    pub fn matches(&self, pod: &Pod<'_>, class: QosClass) -> bool {
        self.scopes.iter().all(|scope| scope.matches(pod, class))
    }

    /// Whether it counts `resource`'s limits.
    #[must_use]
    pub fn counts_limits(&self, resource: Resource) -> bool {
        self.counted.iter().any(|counted| counted.resource == resource && counted.part == Part::Limits)
    }

    /// Why the sidecar of `claim` is not to be added.
    pub fn check(&self, claim: &Claim<'_>) -> Result<(), Shortage> {
        self.counted
            .iter()
            .filter(|counted| counted.resource == claim.resource)
            .try_for_each(|counted| counted.check(claim))
    }
}

impl Counted {
    fn check(&self, claim: &Claim<'_>) -> Result<(), Shortage> {
        let of = |amounts: &Amounts| match self.part {
            Part::Requests => amounts.request.clone(),
            Part::Limits => amounts.limit.clone(),
        };
        if claim.sidecar.is_some_and(|sidecar| of(sidecar).is_none()) {
            return Err(Shortage::Demanded(self.name()));
        }
        let (with, without) = (of(claim.with).unwrap_or_default(), of(claim.without).unwrap_or_default());
        let (extra, left) = (&with - &without, &self.hard - &self.used);
        if extra.is_zero() {
            return Ok(());
        }
        // Of a quota that is over-used, a pod that takes nothing still gets its nothing.
        let fits_alone = |pods: i32| without.is_zero() || without.times(pods) <= left;
        match (1..=NEARLY_FULL).find(|pods| fits_alone(*pods) && with.times(*pods) > left) {
            Some(pods) => {
                let (left, extra) = (left.to_string(), extra.to_string());
                Err(Shortage::Full { left, name: self.name(), pods, extra })
            }
            None => Ok(()),
        }
    }

    fn name(&self) -> &'static str {
        match (self.part, self.resource) {
            (Part::Requests, Resource::Cpu) => "requests.cpu",
            (Part::Requests, Resource::Memory) => "requests.memory",
            (Part::Limits, Resource::Cpu) => "limits.cpu",
            (Part::Limits, Resource::Memory) => "limits.memory",
        }
    }
}

impl Expression {
    fn matches(&self, pod: &Pod<'_>, class: QosClass) -> bool {
        let is_best_effort = class == QosClass::BestEffort;
        let is_terminating = pod.spec.active_deadline_seconds.is_some_and(|seconds| seconds >= 0);
        match &*self.scope_name {
            "BestEffort" => is_best_effort,
            "NotBestEffort" => !is_best_effort,
            "Terminating" => is_terminating,
            "NotTerminating" => !is_terminating,
            "PriorityClass" => {
                self.matches_class(pod.spec.priority_class_name.as_deref().unwrap_or_default())
            }
            _ => true,
        }
    }

    fn matches_class(&self, priority_class: &str) -> bool {
        let is_named = self.values.iter().any(|value| &**value == priority_class);
        match &*self.operator {
            "" | "Exists" => !priority_class.is_empty(),
            "DoesNotExist" => priority_class.is_empty(),
            "In" => is_named && !priority_class.is_empty(),
            "NotIn" => !is_named,
            _ => true,
        }
    }
}

impl From<(QuotaSpec, QuotaStatus)> for Quota {
    fn from((spec, status): (QuotaSpec, QuotaStatus)) -> Self {
        const NAMES: [(&str, Resource, Part); 6] = [
            ("cpu", Resource::Cpu, Part::Requests),
            ("requests.cpu", Resource::Cpu, Part::Requests),
            ("limits.cpu", Resource::Cpu, Part::Limits),
            ("memory", Resource::Memory, Part::Requests),
            ("requests.memory", Resource::Memory, Part::Requests),
            ("limits.memory", Resource::Memory, Part::Limits),
        ];
        let read = |quantities: &Quantities, name| quantities.get(name)?.parse::<Quantity>().ok();
        let counted = NAMES.into_iter().filter_map(|(name, resource, part)| {
            // The API server enforces the status, which follows the spec a moment later.
            let hard = [read(&spec.hard, name), read(&status.hard, name)].into_iter().flatten().min()?;
            Some(Counted { resource, part, hard, used: read(&status.used, name).unwrap_or_default() })
        });
        let counted = counted.collect();
        let plain = |scope_name| Expression { scope_name, ..Expression::default() };
        let scopes = spec.scopes.into_iter().map(plain).chain(spec.scope_selector.match_expressions);
        Self { counted, scopes: scopes.collect() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn quota(spec: Value, status: Value) -> Quota {
        let spec: QuotaSpec = serde_json::from_value(spec).unwrap();
        Quota::from((spec, serde_json::from_value::<QuotaStatus>(status).unwrap()))
    }

    /// What a quota with `left` of limits.cpu says to a pod that takes `without`, and with a sidecar `with`.
    fn check(left: &str, without: &str, with: &str) -> Option<i32> {
        let hard = json!({"limits.cpu": left});
        let quota = quota(json!({"hard": hard}), json!({"hard": hard, "used": {"limits.cpu": "0"}}));
        let amounts = |limit: &str| Amounts { request: None, limit: limit.parse().ok() };
        let claim = Claim {
            resource: Resource::Cpu,
            sidecar: Some(&amounts("100m")),
            without: &amounts(without),
            with: &amounts(with),
        };
        match quota.check(&claim) {
            Ok(()) => None,
            Err(Shortage::Full { pods, .. }) => Some(pods),
            Err(shortage) => panic!("{shortage}"),
        }
    }

    #[test]
    fn a_quota_that_was_measured_out_for_the_pods_alone_is_theirs_alone() {
        assert_eq!(check("4", "1", "1100m"), None);
        assert_eq!(check("1", "1", "1100m"), Some(1));
        assert_eq!(check("1099m", "1", "1100m"), Some(1));
        assert_eq!(check("1100m", "1", "1100m"), None);
        assert_eq!(check("3", "1", "1100m"), Some(3));
        assert_eq!(check("3400m", "1", "1100m"), None);
    }

    #[test]
    fn where_the_pod_alone_does_not_fit_the_sidecar_makes_no_difference() {
        assert_eq!(check("900m", "1", "1100m"), None);
    }

    #[test]
    fn a_pod_that_takes_nothing_needs_no_room_and_its_sidecar_does() {
        assert_eq!(check("0", "0", "100m"), Some(1));
        assert_eq!(check("250m", "0", "100m"), Some(3));
        assert_eq!(check("1", "0", "100m"), None);
        assert_eq!(check("0", "1", "1"), None, "nothing is added");
    }

    #[test]
    fn what_a_quota_counts_every_container_has_to_say() {
        let quota = quota(json!({"hard": {"memory": "1Gi", "pods": "10"}}), json!({}));
        let some = Amounts { request: "1Mi".parse().ok(), limit: None };
        let claim =
            |sidecar, resource| Claim { resource, sidecar: Some(sidecar), without: &some, with: &some };
        let none = Amounts::default();
        let demanded = Err(Shortage::Demanded("requests.memory"));
        assert_eq!(quota.check(&claim(&none, Resource::Memory)), demanded);
        assert_eq!(quota.check(&claim(&some, Resource::Memory)), Ok(()));
        assert_eq!(quota.check(&claim(&none, Resource::Cpu)), Ok(()));
        assert!(!quota.counts_limits(Resource::Memory));
    }

    #[test]
    fn scopes_are_the_api_servers_and_an_unknown_one_counts() {
        let matches = |spec: Value, pod: Value, class| {
            let text = json!({"spec": pod}).to_string();
            quota(spec, json!({})).matches(&serde_json::from_str(&text).unwrap(), class)
        };
        let pod = json!({"containers": [], "priorityClassName": "high"});
        let plain = json!({"containers": []});
        let ends = json!({"containers": [], "activeDeadlineSeconds": 5});
        let scope = |name: &str| json!({"scopes": [name]});
        let select = |operator: &str| {
            let expression = json!({"scopeName": "PriorityClass", "operator": operator, "values": ["high"]});
            json!({"scopeSelector": {"matchExpressions": [expression]}})
        };
        for (spec, pod, class, expected) in [
            (json!({}), &plain, QosClass::Burstable, true),
            (scope("BestEffort"), &plain, QosClass::Burstable, false),
            (scope("BestEffort"), &plain, QosClass::BestEffort, true),
            (scope("NotBestEffort"), &plain, QosClass::BestEffort, false),
            (scope("NotBestEffort"), &plain, QosClass::PodLevel, true),
            (scope("Terminating"), &plain, QosClass::Burstable, false),
            (scope("Terminating"), &ends, QosClass::Burstable, true),
            (scope("NotTerminating"), &ends, QosClass::Burstable, false),
            (scope("ScopeOfTomorrow"), &plain, QosClass::Burstable, true),
            (scope("PriorityClass"), &plain, QosClass::Burstable, false),
            (scope("PriorityClass"), &pod, QosClass::Burstable, true),
            (select("In"), &pod, QosClass::Burstable, true),
            (select("In"), &plain, QosClass::Burstable, false),
            (select("NotIn"), &pod, QosClass::Burstable, false),
            (select("NotIn"), &plain, QosClass::Burstable, true),
            (select("DoesNotExist"), &pod, QosClass::Burstable, false),
            (select("Resembles"), &pod, QosClass::Burstable, true),
        ] {
            assert_eq!(matches(spec.clone(), pod.clone(), class), expected, "{spec} {pod} {class:?}");
        }
    }
}
