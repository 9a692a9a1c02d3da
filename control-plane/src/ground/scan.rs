//! What the leader's look at all pods finds: pods that nobody warms, or hardly, and gates that nobody watches.
//!
//! The watch shows only the pods that bear our label. What went wrong before a pod got it is found here, by the same
//! decision as at admission.

use std::time::Duration;

use jiff::Timestamp;
use proto::names;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    annotations,
    injection::{self, Decision, SidecarTemplate, Surroundings},
    limits::Limits,
    observed::{Gate, LiveSpec, LiveStatus, Observed, PodRef},
    pauses::Barriers,
    pod::{OwnerReference, Pod, Text, Texts},
};

/// Younger pods are left for the next look: whoever made them may not be done.
const YOUNGEST: Duration = Duration::from_secs(5);

/// A page of the list of all pods, borrowed from the API server's answer.
#[derive(Debug, Deserialize)]
pub struct Page<'a> {
    #[serde(borrow)]
    metadata: PageMetadata<'a>,
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct PageMetadata<'a> {
    #[serde(borrow, rename = "continue")]
    next: Option<Text<'a>>,
}

impl<'a> Page<'a> {
    /// What asks for the next page; `None` on the last one.
    #[must_use]
    pub fn next(&self) -> Option<&str> {
        self.metadata.next.as_deref().filter(|token| !token.is_empty())
    }

    /// What is found in the page's pods at `now`; `is_called_for` says whether the webhook is for a namespace.
    pub fn findings(
        &'a self,
        now: Timestamp,
        (template, limits, barriers): (&'a SidecarTemplate, &'a Limits, &'a Barriers),
        is_called_for: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = Finding> + 'a {
        // What is no pod as we know them is not ours to judge.
        let glances = self.items.iter().filter_map(|raw| Some((*raw, serde_json::from_str(raw.get()).ok()?)));
        glances.filter_map(move |(raw, glance): (_, Glance<'a>)| {
            if glance.metadata.deletion_timestamp.is_some() {
                return None;
            }
            if !glance.is_ours() {
                let is_called_for = is_called_for(&glance.metadata.namespace);
                let limits = limits.of(&glance.metadata.namespace);
                let surroundings = Surroundings { template, limits: &limits };
                let is_let_in = barriers.admit(&glance.metadata.namespace, true);
                let not_warmed = || not_warmed(raw, &glance, now, &surroundings, is_let_in);
                return is_called_for.then(not_warmed).flatten();
            }
            let narrow = glance.narrow();
            glance.stray().map(|observed| Finding::Stray(Box::new(observed))).or(narrow)
        })
    }
}

/// A pod that wants something done.
#[derive(Debug, PartialEq)]
pub enum Finding {
    /// It asks for a warm-up, and the webhook was not there when it was created.
    Missed(NotWarmed),
    /// It asks for a warm-up, and the webhook leaves it alone.
    Skipped(NotWarmed),
    /// Its gate is closed, and the watch does not show it.
    Stray(Box<Observed>),
    /// A controller's pod of which nothing but `/` is warmed, because its author did not say what users ask for.
    Narrow {
        /// Which pod.
        pod: PodRef,
        /// UID of the controller.
        controller: Box<str>,
    },
}

/// A pod that asks for a warm-up and gets none.
#[derive(Debug, Clone, PartialEq)]
pub struct NotWarmed {
    /// Which pod.
    pub pod: PodRef,
    /// When it was created.
    pub created: Timestamp,
    /// UID of the controller that would make another in its place.
    pub controller: Option<Box<str>>,
    /// Why, for its author: one line.
    pub why: String,
}

const MISSED: &str = "pod is not warmed up: it was created while the webhook of kube-booster did not answer, or was \
    annotated only later; create it again to have it warmed up";

#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(borrow)]
    metadata: GlanceMetadata<'a>,
    spec: LiveSpec,
    #[serde(default)]
    status: LiveStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GlanceMetadata<'a> {
    name: Box<str>,
    namespace: Box<str>,
    uid: Box<str>,
    resource_version: Box<str>,
    creation_timestamp: Timestamp,
    deletion_timestamp: Option<Timestamp>,
    #[serde(borrow)]
    annotations: Option<Texts<'a>>,
    #[serde(borrow)]
    labels: Option<Texts<'a>>,
    #[serde(borrow)]
    owner_references: Option<Vec<OwnerReference<'a>>>,
}

