//! The one server-side apply that opens a gate and keeps the report.

use jiff::{Timestamp, ToSpan, Unit};
use proto::{
    names,
    report::{EndedBy, Reason, Record, Report},
};
use serde_json::{Value, json};

use super::observed::{Observed, PodRef, Trouble};

/// A gate to open, and what to write beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// Which pod.
    pub pod: PodRef,
    /// What its annotation is to hold; its reason is the condition's.
    pub record: Record,
    /// The condition's `lastTransitionTime`.
    pub transition: Timestamp,
    /// Whether the record goes into the pod's annotation; without it the condition alone may still be taken.
    pub keeps_record: bool,
    /// Only this version of the pod may be changed: a fail-open must not overwrite a result that it has not seen.
    pub resource_version: Option<Box<str>>,
}

impl Opening {
    /// Opens because of a report.
    #[must_use]
    pub fn by_report(pod: PodRef, report: Report, now: Timestamp) -> Self {
        let reason = if report.success { Reason::WarmupSucceeded } else { Reason::WarmupFailed };
        let record = Record::new(&*pod.uid, reason, report);
        Self { pod, record, transition: now, keeps_record: true, resource_version: None }
    }

    /// Opens because no report came until `deadline`.
    #[must_use]
    pub fn by_deadline(observed: &Observed, deadline: Timestamp) -> Self {
        Self::without_report(observed, deadline, NO_REPORT)
    }

    /// Opens, at `deadline`, a gate that the watch does not show.
    #[must_use]
    pub fn of_stray(observed: &Observed, deadline: Timestamp) -> Self {
        Self::without_report(observed, deadline, NOT_WATCHED)
    }

    fn without_report(observed: &Observed, deadline: Timestamp, why: &str) -> Self {
        let report = Report {
            started: observed.containers_ready.unwrap_or(deadline).into(),
            ..Report::without_requests(EndedBy::NoReport, deadline.into(), why)
        };
        Self {
            pod: observed.pod.clone(),
            record: Record::new(&*observed.pod.uid, Reason::WarmupTimedOut, report),
            transition: deadline,
            keeps_record: true,
            resource_version: Some(observed.resource_version.clone()),
        }
    }

    /// Opens because our container cannot run and was given the fallback image.
    #[must_use]
    pub fn without_sidecar(observed: &Observed, trouble: Trouble, now: Timestamp) -> Self {
        let message = format!("in service without a warm-up: {trouble}");
        let report = Report::without_requests(EndedBy::NoReport, now.into(), &message);
        let record = Record::new(&*observed.pod.uid, Reason::SidecarUnavailable, report);
        Self::again(observed, record, now)
    }

    /// Opens again what was open before and was closed by somebody else.
    #[must_use]
    pub fn again(observed: &Observed, record: Record, now: Timestamp) -> Self {
        Self {
            pod: observed.pod.clone(),
            record,
            transition: now,
            keeps_record: true,
            resource_version: Some(observed.resource_version.clone()),
        }
    }

    /// Whether a sidecar reported, so that it holds whatever else changes in the pod.
    #[must_use]
    pub fn is_by_report(&self) -> bool {
        self.resource_version.is_none()
    }

    /// The body of the apply to `pods/status`. A pod that was made again has another UID and refuses it.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut metadata = json!({
            "name": &*self.pod.name,
            "namespace": &*self.pod.namespace,
            "uid": &*self.pod.uid,
        });
        if self.keeps_record {
            metadata["annotations"] = json!({names::REPORT_ANNOTATION: self.record.to_annotation()});
        }
        if let Some(version) = &self.resource_version {
            metadata["resourceVersion"] = Value::String(version.to_string());
        }
        let condition = json!({
            "type": names::CONDITION,
            "status": "True",
            "reason": self.record.reason.to_string(),
            "message": self.message(),
        });
        status_body(&metadata, condition, self.transition)
    }

    /// The condition's message: one line for people.
    #[must_use]
    pub fn message(&self) -> String {
        let report = &self.record.report;
        match self.record.reason {
            Reason::WarmupFailed => format!("in service although the warm-up failed: {}", report.message),
            _ => report.message.clone(),
        }
    }
}

const NO_REPORT: &str = "in service without a warm-up report: none came before the deadline; \
    see the logs of container kube-booster-warmup";

const NOT_WATCHED: &str = "in service without a warm-up report: the pod has our readiness gate but not \
    label kube-booster.io/injected, so nobody waits for its warm-up";

/// An apply to `pods/status` of one `condition`, which has held since `transition`.
pub(super) fn status_body(metadata: &Value, mut condition: Value, transition: Timestamp) -> Value {
    condition["lastTransitionTime"] = Value::String(whole_seconds(transition).to_string());
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"conditions": [condition]}})
}

