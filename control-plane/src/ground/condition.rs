//! The one server-side apply that opens a gate and keeps the report.

use jiff::{Timestamp, ToSpan, Unit};
use proto::{
    names,
    report::{EndedBy, Reason, Record, Report},
};
use serde_json::{Value, json};

use super::observed::{Observed, PodRef};

/// A gate to open, and what to write beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// Which pod.
    pub pod: PodRef,
    /// What its annotation is to hold; its reason is the condition's.
    pub record: Record,
    /// The condition's `lastTransitionTime`.
    pub transition: Timestamp,
    /// Only this version of the pod may be changed: a fail-open must not overwrite a result that it has not seen.
    pub resource_version: Option<Box<str>>,
}

impl Opening {
    /// Opens because of a report.
    #[must_use]
    pub fn by_report(pod: PodRef, report: Report, now: Timestamp) -> Self {
        let reason = if report.success { Reason::WarmupSucceeded } else { Reason::WarmupFailed };
        let record = Record::new(&*pod.uid, reason, report);
        Self { pod, record, transition: now, resource_version: None }
    }

    /// Opens because no report came until `deadline`.
    #[must_use]
    pub fn by_deadline(observed: &Observed, deadline: Timestamp) -> Self {
        let report = Report {
            started: observed.containers_ready.unwrap_or(deadline).into(),
            ..Report::without_requests(EndedBy::NoReport, deadline.into(), NO_REPORT)
        };
        Self {
            pod: observed.pod.clone(),
            record: Record::new(&*observed.pod.uid, Reason::WarmupTimedOut, report),
            transition: deadline,
            resource_version: Some(observed.resource_version.clone()),
        }
    }

    /// Opens again what was open before and was closed by somebody else.
    #[must_use]
    pub fn again(observed: &Observed, record: Record, now: Timestamp) -> Self {
        Self {
            pod: observed.pod.clone(),
            record,
            transition: now,
            resource_version: Some(observed.resource_version.clone()),
        }
    }

    /// The body of the apply to `pods/status`. A pod that was made again has another UID and refuses it.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut metadata = json!({
            "name": &*self.pod.name,
            "namespace": &*self.pod.namespace,
            "uid": &*self.pod.uid,
            "annotations": {names::REPORT_ANNOTATION: self.record.to_annotation()},
        });
        if let Some(version) = &self.resource_version {
            metadata["resourceVersion"] = Value::String(version.to_string());
        }
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "status": {"conditions": [{
                "type": names::CONDITION,
                "status": "True",
                "reason": self.record.reason.to_string(),
                "message": self.message(),
                "lastTransitionTime": whole_seconds(self.transition).to_string(),
            }]},
        })
    }

    /// The condition's message: one line for people.
    #[must_use]
    pub fn message(&self) -> String {
        let report = &self.record.report;
        match self.record.reason {
            Reason::WarmupSucceeded => report.message.clone(),
            Reason::WarmupTimedOut | Reason::SidecarUnavailable | Reason::Released => report.message.clone(),
            Reason::WarmupFailed => format!("in service although the warm-up failed: {}", report.message),
        }
    }
}

const NO_REPORT: &str = "in service without a warm-up report: none came before the deadline; \
    see the logs of container kube-booster-warmup";

/// Kubernetes keeps times of conditions to the second.
fn whole_seconds(time: Timestamp) -> Timestamp {
    let subsecond = i64::from(time.subsec_nanosecond());
    time.checked_sub(subsecond.nanoseconds()).unwrap_or_else(|_| time.round(Unit::Second).unwrap_or(time))
}
