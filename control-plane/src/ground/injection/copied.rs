//! A sidecar that a pod already has: ours of this very admission, or one that came along with a copied manifest.
//!
//! The API server calls a webhook again, under another UID, when a later one changed the pod; a name, a trace id or a
//! UID does not tell the two apart. What the webhook would write now does.

use proto::{names, plan::Plan};

use super::{SidecarTemplate, container};
use crate::ground::{
    pod::{Container, Pod},
    resources,
};

/// What a pod has in the place of our sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sidecar {
    /// None.
    Absent,
    /// What we would write, whatever others have added to it.
    Current,
    /// One that has another plan: the pod has changed since it was made. The path of the plan in the pod.
    OtherPlan(String),
    /// One that was made elsewhere or long ago: its index among the init containers.
    Stale(usize),
}

pub(super) fn sidecar(pod: &Pod<'_>, plan: &Plan, template: &SidecarTemplate) -> Sidecar {
    let found = pod.init_containers().iter().enumerate().find(|(_, container)| container.is_ours());
    let Some((index, container)) = found else { return Sidecar::Absent };
    let is_of_template =
        container::written(template).into_iter().all(|(name, value)| container.variable(name) == Some(value));
    let keeps_class = resources::keeps_class(resources::qos_class(pod), container);
    if !is_of_template || !keeps_class || !container.is_native_sidecar() {
        return Sidecar::Stale(index);
    }
    if has_plan(container, plan) {
        return Sidecar::Current;
    }
    let env = container.env.as_deref().unwrap_or_default();
    let variable = env.iter().position(|variable| &*variable.name == names::PLAN_ENV);
    variable.map_or(Sidecar::Stale(index), |variable| {
        Sidecar::OtherPlan(format!("/spec/initContainers/{index}/env/{variable}/value"))
    })
}

/// Whether `container` bears `plan`, under whichever trace id.
fn has_plan(container: &Container<'_>, plan: &Plan) -> bool {
    let borne = container.variable(names::PLAN_ENV).and_then(|text| Plan::from_env_value(text).ok());
    borne.is_some_and(|borne| Plan { trace_id: plan.trace_id.clone(), ..borne } == *plan)
}
