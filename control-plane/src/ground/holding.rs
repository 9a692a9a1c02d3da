//! The condition of a pod that is held: False, with what it waits for.

use jiff::Timestamp;
use proto::names;
use serde_json::{Value, json};

use super::{condition::status_body, observed::PodRef};

/// Why a gate is still closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The app has not answered for a while.
    WaitingForApp,
    /// The requests are being sent.
    WarmingUp,
}

impl Why {
    /// The condition's reason.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::WaitingForApp => "WaitingForApp",
            Self::WarmingUp => "WarmingUp",
        }
    }
}

/// A held pod, and what its condition is to say meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Which pod.
    pub pod: PodRef,
    /// The condition's reason.
    pub why: Why,
    /// The condition's message: one line for people.
    pub message: String,
    /// The condition's `lastTransitionTime`.
    pub since: Timestamp,
    /// Only this version of the pod may be changed: a gate that was opened meanwhile must not be closed again.
    pub resource_version: Box<str>,
}

impl Holding {
    /// The body of the apply to `pods/status`.
    #[must_use]
    pub fn body(&self) -> Value {
        let metadata = json!({
            "name": &*self.pod.name,
            "namespace": &*self.pod.namespace,
            "uid": &*self.pod.uid,
            "resourceVersion": &*self.resource_version,
        });
        let condition = json!({
            "type": names::CONDITION,
            "status": "False",
            "reason": self.why.reason(),
            "message": self.message,
        });
        status_body(&metadata, condition, self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_pod_is_changed_only_as_the_version_that_was_seen_to_be_held() {
        let pod = PodRef { namespace: "shop".into(), name: "web-1".into(), uid: "u1".into() };
        let (why, since) = (Why::WarmingUp, "2026-01-01T00:00:07.9Z".parse().unwrap());
        let holding =
            Holding { pod, why, message: "being warmed".to_owned(), since, resource_version: "7".into() };
        let body = holding.body();
        assert_eq!(
            (&body["metadata"]["resourceVersion"], &body["metadata"]["uid"]),
            (&json!("7"), &json!("u1"))
        );
        assert_eq!(body["metadata"].get("annotations"), None, "an apply would own and later remove them");
        let expected = json!({"type": "kube-booster.io/warmup-ready", "status": "False", "reason": "WarmingUp",
            "message": "being warmed", "lastTransitionTime": "2026-01-01T00:00:07Z"});
        assert_eq!(body["status"]["conditions"], json!([expected]));
    }
}
