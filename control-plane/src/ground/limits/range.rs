//! A `LimitRange`: what it sets by default, and what it refuses.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

use crate::ground::{
    annotations::Quantity,
    resources::{Amounts, Resource},
};

/// `spec` of a `LimitRange`, as far as it is read.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RangeSpec {
    #[serde(default)]
    limits: Vec<ItemSpec>,
}

type Quantities = BTreeMap<Box<str>, Box<str>>;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ItemSpec {
    r#type: Box<str>,
    min: Quantities,
    max: Quantities,
    max_limit_request_ratio: Quantities,
    default: Quantities,
    default_request: Quantities,
}

/// A `LimitRange`, as far as it is about containers' and pods' CPU and memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitRange {
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    of: Of,
    resource: Resource,
    min: Option<Quantity>,
    max: Option<Quantity>,
    ratio: Option<Quantity>,
    default: Amounts,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Each container
    Container,
    /// All of a pod's containers together
    Pod,
}

/// The bounds of a container's amounts; absent ones do not bind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Least request
    pub min: Option<Quantity>,
    /// Largest limit
    pub max: Option<Quantity>,
    /// Largest limit in requests
    pub ratio: Option<Quantity>,
}

/// Why a `LimitRange` refuses amounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    of: Of,
    resource: Resource,
    rule: Rule,
    bound: Quantity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Min,
    Max,
    Ratio,
}

impl LimitRange {
    /// The bounds that it sets to a container's `resource`, within `bounds`.
    #[must_use]
    pub fn narrow(&self, bounds: Bounds, resource: Resource) -> Bounds {
        let items = self.items.iter().filter(|item| item.of == Of::Container && item.resource == resource);
        items.fold(bounds, |bounds, item| Bounds {
            min: bounds.min.max(item.min.clone()),
            max: least(bounds.max, item.max.clone()),
            ratio: least(bounds.ratio, item.ratio.clone()),
        })
    }

    /// What the API server makes of a container's `amounts` where they lack something.
    #[must_use]
    pub fn complete(&self, amounts: Amounts, resource: Resource) -> Amounts {
        // Within one LimitRange the last rule counts.
        let default = self.items.iter().rev().filter(|item| item.resource == resource);
        default.fold(amounts, |amounts, item| Amounts {
            request: amounts.request.or_else(|| item.default.request.clone()),
            limit: amounts.limit.or_else(|| item.default.limit.clone()),
        })
    }

    /// Why it refuses `amounts` of a container or a pod.
    pub fn check(&self, of: Of, resource: Resource, amounts: &Amounts) -> Result<(), Refusal> {
        let items = self.items.iter().filter(|item| item.of == of && item.resource == resource);
        for item in items {
            for (rule, bound) in [(Rule::Min, &item.min), (Rule::Max, &item.max), (Rule::Ratio, &item.ratio)]
            {
                if let Some(bound) = bound.as_ref().filter(|bound| !rule.holds(bound, amounts)) {
                    return Err(Refusal { of, resource, rule, bound: bound.clone() });
                }
            }
        }
        Ok(())
    }
}

impl Rule {
    /// As the API server's own check does it, down to which absences it minds.
    fn holds(self, bound: &Quantity, Amounts { request, limit }: &Amounts) -> bool {
        match self {
            Self::Min => {
                request.as_ref().is_some_and(|request| request >= bound)
                    && limit.as_ref().is_none_or(|limit| limit >= bound)
            }
            Self::Max => {
                limit.as_ref().is_some_and(|limit| limit <= bound)
                    && request.as_ref().is_none_or(|request| request <= bound)
            }
            Self::Ratio => match (request, limit) {
                (Some(request), Some(limit)) if !request.is_zero() && !limit.is_zero() => {
                    limit.is_at_most(bound, request)
                }
                _ => false,
            },
        }
    }
}

fn least(a: Option<Quantity>, b: Option<Quantity>) -> Option<Quantity> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

impl From<RangeSpec> for LimitRange {
    fn from(spec: RangeSpec) -> Self {
        let items = spec.limits.into_iter().filter_map(|item| {
            let of = match &*item.r#type {
                "Container" => Of::Container,
                "Pod" => Of::Pod,
                _ => return None,
            };
            Some(Resource::ALL.into_iter().filter_map(move |resource| item.about(of, resource)))
        });
        Self { items: items.flatten().collect() }
    }
}

