//! When a gate opens without a report.

use std::time::Duration;

use jiff::Timestamp;

use super::observed::Observed;

/// After this long a running pod goes into service whatever we know of it.
const LONGEST_HOLD: Duration = Duration::from_mins(15);

/// The moment at which `observed` goes into service without a report; `None` while its app does not run yet.
///
/// It follows from the pod alone, so that every replica, and a restarted one, comes to the same instant. A plan that is
/// not readable gets no time but the `grace` period.
#[must_use]
pub fn deadline(observed: &Observed, grace: Duration) -> Option<Timestamp> {
    let planned = observed.planned.map_or(Duration::ZERO, |planned| planned.duration);
    let after =
        |start: Option<Timestamp>, wait: Duration| start.and_then(|start| start.checked_add(wait).ok());
    let by_plan = after(observed.containers_ready, planned.saturating_add(grace));
    let longest = after(observed.app_started, LONGEST_HOLD);
    by_plan.into_iter().chain(longest).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::observed::{Gate, Planned, PodRef};

    /// Seconds at which a pod opens whose app started and whose containers were ready at these seconds.
    fn opens(
        app_started: Option<i64>,
        containers_ready: Option<i64>,
        plan_seconds: Option<u64>,
    ) -> Option<i64> {
        let at = |second: Option<i64>| second.map(|second| Timestamp::from_second(second).unwrap());
        let observed = Observed {
            pod: PodRef { namespace: "a".into(), name: "b".into(), uid: "c".into() },
            node: None,
            resource_version: "1".into(),
            gate: Gate::Closed(None),
            planned: plan_seconds
                .map(|seconds| Planned { requests: 3, duration: Duration::from_secs(seconds) }),
            containers_ready: at(containers_ready),
            app_started: at(app_started),
            says_why: false,
            sidecar: None,
        };
        deadline(&observed, Duration::from_secs(30)).map(Timestamp::as_second)
    }

    #[test]
    fn a_deadline_is_containers_ready_plus_plan_plus_grace() {
        assert_eq!(opens(Some(90), Some(100), Some(40)), Some(170));
        assert_eq!(opens(None, Some(100), None), Some(130));
    }

    #[test]
    fn a_pod_is_held_for_fifteen_minutes_at_most() {
        assert_eq!(opens(Some(0), None, Some(40)), Some(900));
        assert_eq!(opens(Some(0), Some(880), Some(40)), Some(900));
    }

    #[test]
    fn a_pod_that_does_not_run_has_no_deadline() {
        assert_eq!(opens(None, None, Some(40)), None);
    }
}
