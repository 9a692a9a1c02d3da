//! A labelled pod as the watch shows it, trimmed to what the gate needs.

mod sidecar;

use std::{fmt, time::Duration};

use jiff::Timestamp;
use proto::{names, plan::Plan, report::Record};
use serde::Deserialize;
use sidecar::LiveInitStatus;
pub use sidecar::{Cause, Sidecar, State, Trouble};

/// One incarnation of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodRef {
    /// `metadata.namespace`
    pub namespace: Box<str>,
    /// `metadata.name`
    pub name: Box<str>,
    /// `metadata.uid`
    pub uid: Box<str>,
}

impl fmt::Display for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What the gate needs to know of a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Which pod.
    pub pod: PodRef,
    /// Where it runs, once it is scheduled.
    pub node: Option<Box<str>>,
    /// `metadata.resourceVersion`
    pub resource_version: Box<str>,
    /// How its gate stands.
    pub gate: Gate,
    /// What its plan asks for; `None` where the plan is not readable.
    pub planned: Option<Planned>,
    /// When all its containers were ready.
    pub containers_ready: Option<Timestamp>,
    /// When the first of its app's containers started to run.
    pub app_started: Option<Timestamp>,
    /// Whether the pod has our condition, so that people see why it is held.
    pub says_why: bool,
    /// Our own container; `None` where the pod has none.
    pub sidecar: Option<Box<Sidecar>>,
}

/// What a plan asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Requests
    pub requests: u32,
    /// The time that they take at most to be sent
    pub duration: Duration,
}

impl From<&Plan> for Planned {
    fn from(plan: &Plan) -> Self {
        Self { requests: plan.request_count(), duration: plan.shape.duration() }
    }
}

/// How a pod's gate stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    /// There is none, or the pod has ended: nothing to open.
    Absent,
    /// Closed; with the record of this pod's warm-up where an earlier opening was undone.
    Closed(Option<Box<Record>>),
    /// Open.
    Open,
}

/// `spec` of a live pod, as far as it is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveSpec {
    node_name: Option<Box<str>>,
    #[serde(default)]
    init_containers: Vec<LiveContainer>,
    #[serde(default)]
    readiness_gates: Vec<LiveGate>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LiveContainer {
    name: Box<str>,
    image: Option<Box<str>>,
    restart_policy: Option<Box<str>>,
    #[serde(default)]
    env: Vec<LiveVariable>,
}

