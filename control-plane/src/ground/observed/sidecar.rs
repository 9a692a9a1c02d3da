//! Our own container in a live pod, as far as it can hold the app.

use std::fmt;

use jiff::Timestamp;
use proto::names;
use serde::Deserialize;

use super::{LiveContainer, LiveSpec, LiveState, LiveStatus};

/// Our container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    /// Its place among `spec.initContainers`; nobody can move it.
    pub index: usize,
    /// Its image, as the pod asks for it.
    pub image: Box<str>,
    /// How it is.
    pub state: State,
    /// How often it was started again.
    pub restarts: u32,
    /// Since when the pod waits for nothing but this container; `None` while the pod is not that far.
    pub awaited: Option<Timestamp>,
}

/// How our container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs, since then.
    Running(Option<Timestamp>),
    /// The kubelet says what keeps it from running.
    Failing(Trouble),
    /// It does not run, and nobody says why.
    Absent,
}

/// What keeps our container from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// What could not be done.
    pub cause: Cause,
    /// The kubelet's word for it, one of those that we know; empty where it has none.
    pub reason: &'static str,
}

/// What could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Its image is not there and cannot be pulled.
    Pull,
    /// It cannot be created.
    Create,
    /// It cannot be started.
    Start,
    /// It ends again and again.
    Crash,
    /// It does not run, and the kubelet names no error.
    Silence,
    /// Its image was exchanged before we saw what was wrong with it.
    Unknown,
}

/// The kubelet's reasons for which a container waits and which are errors; others, such as `PodInitializing`, are not.
const REASONS: [(&str, Cause); 13] = [
    ("ErrImagePull", Cause::Pull),
    ("ImagePullBackOff", Cause::Pull),
    ("InvalidImageName", Cause::Pull),
    ("ErrImageNeverPull", Cause::Pull),
    ("ImageInspectError", Cause::Pull),
    ("RegistryUnavailable", Cause::Pull),
    ("SignatureValidationFailed", Cause::Pull),
    ("CreateContainerConfigError", Cause::Create),
    ("CreateContainerError", Cause::Create),
    ("PreCreateHookError", Cause::Create),
    ("PreStartHookError", Cause::Start),
    ("RunContainerError", Cause::Start),
    ("CrashLoopBackOff", Cause::Crash),
];

impl Cause {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Pull, Self::Create, Self::Start, Self::Crash, Self::Silence, Self::Unknown];

    /// The label of the counter.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Create => "create",
            Self::Start => "start",
            Self::Crash => "crash",
            Self::Silence => "silence",
            Self::Unknown => "unknown",
        }
    }
}

impl Trouble {
    /// No error, and no container either.
    pub const SILENCE: Self = Self { cause: Cause::Silence, reason: "" };
    /// There was some.
    pub const UNKNOWN: Self = Self { cause: Cause::Unknown, reason: "" };

    fn known(reason: &str) -> Option<Self> {
        REASONS
            .iter()
            .find(|(known, _)| *known == reason)
            .map(|(reason, cause)| Self { cause: *cause, reason })
    }
}

/// A clause for people, without anything that an app or a registry said.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (container, reason) = (names::SIDECAR_CONTAINER, self.reason);
        match self.cause {
            Cause::Pull => write!(f, "the image of container {container} cannot be pulled ({reason})"),
            Cause::Create => write!(f, "container {container} cannot be created ({reason})"),
            Cause::Start => write!(f, "container {container} cannot be started ({reason})"),
            Cause::Crash => write!(f, "container {container} ends again and again ({reason})"),
            Cause::Silence => write!(f, "container {container} was not started within a minute"),
            Cause::Unknown => write!(f, "container {container} has the fallback image"),
        }
    }
}

/// One of `status.initContainerStatuses`, as far as it is read.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LiveInitStatus {
    name: Box<str>,
    #[serde(default)]
    restart_count: u32,
    started: Option<bool>,
    #[serde(default)]
    state: LiveState,
    #[serde(default)]
    last_state: LiveState,
}

impl LiveInitStatus {
    fn state(&self) -> State {
        if let Some(running) = &self.state.running {
            return State::Running(running.started_at);
        }
        let reason = self.state.waiting.as_ref().and_then(|waiting| waiting.reason.as_deref());
        reason.and_then(Trouble::known).map_or(State::Absent, State::Failing)
    }

    /// When it ended last.
    fn ended(&self) -> Option<Timestamp> {
        let ended = |state: &LiveState| state.terminated.as_ref()?.finished_at;
        ended(&self.state).or_else(|| ended(&self.last_state))
    }

    /// Since when the containers after it may start.
    fn passed(&self, is_sidecar: bool) -> Option<Timestamp> {
        match (&self.state.running, &self.state.terminated) {
            (Some(running), _) if is_sidecar && self.started == Some(true) => running.started_at,
            (_, Some(terminated)) if !is_sidecar && terminated.exit_code == 0 => terminated.finished_at,
            _ => None,
        }
    }
}

impl Sidecar {
    /// Our container of a live pod; `None` where it has none.
    pub(super) fn trim(spec: &LiveSpec, status: &LiveStatus) -> Option<Self> {
        let containers = &spec.init_containers;
        let index = containers.iter().position(|container| &*container.name == names::SIDECAR_CONTAINER)?;
        let own = find(status, &containers[index]);
        Some(Self {
            index,
            image: containers[index].image.clone().unwrap_or_default(),
            state: own.map_or(State::Absent, LiveInitStatus::state),
            restarts: own.map_or(0, |own| own.restart_count),
            awaited: own.and_then(|own| awaited(&containers[..index], own, status)),
        })
    }
}