impl ItemSpec {
    fn about(&self, of: Of, resource: Resource) -> Option<Item> {
        let read = |quantities: &Quantities| quantities.get(resource.name())?.parse().ok();
        let (min, max) = (read(&self.min), read(&self.max));
        let ratio = read(&self.max_limit_request_ratio);
        let default = Amounts { request: read(&self.default_request), limit: read(&self.default) };
        let says_something =
            [&min, &max, &ratio, &default.request, &default.limit].into_iter().any(Option::is_some);
        says_something.then_some(Item { of, resource, min, max, ratio, default })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bound, resource) = (&self.bound, self.resource.name());
        let (of, what) = match self.of {
            Of::Container => ("container", "the sidecar does not fit into that"),
            Of::Pod => ("pod", "with the sidecar the pod does not fit into that"),
        };
        match self.rule {
            Rule::Min => {
                write!(f, "asks for at least {bound} of {resource} per {of}, and {what}; lower its min")
            }
            Rule::Max => {
                write!(f, "takes at most {bound} of {resource} per {of}, and {what}; raise its max")
            }
            Rule::Ratio => write!(
                f,
                "takes limits of at most {bound} times the requests of {resource} per {of}, and {what}; raise its \
                 maxLimitRequestRatio"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(limits: &str) -> LimitRange {
        serde_json::from_str::<RangeSpec>(&format!(r#"{{"limits":{limits}}}"#)).unwrap().into()
    }

    fn amounts(request: &str, limit: &str) -> Amounts {
        Amounts { request: request.parse().ok(), limit: limit.parse().ok() }
    }

    fn check(range: &LimitRange, of: Of, request: &str, limit: &str) -> String {
        match range.check(of, Resource::Cpu, &amounts(request, limit)) {
            Ok(()) => "taken".to_owned(),
            Err(refusal) => refusal.to_string().split(" of cpu").next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn rules_mind_what_the_api_server_minds() {
        let all = range(
            r#"[{"type":"Container","min":{"cpu":"10m"},"max":{"cpu":"1"},"maxLimitRequestRatio":{"cpu":"4"}}]"#,
        );
        for (request, limit, said) in [
            ("25m", "100m", "taken"),
            ("24m", "100m", "takes limits of at most 4 times the requests"),
            ("9m", "30m", "asks for at least 10m"),
            ("", "30m", "asks for at least 10m"),
            ("10m", "9m", "asks for at least 10m"),
            ("1", "1001m", "takes at most 1"),
            ("1", "", "takes at most 1"),
        ] {
            assert_eq!(check(&all, Of::Container, request, limit), said, "{request}/{limit}");
        }
        assert_eq!(check(&all, Of::Pod, "", ""), "taken");
        let min = range(r#"[{"type":"Pod","min":{"cpu":"10m"}}]"#);
        assert_eq!(check(&min, Of::Pod, "10m", ""), "taken");
        assert_eq!(check(&min, Of::Pod, "10m", "5m"), "asks for at least 10m");
    }

    #[test]
    fn defaults_fill_what_is_absent_and_bounds_are_the_narrowest() {
        let range = range(
            r#"[{"type":"Container","default":{"cpu":"500m"},"defaultRequest":{"cpu":"100m"},"max":{"cpu":"2"}},
                {"type":"Container","min":{"cpu":"5m"},"max":{"cpu":"1"}},
                {"type":"PersistentVolumeClaim","max":{"storage":"1Gi"}}]"#,
        );
        assert_eq!(range.complete(Amounts::default(), Resource::Cpu), amounts("100m", "500m"));
        assert_eq!(range.complete(amounts("1m", ""), Resource::Cpu), amounts("1m", "500m"));
        assert_eq!(range.complete(Amounts::default(), Resource::Memory), Amounts::default());
        let bounds = range.narrow(Bounds::default(), Resource::Cpu);
        assert_eq!(bounds.min, "5m".parse().ok());
        assert_eq!(bounds.max, "1".parse().ok());
        assert_eq!(range.narrow(Bounds::default(), Resource::Memory), Bounds::default());
    }
}
