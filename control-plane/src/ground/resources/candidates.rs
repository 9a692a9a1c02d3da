//! What the sidecar could have of a resource, in the order in which we would like it.

use super::{Amounts, QosClass, Resource};
use crate::ground::{
    annotations::{Quantity, ResourceSettings},
    limits::Bounds,
};

/// What one resource of the sidecar is where nobody says otherwise.
struct Usual {
    request: &'static str,
    limit: &'static str,
    /// Of a Guaranteed pod, and where the usual limit is too much: as much is requested.
    tight: &'static str,
    /// The least that can be told apart.
    grain: &'static str,
    /// Below this limit, the container runtime starts nothing.
    floor: &'static str,
}

/// A CPU limit only where something demands one: it would make the warm-up late.
const CPU: Usual = Usual { request: "1m", limit: "100m", tight: "25m", grain: "1m", floor: "0" };
const MEMORY: Usual = Usual { request: "2Mi", limit: "16Mi", tight: "16Mi", grain: "1", floor: "8Mi" };

/// What a pod wishes for one resource of its sidecar.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'w> {
    pub(super) request: Option<&'w Quantity>,
    pub(super) limit: Option<&'w Quantity>,
}

impl<'w> Wish<'w> {
    pub(super) fn of(wishes: &'w ResourceSettings, resource: Resource) -> Self {
        let (request, limit) = match resource {
            Resource::Cpu => (&wishes.cpu_request, &wishes.cpu_limit),
            Resource::Memory => (&wishes.memory_request, &wishes.memory_limit),
        };
        Self { request: request.as_ref(), limit: limit.as_ref() }
    }

    /// Whether `amounts` are not what is wished.
    pub(super) fn differs(self, amounts: &Amounts) -> bool {
        let differs = |wish: Option<&Quantity>, found: Option<&Quantity>| wish.is_some() && wish != found;
        differs(self.request, amounts.request.as_ref()) || differs(self.limit, amounts.limit.as_ref())
    }
}

/// Candidates for a pod of `class`; `counts_limits` where a quota counts the limits of `resource`.
pub(super) fn candidates(
    class: QosClass,
    resource: Resource,
    wish: Wish<'_>,
    bounds: &Bounds,
    counts_limits: bool,
) -> Vec<Amounts> {
    let usual = match resource {
        Resource::Cpu => &CPU,
        Resource::Memory => &MEMORY,
    };
    let nothing = both(Quantity::default());
    match class {
        QosClass::Guaranteed => vec![tight(wish, usual, bounds)],
        // Nothing, spelled out, keeps a namespace's defaults from being filled in.
        QosClass::BestEffort => vec![Amounts::default(), nothing],
        QosClass::PodLevel => {
            let unwished = Wish { request: None, limit: None };
            let (capped, free) = (limited(unwished, usual, bounds), unlimited(unwished, usual, bounds));
            vec![Amounts::default(), capped, free, nothing]
        }
        QosClass::Burstable => {
            let (capped, free) = (limited(wish, usual, bounds), unlimited(wish, usual, bounds));
            let likes_limit = wish.limit.is_some() || counts_limits || resource == Resource::Memory;
            let (first, second) = if likes_limit { (capped, free) } else { (free, capped) };
            vec![first, second, tight(wish, usual, bounds)]
        }
    }
}

fn both(quantity: Quantity) -> Amounts {
    Amounts { request: Some(quantity.clone()), limit: Some(quantity) }
}

fn limited(wish: Wish<'_>, usual: &Usual, bounds: &Bounds) -> Amounts {
    let request = request(wish, usual, bounds);
    let limit = wish.limit.cloned().unwrap_or_else(|| quantity(usual.limit));
    let limit = within(limit.max(request.clone()), bounds).max(quantity(usual.floor));
    let Some(ratio) = &bounds.ratio else { return Amounts { request: Some(request), limit: Some(limit) } };
    let request = request.max(limit.divided_by(ratio, &quantity(usual.grain)));
    Amounts { request: Some(request.min(limit.clone())), limit: Some(limit) }
}

fn unlimited(wish: Wish<'_>, usual: &Usual, bounds: &Bounds) -> Amounts {
    Amounts { request: Some(request(wish, usual, bounds)), limit: None }
}

fn request(wish: Wish<'_>, usual: &Usual, bounds: &Bounds) -> Quantity {
    let usual = quantity(usual.request);
    let least = wish.limit.map_or(usual.clone(), |limit| usual.min(limit.clone()));
    within(wish.request.cloned().unwrap_or(least), bounds)
}

/// Limits decide: what equals them is requested.
fn tight(wish: Wish<'_>, usual: &Usual, bounds: &Bounds) -> Amounts {
    let wished = wish.limit.or(wish.request).cloned();
    both(within(wished.unwrap_or_else(|| quantity(usual.tight)), bounds).max(quantity(usual.floor)))
}

fn within(quantity: Quantity, bounds: &Bounds) -> Quantity {
    let raised = bounds.min.as_ref().map_or(quantity.clone(), |min| quantity.max(min.clone()));
    bounds.max.as_ref().map_or(raised.clone(), |max| raised.min(max.clone()))
}

/// A quantity of this file.
fn quantity(text: &str) -> Quantity {
    text.parse().expect("a quantity that is written in the source is one")
}