fn find<'s>(status: &'s LiveStatus, container: &LiveContainer) -> Option<&'s LiveInitStatus> {
    status.init_container_statuses.iter().find(|found| found.name == container.name)
}

/// All of it is in the pod, so that a control plane that has just started comes to the same instant.
fn awaited(before: &[LiveContainer], own: &LiveInitStatus, status: &LiveStatus) -> Option<Timestamp> {
    let mut since = status.is_true("PodReadyToStartContainers")?.last_transition_time?;
    for container in before {
        let is_sidecar = container.restart_policy.as_deref() == Some("Always");
        since = since.max(find(status, container)?.passed(is_sidecar)?);
    }
    Some(own.ended().map_or(since, |ended| ended.max(since)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn trim(own: &Value, before: &Value) -> Sidecar {
        let spec = json!({"initContainers": [
            {"name": "migrate"},
            {"name": "mesh", "restartPolicy": "Always"},
            {"name": "kube-booster-warmup", "image": "localhost/sidecar:1", "restartPolicy": "Always"},
        ]});
        let statuses: Vec<Value> = before.as_array().unwrap().iter().cloned().chain([own.clone()]).collect();
        let status = json!({
            "conditions": [{"type": "PodReadyToStartContainers", "status": "True",
                "lastTransitionTime": "2026-01-01T00:00:10Z"}],
            "initContainerStatuses": statuses,
        });
        let (spec, status) = (serde_json::from_value(spec).unwrap(), serde_json::from_value(status).unwrap());
        Sidecar::trim(&spec, &status).unwrap()
    }

    fn own(state: &Value) -> Value {
        json!({"name": "kube-booster-warmup", "restartCount": 1, "state": state})
    }

    fn passed() -> Value {
        json!([
            {"name": "migrate", "state": {"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:00:30Z"}}},
            {"name": "mesh", "started": true, "state": {"running": {"startedAt": "2026-01-01T00:00:31Z"}}},
        ])
    }

    fn at(second: u32) -> Option<Timestamp> {
        format!("2026-01-01T00:00:{second:02}Z").parse().ok()
    }

    #[test]
    fn the_kubelets_errors_are_told_from_its_other_reasons() {
        let state = |reason: &str| trim(&own(&json!({"waiting": {"reason": reason}})), &passed()).state;
        for (reason, cause) in REASONS {
            assert_eq!(state(reason), State::Failing(Trouble { cause, reason }));
        }
        for reason in ["PodInitializing", "ContainerCreating", "<script>", ""] {
            assert_eq!(state(reason), State::Absent, "{reason}");
        }
        let running = own(&json!({"running": {"startedAt": "2026-01-01T00:00:40Z"}}));
        assert_eq!(trim(&running, &passed()).state, State::Running(at(40)));
    }

    #[test]
    fn it_is_awaited_once_all_before_it_have_done_their_part() {
        let waiting = || own(&json!({"waiting": {"reason": "PodInitializing"}}));
        let sidecar = trim(&waiting(), &passed());
        assert_eq!((sidecar.awaited, sidecar.index, sidecar.restarts), (at(31), 2, 1));
        let mut failed = passed();
        failed[0]["state"]["terminated"]["exitCode"] = 1.into();
        let mut starting = passed();
        starting[1]["started"] = false.into();
        for before in [failed, starting, json!([])] {
            assert_eq!(trim(&waiting(), &before).awaited, None);
        }
    }

    #[test]
    fn after_it_has_ended_it_is_awaited_anew() {
        let ended = json!({"exitCode": 137, "finishedAt": "2026-01-01T00:00:50Z"});
        assert_eq!(trim(&own(&json!({"terminated": ended})), &passed()).awaited, at(50));
        let mut again = own(&json!({"waiting": {"reason": "CrashLoopBackOff"}}));
        again["lastState"] = json!({"terminated": ended});
        assert_eq!(trim(&again, &passed()).awaited, at(50));
    }

    #[test]
    fn a_pod_without_our_container_or_without_a_sandbox_is_not_waited_for() {
        let ours = json!({"initContainers": [{"name": "kube-booster-warmup"}]});
        let status = LiveStatus::default();
        let sandbox = json!({"conditions": [{"type": "PodReadyToStartContainers", "status": "True",
            "lastTransitionTime": "2026-01-01T00:00:10Z"}]});
        assert_eq!(Sidecar::trim(&LiveSpec::default(), &status), None);
        let ours = serde_json::from_value(ours).unwrap();
        // A kubelet of another kind that says nothing of init containers is not taken at its silence.
        for status in [status, serde_json::from_value(sandbox).unwrap()] {
            let sidecar = Sidecar::trim(&ours, &status).unwrap();
            assert_eq!((sidecar.state, sidecar.awaited), (State::Absent, None));
        }
    }

    #[test]
    fn trouble_reads_as_a_clause_for_people() {
        let said: Vec<String> =
            REASONS.iter().filter_map(|(reason, _)| Trouble::known(reason)).map(|t| t.to_string()).collect();
        assert_eq!(said[0], "the image of container kube-booster-warmup cannot be pulled (ErrImagePull)");
        assert_eq!(said[12], "container kube-booster-warmup ends again and again (CrashLoopBackOff)");
        let silence = "container kube-booster-warmup was not started within a minute";
        assert_eq!(Trouble::SILENCE.to_string(), silence);
    }
}