impl Glance<'_> {
    /// Whether the webhook, or somebody in its name, has given the pod anything of ours.
    fn is_ours(&self) -> bool {
        self.spec.has_gate() || self.spec.has_sidecar() || self.is_watched()
    }

    fn is_watched(&self) -> bool {
        let labels = self.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(names::INJECTED_LABEL)).is_some_and(|value| &**value == "true")
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(|value| &**value)
    }

    fn pod(&self) -> PodRef {
        let GlanceMetadata { namespace, name, uid, .. } = &self.metadata;
        PodRef { namespace: namespace.clone(), name: name.clone(), uid: uid.clone() }
    }

    fn controller(&self) -> Option<Box<str>> {
        let owners = self.metadata.owner_references.as_deref().unwrap_or_default();
        let controller = owners.iter().find(|owner| owner.controller == Some(true))?;
        controller.uid.as_deref().map(Into::into)
    }

    /// Many requests to one path leave the others cold. Whoever wrote `/` knows what they do.
    fn narrow(&self) -> Option<Finding> {
        let is_default = self.metadata.annotations.as_ref().is_some_and(annotations::name_no_target);
        let is_warmed =
            self.annotation(names::WARMUP_ANNOTATION) == Some("enabled") && self.spec.has_sidecar();
        let controller = self.controller().filter(|_| is_default && is_warmed)?;
        Some(Finding::Narrow { pod: self.pod(), controller })
    }

    fn stray(self) -> Option<Observed> {
        if self.is_watched() {
            return None;
        }
        let (pod, annotation) = (self.pod(), self.annotation(names::REPORT_ANNOTATION).map(str::to_owned));
        let version = self.metadata.resource_version;
        let observed = Observed::trim(pod, version, annotation.as_deref(), self.spec, &self.status);
        matches!(observed.gate, Gate::Closed(_)).then_some(observed)
    }
}

fn not_warmed(
    raw: &RawValue,
    glance: &Glance<'_>,
    now: Timestamp,
    surroundings: &Surroundings<'_>,
    is_let_in: bool,
) -> Option<Finding> {
    let created = glance.metadata.creation_timestamp;
    let is_young = created.checked_add(YOUNGEST).is_ok_and(|grown| now < grown);
    if glance.annotation(names::WARMUP_ANNOTATION) != Some("enabled") || is_young || glance.status.has_ended()
    {
        return None;
    }
    let pod: Pod<'_> = serde_json::from_str(raw.get()).ok()?;
    let of = |why| NotWarmed { pod: glance.pod(), created, controller: glance.controller(), why };
    match injection::decide(&pod, "", surroundings).unless_paused(|| is_let_in) {
        Decision::NotAsked => None,
        Decision::Injected { .. } => Some(Finding::Missed(of(MISSED.to_owned()))),
        Decision::Skipped { warnings, .. } => Some(Finding::Skipped(of(warnings.join("; ")))),
    }
}

/// The missed pods that their controllers would make again, oldest first; none while pods are still being missed.
///
/// Others in their place would be missed as well, and who evicts again and again helps nobody: so for `calm` no pod may
/// have been missed.
#[must_use]
pub fn to_evict(missed: &[NotWarmed], now: Timestamp, calm: Duration) -> Vec<&NotWarmed> {
    let is_recent = |missed: &NotWarmed| missed.created.checked_add(calm).is_ok_and(|calm| now < calm);
    if missed.iter().any(is_recent) {
        return Vec::new();
    }
    let mut all: Vec<_> = missed.iter().filter(|missed| missed.controller.is_some()).collect();
    all.sort_by_key(|missed| missed.created);
    all
}

#[cfg(test)]
mod tests;
