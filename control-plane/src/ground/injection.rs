//! What becomes of a pod at admission: left as it is, or given gate, label, sidecar and volume.

mod container;
mod copied;
mod patch;

pub use patch::Operation;
use proto::{names, plan::Plan};

use self::copied::Sidecar;
use super::{
    annotations::{self, ProblemKind, ResourceSettings, Settings},
    limits::NamespaceLimits,
    plan,
    pod::{Pod, Texts},
    resources::{self, Misfit},
    target,
};

/// A container whose environment has a string above 128 KiB cannot be started by Linux.
const MAX_PLAN: usize = 64 << 10;
/// A pod whose annotations are longer takes no report, and its gate would stay closed: Kubernetes allows 256 KiB in all.
const MAX_ANNOTATIONS: usize = (256 - 4) << 10;

const COPIED: &str = "the manifest brings along another pod's container kube-booster-warmup, which was made anew; leave it \
     out of manifests";

/// Unknown annotations that are named in warnings; an author with more has made one mistake, not many.
const MAX_UNKNOWN: usize = 16;

const PAUSED: &str = "injection is paused, because the sidecars of other pods did not run; see their Events";

/// What every injected container is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SidecarTemplate {
    /// Image, by tag or digest.
    pub image: String,
    /// `host:port` of the report server; an address, so that the sidecar needs no DNS.
    pub report_address: String,
    /// The name in the report server's certificate.
    pub report_server_name: String,
    /// The CA certificates to trust, PEM.
    pub report_ca: String,
}

/// What a decision depends on beside the pod.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'s> {
    /// What every sidecar is given.
    pub template: &'s SidecarTemplate,
    /// What the pod's namespace permits.
    pub limits: &'s NamespaceLimits,
}

/// What becomes of a pod.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// The pod does not ask for a warm-up.
    NotAsked,
    /// The pod asks for a warm-up and is left alone.
    Skipped {
        /// Why, for the counter.
        reason: Skip,
        /// Why, for the author.
        warnings: Vec<String>,
    },
    /// The pod is given these; no operation where it has them already.
    Injected {
        /// JSON Patch operations.
        operations: Vec<Operation>,
        /// What the author should know.
        warnings: Vec<String>,
    },
}

impl Decision {
    /// The decision, unless it injects a pod that is not to be let in: `is_let_in` is asked for no other.
    #[must_use]
    pub fn unless_paused(self, is_let_in: impl FnOnce() -> bool) -> Self {
        match self {
            Self::Injected { operations, .. } if !operations.is_empty() && !is_let_in() => {
                skipped(Skip::Paused, vec![PAUSED.to_owned()])
            }
            other => other,
        }
    }
}

/// Why a pod that asks for a warm-up is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skip {
    /// An annotation has a value that it does not take.
    BadAnnotation,
    /// An annotation asks for what this version cannot do yet.
    NotBuilt,
    /// Nothing says where the requests should go.
    NoTarget,
    /// A Job's pod: nobody sends it users, and it is to end.
    Job,
    /// A static pod's mirror, which cannot be changed.
    MirrorPod,
    /// A Windows pod, on which the sidecar does not run.
    Windows,
    /// A pod in its node's network.
    HostNetwork,
    /// A container or volume of the author's bears the name of ours.
    NameTaken,
    /// More paths or probe headers than an environment variable holds.
    PlanTooLong,
    /// Annotations that leave no room for the report.
    AnnotationsFull,
    /// A `LimitRange` would refuse the pod because of the sidecar.
    LimitRange,
    /// A `ResourceQuota` has room for the pod, and none for the sidecar.
    Quota,
    /// Sidecars that were injected before did not run.
    Paused,
}

impl Skip {
    /// The label of the counter.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::BadAnnotation => "bad_annotation",
            Self::NotBuilt => "not_built",
            Self::NoTarget => "no_target",
            Self::Job => "job",
            Self::MirrorPod => "mirror_pod",
            Self::Windows => "windows",
            Self::HostNetwork => "host_network",
            Self::NameTaken => "name_taken",
            Self::PlanTooLong => "plan_too_long",
            Self::AnnotationsFull => "annotations_full",
            Self::LimitRange => "limit_range",
            Self::Quota => "quota",
            Self::Paused => "paused",
        }
    }
}

/// What becomes of `pod`, admitted under `admission_uid`, in its `surroundings`.
#[must_use]
pub fn decide(pod: &Pod<'_>, admission_uid: &str, surroundings: &Surroundings<'_>) -> Decision {
    if pod.annotation(names::WARMUP_ANNOTATION) != Some("enabled") {
        return Decision::NotAsked;
    }
    let decided = settle(pod, admission_uid).and_then(|wanted| inject(pod, &wanted, surroundings));
    decided.unwrap_or_else(|left_alone| left_alone)
}

/// What a pod that is to be injected wants.
struct Wanted {
    plan: Plan,
    resources: ResourceSettings,
}

