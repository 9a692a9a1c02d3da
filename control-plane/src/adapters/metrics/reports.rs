//! Calls of the report server.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Metrics;

#[derive(Debug, Default)]
pub(super) struct Reports {
    calls_refused: Family<RefusalLabels, Counter>,
    tokens_checked: Family<CheckLabels, Counter>,
    watchers: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    by: &'static str,
}

impl Reports {
    pub(super) fn register(all: &mut Registry) -> Self {
        let own = Self::default();
        all.register(
            "report_calls_refused",
            "Calls of the report server that were turned away",
            own.calls_refused.clone(),
        );
        all.register(
            "token_checks",
            "Sidecars' tokens that were checked, by what told",
            own.tokens_checked.clone(),
        );
        all.register("report_watchers", "Streams of WatchReports", own.watchers.clone());
        own
    }
}

impl Metrics {
    /// Counts a call of the report server that was turned away.
    pub fn call_refused(&self, reason: &'static str) {
        self.families.reports.calls_refused.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// Counts a sidecar's token that was checked, by what told: the cluster's `keys`, a `review`, or one `recalled`.
    pub fn token_checked(&self, by: &'static str) {
        self.families.reports.tokens_checked.get_or_create(&CheckLabels { by }).inc();
    }

    /// Notes a stream of reports; the guard notes its end.
    #[must_use]
    pub fn report_watcher(&self) -> impl Drop + Send + Sync + use<> {
        let watchers = &self.families.reports.watchers;
        watchers.inc();
        Watching(watchers.clone())
    }
}

struct Watching(Gauge);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn a_call_is_counted_by_what_became_of_its_token() {
        let metrics = Metrics::default();
        metrics.call_refused("expired");
        metrics.token_checked("keys");
        check(
            &metrics,
            &[
                r#"kube_booster_report_calls_refused_total{reason="expired"} 1"#,
                r#"kube_booster_token_checks_total{by="keys"} 1"#,
            ],
        );
    }

    #[test]
    fn a_watcher_is_counted_until_its_stream_ends() {
        let metrics = Metrics::default();
        let watcher = metrics.report_watcher();
        check(&metrics, &["kube_booster_report_watchers 1"]);
        drop(watcher);
        check(&metrics, &["kube_booster_report_watchers 0"]);
    }
}