#[derive(Debug, Clone, Deserialize)]
struct LiveVariable {
    name: Box<str>,
    value: Option<Box<str>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LiveGate {
    condition_type: Box<str>,
}

/// `status` of a live pod, as far as it is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveStatus {
    phase: Option<Box<str>>,
    #[serde(default)]
    conditions: Vec<LiveCondition>,
    #[serde(default)]
    container_statuses: Vec<LiveContainerStatus>,
    #[serde(default)]
    init_container_statuses: Vec<LiveInitStatus>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LiveCondition {
    r#type: Box<str>,
    status: Box<str>,
    last_transition_time: Option<Timestamp>,
}

#[derive(Debug, Clone, Deserialize)]
struct LiveContainerStatus {
    #[serde(default)]
    state: LiveState,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct LiveState {
    running: Option<LiveRunning>,
    waiting: Option<LiveWaiting>,
    terminated: Option<LiveTerminated>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LiveRunning {
    started_at: Option<Timestamp>,
}

impl LiveSpec {
    /// Whether our gate is among the pod's.
    #[must_use]
    pub fn has_gate(&self) -> bool {
        self.readiness_gates.iter().any(|gate| &*gate.condition_type == names::CONDITION)
    }

    /// Whether our container is among the pod's.
    #[must_use]
    pub fn has_sidecar(&self) -> bool {
        self.init_containers.iter().any(|container| &*container.name == names::SIDECAR_CONTAINER)
    }
}

#[derive(Debug, Clone, Deserialize)]
struct LiveWaiting {
    reason: Option<Box<str>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LiveTerminated {
    #[serde(default)]
    exit_code: i32,
    finished_at: Option<Timestamp>,
}

impl LiveStatus {
    /// Whether all containers have ended for good.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    fn is_true(&self, condition: &str) -> Option<&LiveCondition> {
        self.conditions.iter().find(|held| &*held.r#type == condition && &*held.status == "True")
    }
}

impl Observed {
    /// Trims a live pod; `annotation` is the pod's report annotation.
    #[must_use]
    pub fn trim(
        pod: PodRef,
        resource_version: Box<str>,
        annotation: Option<&str>,
        spec: LiveSpec,
        status: &LiveStatus,
    ) -> Self {
        let started = |container: &LiveContainerStatus| container.state.running.as_ref()?.started_at;
        Self {
            gate: gate(&pod, annotation, &spec, status),
            pod,
            resource_version,
            planned: plan(&spec).as_ref().map(Planned::from),
            sidecar: Sidecar::trim(&spec, status).map(Box::new),
            node: spec.node_name,
            containers_ready: status.is_true("ContainersReady").and_then(|ready| ready.last_transition_time),
            app_started: status.container_statuses.iter().filter_map(started).min(),
            says_why: status.conditions.iter().any(|held| &*held.r#type == names::CONDITION),
        }
    }
}

fn gate(pod: &PodRef, annotation: Option<&str>, spec: &LiveSpec, status: &LiveStatus) -> Gate {
    if !spec.has_gate() || status.has_ended() {
        return Gate::Absent;
    }
    if status.is_true(names::CONDITION).is_some() {
        return Gate::Open;
    }
    Gate::Closed(annotation.and_then(|annotation| Record::of_pod(&pod.uid, annotation)).map(Box::new))
}

/// The plan from the container's environment, which nobody can change after admission (annotations they can).
fn plan(spec: &LiveSpec) -> Option<Plan> {
    let sidecar =
        spec.init_containers.iter().find(|container| &*container.name == names::SIDECAR_CONTAINER)?;
    let variable = sidecar.env.iter().find(|variable| &*variable.name == names::PLAN_ENV)?;
    Plan::from_env_value(variable.value.as_deref()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proto::report::{EndedBy, Reason, Report};
    use serde_json::{Value, json};

    use super::*;

    fn trim(annotation: Option<&str>, spec: Value, status: Value) -> Observed {
        let pod = PodRef { namespace: "shop".into(), name: "web-1".into(), uid: "u1".into() };
        let spec = serde_json::from_value(spec).unwrap();
        Observed::trim(pod, "7".into(), annotation, spec, &serde_json::from_value(status).unwrap())
    }

    /// How long the requests of `plan` take at most, as the gate knows it.
    fn planned(plan: &str) -> Option<Duration> {
        let spec = json!({"initContainers": [
            {"name": "kube-booster-warmup", "env": [{"name": "KUBE_BOOSTER_PLAN", "value": plan}]}]});
        trim(None, spec, json!({})).planned.map(|planned| planned.duration)
    }

    fn gated() -> Value {
        json!({"readinessGates": [{"conditionType": "kube-booster.io/warmup-ready"}]})
    }

    #[test]
    fn a_pod_without_our_gate_or_one_that_has_ended_is_nobodys_business() {
        assert_eq!(trim(None, json!({}), json!({})).gate, Gate::Absent);
        assert_eq!(trim(None, gated(), json!({"phase": "Succeeded"})).gate, Gate::Absent);
    }

    #[test]
    fn the_gate_is_open_only_when_the_condition_is_true() {
        let condition = |status: &str| json!({"conditions": [{"type": "kube-booster.io/warmup-ready", "status": status}]});
        assert_eq!(trim(None, gated(), json!({})).gate, Gate::Closed(None));
        assert_eq!(trim(None, gated(), condition("False")).gate, Gate::Closed(None));
        assert_eq!(trim(None, gated(), condition("True")).gate, Gate::Open);
    }

    #[test]
    fn a_closed_gate_remembers_this_pods_record_only() {
        let report = Report::without_requests(EndedBy::NoReport, UNIX_EPOCH, "");
        let record = Record::new("u1", Reason::WarmupTimedOut, report);
        let own = record.to_annotation();
        assert_eq!(trim(Some(&own), gated(), json!({})).gate, Gate::Closed(Some(Box::new(record.clone()))));
        let copied = Record { pod_uid: "u0".to_owned(), ..record }.to_annotation();
        assert_eq!(trim(Some(&copied), gated(), json!({})).gate, Gate::Closed(None));
    }

    #[test]
    fn times_and_plan_are_read_from_the_pod() {
        let plan = r#"{"version":1,"traceId":"","port":1,"steps":[{"requests":[{"path":"/$$"}],"count":1}],
            "shape":{"paced":{"durationMs":2000}},"limits":{"concurrency":1,"successThreshold":0.5},
            "wait":{"tcpSocket":{"port":1}}}"#;
        let spec = json!({"nodeName": "n1", "initContainers": [
            {"name": "kube-booster-warmup", "env": [{"name": "KUBE_BOOSTER_PLAN", "value": plan}]}]});
        let status = json!({
            "conditions": [{"type": "ContainersReady", "status": "True", "lastTransitionTime": "2026-01-01T00:00:05Z"}],
            "containerStatuses": [{"state": {"running": {"startedAt": "2026-01-01T00:00:02Z"}}},
                                  {"state": {"waiting": {"reason": "x"}}}, {}]});
        let observed = trim(None, spec, status);
        assert_eq!(observed.planned, Some(Planned { requests: 1, duration: Duration::from_secs(2) }));
        let (paced, limited) = (r#"{"paced":{"durationMs":2000}}"#, r#"{"backToBack":{"timeoutMs":20000}}"#);
        assert_eq!(planned(&plan.replace(paced, limited)), Some(Duration::from_secs(20)));
        assert_eq!(observed.containers_ready, Some("2026-01-01T00:00:05Z".parse().unwrap()));
        assert_eq!(observed.app_started, Some("2026-01-01T00:00:02Z".parse().unwrap()));
        assert_eq!(observed.node.as_deref(), Some("n1"));
    }
}
