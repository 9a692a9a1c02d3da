//! What the leading replica does for all.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Metrics;

#[derive(Debug, Default)]
pub(super) struct Leadership {
    leader: Gauge,
    missed: Family<NamespaceLabels, Gauge>,
    evictions: Family<ResultLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NamespaceLabels {
    namespace: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

impl Leadership {
    pub(super) fn register(all: &mut Registry) -> Self {
        let own = Self::default();
        all.register("leader", "Whether this replica leads", own.leader.clone());
        all.register(
            "pods_missed_injection",
            "Pods that ask for a warm-up and were created while the webhook did not answer; the leader's",
            own.missed.clone(),
        );
        all.register("evictions", "Evictions of missed pods, by what became of them", own.evictions.clone());
        own
    }
}

impl Metrics {
    /// Notes whether this replica leads.
    pub fn leads(&self, leads: bool) {
        self.families.leadership.leader.set(leads.into());
    }

    /// Notes the missed pods that a scan has found, by their namespaces: all of them, or none where nobody scans.
    pub fn missed_pods<'a>(&self, namespaces: impl IntoIterator<Item = &'a str>) {
        let missed = &self.families.leadership.missed;
        missed.clear();
        for namespace in namespaces {
            missed.get_or_create(&NamespaceLabels { namespace: namespace.to_owned() }).inc();
        }
    }

    /// Counts an eviction.
    pub fn count_eviction(&self, result: &'static str) {
        self.families.leadership.evictions.get_or_create(&ResultLabels { result }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn the_leader_counts_its_evictions() {
        let metrics = Metrics::default();
        metrics.leads(true);
        metrics.count_eviction("accepted");
        check(&metrics, &["kube_booster_leader 1", r#"kube_booster_evictions_total{result="accepted"} 1"#]);
    }

    #[test]
    fn a_pod_that_is_missed_no_more_counts_no_more() {
        let metrics = Metrics::default();
        metrics.missed_pods(["shop", "bar"]);
        metrics.missed_pods(["shop", "shop"]);
        check(&metrics, &[r#"kube_booster_pods_missed_injection{namespace="shop"} 2"#]);
        assert!(!metrics.encode().contains(r#"namespace="bar""#));
    }
}