/// Kubernetes keeps times of conditions to the second.
fn whole_seconds(time: Timestamp) -> Timestamp {
    let subsecond = i64::from(time.subsec_nanosecond());
    time.checked_sub(subsecond.nanoseconds()).unwrap_or_else(|_| time.round(Unit::Second).unwrap_or(time))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use expect_test::expect;

    use super::*;
    use crate::ground::observed::{Cause, Gate};

    fn pod() -> PodRef {
        PodRef { namespace: "shop".into(), name: "web-1".into(), uid: "u1".into() }
    }

    fn observed() -> Observed {
        Observed {
            pod: pod(),
            node: None,
            resource_version: "7".into(),
            gate: Gate::Closed(None),
            planned: None,
            containers_ready: "2026-01-01T00:00:00Z".parse().ok(),
            app_started: None,
            says_why: false,
            sidecar: None,
        }
    }

    #[test]
    fn a_report_is_applied_with_the_pods_uid_and_whatever_version_it_has() {
        let report = Report {
            success: true,
            ..Report::without_requests(EndedBy::Count, UNIX_EPOCH, "12/12 requests")
        };
        let opening = Opening::by_report(pod(), report, "2026-01-01T00:00:07.9Z".parse().unwrap());
        expect![[r#"
            {
              "apiVersion": "v1",
              "kind": "Pod",
              "metadata": {
                "annotations": {
                  "kube-booster.io/warmup-report": "{\"version\":1,\"podUid\":\"u1\",\"reason\":\"WarmupSucceeded\",\"report\":{\"success\":true,\"endedBy\":\"count\",\"plannedCount\":0,\"requestCount\":0,\"failedCount\":0,\"connections\":0,\"started\":\"1970-01-01T00:00:00.000Z\",\"ended\":\"1970-01-01T00:00:00.000Z\",\"message\":\"12/12 requests\"}}"
                },
                "name": "web-1",
                "namespace": "shop",
                "uid": "u1"
              },
              "status": {
                "conditions": [
                  {
                    "lastTransitionTime": "2026-01-01T00:00:07Z",
                    "message": "12/12 requests",
                    "reason": "WarmupSucceeded",
                    "status": "True",
                    "type": "kube-booster.io/warmup-ready"
                  }
                ]
              }
            }"#]].assert_eq(&serde_json::to_string_pretty(&opening.body()).unwrap());
    }

    #[test]
    fn a_fail_open_is_applied_to_the_version_it_was_decided_on_and_says_so() {
        let opening = Opening::by_deadline(&observed(), "2026-01-01T00:01:00Z".parse().unwrap());
        let body = opening.body();
        assert_eq!(body["metadata"]["resourceVersion"], "7");
        let condition = &body["status"]["conditions"][0];
        assert_eq!((&condition["status"], &condition["reason"]), (&json!("True"), &json!("WarmupTimedOut")));
        assert_eq!(condition["lastTransitionTime"], "2026-01-01T00:01:00Z");
        let record =
            Record::of_pod("u1", body["metadata"]["annotations"][names::REPORT_ANNOTATION].as_str().unwrap());
        let report = record.unwrap().report;
        assert_eq!((report.ended_by, report.success), (EndedBy::NoReport, false));
        assert_eq!(report.elapsed(), Duration::from_mins(1));
    }

    #[test]
    fn a_pod_whose_sidecar_cannot_run_says_why() {
        let trouble = Trouble { cause: Cause::Pull, reason: "ErrImagePull" };
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        let opening = Opening::without_sidecar(&observed(), trouble, now);
        let message = "in service without a warm-up: \
                       the image of container kube-booster-warmup cannot be pulled (ErrImagePull)";
        assert_eq!((opening.message().as_str(), opening.resource_version.as_deref()), (message, Some("7")));
        let Record { reason, report, .. } = opening.record;
        assert_eq!((reason, report.ended_by), (Reason::SidecarUnavailable, EndedBy::NoReport));
    }

    #[test]
    fn a_failed_warm_up_says_that_the_pod_is_in_service_all_the_same() {
        let report = Report::without_requests(EndedBy::Count, UNIX_EPOCH, "0/3 requests succeeded: 3 x 503");
        let opening = Opening::by_report(pod(), report, Timestamp::UNIX_EPOCH);
        assert_eq!(opening.record.reason, Reason::WarmupFailed);
        let message = "in service although the warm-up failed: 0/3 requests succeeded: 3 x 503";
        assert_eq!(opening.message(), message);
    }
}
