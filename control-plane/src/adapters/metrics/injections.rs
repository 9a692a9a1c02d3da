//! What became of the pods that asked for a warm-up.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{Metrics, show};
use crate::ground::injection::{Decision, Skip};

#[derive(Debug, Default)]
pub(super) struct Injections {
    decided: Family<DecisionLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    result: &'static str,
    reason: &'static str,
}

impl Injections {
    pub(super) fn register(all: &mut Registry) -> Self {
        let own = Self::default();
        all.register(
            "injections",
            "Pods that asked for a warm-up, by what became of them",
            own.decided.clone(),
        );
        for (result, reason) in [("injected", ""), ("error", "internal")] {
            show(&own.decided, &DecisionLabels { result, reason });
        }
        own
    }

    fn count(&self, result: &'static str, reason: &'static str) {
        self.decided.get_or_create(&DecisionLabels { result, reason }).inc();
    }
}

impl Metrics {
    /// Counts what became of a reviewed pod; pods that do not ask for a warm-up are not counted.
    pub fn count_decision(&self, decision: &Decision) {
        match decision {
            Decision::NotAsked => {}
            Decision::Injected { operations, .. } if operations.is_empty() => {}
            Decision::Injected { .. } => self.families.injections.count("injected", ""),
            Decision::Skipped { reason, .. } => {
                self.families.injections.count("skipped", Skip::label(*reason));
            }
        }
    }

    /// Counts a review that could not be decided.
    pub fn count_failed_decision(&self) {
        self.families.injections.count("error", "internal");
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn a_pod_that_asks_is_counted_by_what_became_of_it() {
        let metrics = Metrics::default();
        metrics.count_decision(&Decision::NotAsked);
        metrics.count_decision(&Decision::Skipped { reason: Skip::Job, warnings: Vec::new() });
        metrics.count_failed_decision();
        check(
            &metrics,
            &[
                r#"kube_booster_injections_total{result="skipped",reason="job"} 1"#,
                r#"kube_booster_injections_total{result="error",reason="internal"} 1"#,
            ],
        );
        check(&metrics, &[r#"kube_booster_injections_total{result="injected",reason=""} 0"#]);
        assert_eq!(metrics.encode().matches("kube_booster_injections_total{").count(), 3);
    }
}