fn settle(pod: &Pod<'_>, admission_uid: &str) -> Result<Wanted, Decision> {
    let no_annotations = annotations::read(&Texts::default());
    let read = pod.metadata.annotations.as_ref().map_or(no_annotations, annotations::read);
    let settings = read.map_err(|problems| {
        let is_bad = problems.iter().any(|problem| problem.kind != ProblemKind::NotBuilt);
        let reason = if is_bad { Skip::BadAnnotation } else { Skip::NotBuilt };
        skipped(reason, problems.iter().map(ToString::to_string).collect())
    })?;
    if let Some(decision) = kind_left_alone(pod, &settings) {
        return Err(decision);
    }
    let target =
        target::find(pod, &settings).map_err(|error| skipped(Skip::NoTarget, vec![error.to_string()]))?;
    let plan = plan::make(&settings, target, &plan::trace_id(admission_uid));
    if annotations_length(pod) > MAX_ANNOTATIONS {
        let why = "its annotations leave no room for the report; keep them below 252 KiB together";
        return Err(skipped(Skip::AnnotationsFull, vec![why.to_owned()]));
    }
    if plan.to_env_value().len() > MAX_PLAN {
        let why =
            "its paths or payload and its probe's headers are longer than 64 KiB together; shorten them";
        return Err(skipped(Skip::PlanTooLong, vec![why.to_owned()]));
    }
    Ok(Wanted { plan, resources: settings.resources })
}

/// Kinds of pods that nobody waits for, or that our container cannot be in.
fn kind_left_alone(pod: &Pod<'_>, settings: &Settings) -> Option<Decision> {
    let (reason, why) = if is_mirror(pod) {
        (Skip::MirrorPod, "static pods cannot be changed")
    } else if is_windows(pod) {
        (Skip::Windows, "the sidecar runs on Linux only")
    } else if is_of_job(pod) && !settings.allow.job {
        (Skip::Job, "it belongs to a Job; kube-booster.io/warmup-allow: job warms it all the same")
    } else if pod.spec.host_network == Some(true) && !settings.allow.host_network {
        (
            Skip::HostNetwork,
            "it uses hostNetwork; kube-booster.io/warmup-allow: host-network warms it all the same",
        )
    } else if is_name_taken(pod) {
        (Skip::NameTaken, "one of its containers or volumes is named kube-booster-warmup; rename it")
    } else {
        return None;
    };
    Some(skipped(reason, vec![why.to_owned()]))
}

fn skipped(reason: Skip, why: Vec<String>) -> Decision {
    let warnings = why.into_iter().map(|why| format!("pod is not warmed up: {why}")).collect();
    Decision::Skipped { reason, warnings }
}

fn is_mirror(pod: &Pod<'_>) -> bool {
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    pod.annotation("kubernetes.io/config.mirror").is_some()
        || owners.iter().any(|owner| &*owner.kind == "Node")
}

fn is_windows(pod: &Pod<'_>) -> bool {
    let selected = pod.spec.node_selector.as_ref().and_then(|selector| selector.get("kubernetes.io/os"));
    let os = pod.spec.os.as_ref().map(|os| &os.name);
    [selected, os].into_iter().flatten().any(|os| &**os == "windows")
}

fn is_of_job(pod: &Pod<'_>) -> bool {
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().any(|owner| &*owner.kind == "Job" && owner.api_version.starts_with("batch/"))
}

/// What bears the name of ours and is the author's.
fn is_name_taken(pod: &Pod<'_>) -> bool {
    let theirs = |name: &str, is_ours: bool| name == names::SIDECAR_CONTAINER && !is_ours;
    let volumes = pod.spec.volumes.as_deref().unwrap_or_default();
    pod.spec.containers.iter().any(|container| theirs(&container.name, false))
        || pod.init_containers().iter().any(|container| theirs(&container.name, container.is_ours()))
        || volumes.iter().any(|volume| theirs(&volume.name, volume.is_ours()))
}

fn annotations_length(pod: &Pod<'_>) -> usize {
    let annotations = pod.metadata.annotations.iter().flatten();
    annotations.map(|(key, value)| key.len() + value.len()).sum()
}

fn inject(pod: &Pod<'_>, wanted: &Wanted, surroundings: &Surroundings<'_>) -> Result<Decision, Decision> {
    let mut warnings = Vec::new();
    let mut operations = patch::marks(pod);
    match copied::sidecar(pod, &wanted.plan, surroundings.template) {
        Sidecar::Current => {}
        Sidecar::OtherPlan(variable) => operations.push(patch::plan(&variable, &wanted.plan)),
        replaced @ (Sidecar::Absent | Sidecar::Stale(_)) => {
            let fitting = resources::fit(pod, &wanted.resources, surroundings.limits);
            let fitting = fitting.map_err(|misfit| unfit(&misfit))?;
            let container = container::sidecar(pod, &wanted.plan, fitting.json, surroundings.template);
            operations.extend(patch::sidecar(pod, &replaced, container));
            warnings.extend(fitting.warning);
            if matches!(replaced, Sidecar::Stale(_)) {
                warnings.push(COPIED.to_owned());
            }
        }
    }
    if let Some(annotations) = &pod.metadata.annotations {
        warnings.extend(
            annotations::unknown(annotations)
                .take(MAX_UNKNOWN)
                .map(|key| format!("{key}: unknown annotation, ignored")),
        );
    }
    Ok(Decision::Injected { operations, warnings })
}

fn unfit(misfit: &Misfit) -> Decision {
    let reason = match misfit {
        Misfit::Quota(..) => Skip::Quota,
        Misfit::Range(..) | Misfit::Default(..) | Misfit::Pod(_) => Skip::LimitRange,
    };
    skipped(reason, vec![misfit.to_string()])
}

#[cfg(test)]
mod tests;
