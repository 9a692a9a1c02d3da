//! What Prometheus can ask for.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use proto::report::{Quantiles, Reason, Report};

use crate::ground::injection::{Decision, Skip};

/// All families, as handles that the other modules move.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: std::sync::Arc<Registry>,
    warmups: Family<WarmupLabels, Counter>,
    warmup_requests: Family<NamespaceLabels, Counter>,
    warmup_duration: Family<NamespaceLabels, Histogram, fn() -> Histogram>,
    warmup_latency: Family<PhaseLabels, Histogram, fn() -> Histogram>,
    warmup_active: Family<ActiveLabels, Gauge>,
    gates_opened: Family<ReasonLabels, Counter>,
    injections: Family<InjectionLabels, Counter>,
    webhook_duration: Histogram,
    webhook_in_flight: Gauge,
    certificate_expiry: Gauge,
    calls_refused: Family<RefusalLabels, Counter>,
    tokens_checked: Family<CheckLabels, Counter>,
    report_watchers: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NamespaceLabels {
    namespace: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WarmupLabels {
    namespace: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    namespace: String,
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActiveLabels {
    namespace: String,
    node: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    by: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InjectionLabels {
    result: &'static str,
    reason: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        // 100 µs to 3.3 s, and 0.25 s to 8.5 min.
        let latency: fn() -> Histogram = || Histogram::new(exponential_buckets(1e-4, 2.0, 16));
        let duration: fn() -> Histogram = || Histogram::new(exponential_buckets(0.25, 2.0, 12));
        let mut metrics = Self {
            registry: std::sync::Arc::default(),
            warmups: Family::default(),
            warmup_requests: Family::default(),
            warmup_duration: Family::new_with_constructor(duration),
            warmup_latency: Family::new_with_constructor(latency),
            warmup_active: Family::default(),
            gates_opened: Family::default(),
            injections: Family::default(),
            webhook_duration: latency(),
            webhook_in_flight: Gauge::default(),
            certificate_expiry: Gauge::default(),
            calls_refused: Family::default(),
            tokens_checked: Family::default(),
            report_watchers: Gauge::default(),
        };
        metrics.registry = std::sync::Arc::new(metrics.registered());
        metrics
    }
}

impl Metrics {
    fn registered(&self) -> Registry {
        let mut all = Registry::with_prefix("kube_booster");
        all.register("warmup", "Warm-ups that ended, by result", self.warmups.clone());
        all.register("warmup_requests", "Warm-up requests that were completed", self.warmup_requests.clone());
        all.register_with_unit(
            "warmup_duration",
            "From the first to the last request of a warm-up",
            Unit::Seconds,
            self.warmup_duration.clone(),
        );
        all.register_with_unit(
            "warmup_latency",
            "Median response time of a warm-up's first (cold) and last (warm) tenth",
            Unit::Seconds,
            self.warmup_latency.clone(),
        );
        all.register("warmup_active_pods", "Pods that are being warmed", self.warmup_active.clone());
        all.register(
            "gate_opened",
            "Gates that were opened, by the condition's reason",
            self.gates_opened.clone(),
        );
        all.register(
            "injections",
            "Pods that asked for a warm-up, by what became of them",
            self.injections.clone(),
        );
        all.register_with_unit(
            "webhook_request_duration",
            "From a review's last byte to the answer",
            Unit::Seconds,
            self.webhook_duration.clone(),
        );
        all.register("webhook_in_flight", "Reviews that are being answered", self.webhook_in_flight.clone());
        all.register(
            "certificate_expiry_timestamp_seconds",
            "When the serving certificate expires",
            self.certificate_expiry.clone(),
        );
        self.register_reports(&mut all);
        all
    }

    fn register_reports(&self, all: &mut Registry) {
        let refused = self.calls_refused.clone();
        all.register("report_calls_refused", "Calls of the report server that were turned away", refused);
        let checked = self.tokens_checked.clone();
        all.register("token_checks", "Sidecars' tokens that were checked, by what told", checked);
        all.register("report_watchers", "Streams of WatchReports", self.report_watchers.clone());
    }

    /// The text form of all families (`OpenMetrics` 1.0).
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        // Writing into a String cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }

    /// Counts what became of a reviewed pod; pods that do not ask for a warm-up are not counted.
    pub fn count_decision(&self, decision: &Decision) {
        let (result, reason) = match decision {
            Decision::NotAsked => return,
            Decision::Injected { operations, .. } if operations.is_empty() => return,
            Decision::Injected { .. } => ("injected", ""),
            Decision::Skipped { reason, .. } => ("skipped", Skip::label(*reason)),
        };
        self.injections.get_or_create(&InjectionLabels { result, reason }).inc();
    }

    /// Counts a review that could not be decided.
    pub fn count_failed_decision(&self) {
        self.injections.get_or_create(&InjectionLabels { result: "error", reason: "internal" }).inc();
    }

    /// Notes that a review came in; the guard notes that it is answered.
    #[must_use]
    pub fn review(&self) -> impl Drop + use<> {
        self.webhook_in_flight.inc();
        InFlight { metrics: self.clone(), start: std::time::Instant::now() }
    }

    /// Notes that a pod's warm-up has begun.
    pub fn warmup_began(&self, namespace: &str, node: Option<&str>) {
        self.warmup_active.get_or_create(&active(namespace, node)).inc();
    }

    /// Notes that an active warm-up has ended, however.
    pub fn warmup_ended(&self, namespace: &str, node: Option<&str>) {
        self.warmup_active.get_or_create(&active(namespace, node)).dec();
    }

    /// Counts a gate that was opened, and the warm-up behind it.
    pub fn gate_opened(&self, namespace: &str, reason: Reason, report: &Report) {
        self.gates_opened.get_or_create(&ReasonLabels { reason: reason.to_string() }).inc();
        let result = match reason {
            Reason::WarmupSucceeded => "success",
            Reason::WarmupFailed => "failure",
            Reason::WarmupTimedOut => "timeout",
            Reason::SidecarUnavailable => "unavailable",
            Reason::Released => return,
        };
        let namespace = namespace.to_owned();
        self.warmups.get_or_create(&WarmupLabels { namespace: namespace.clone(), result }).inc();
        if report.request_count > 0 {
            self.observe_report(&NamespaceLabels { namespace }, report);
        }
    }

    fn observe_report(&self, labels: &NamespaceLabels, report: &Report) {
        self.warmup_requests.get_or_create(labels).inc_by(report.request_count.into());
        self.warmup_duration.get_or_create(labels).observe(report.elapsed().as_secs_f64());
        for (phase, quantiles) in [("cold", report.cold), ("warm", report.warm)] {
            if let Some(Quantiles { p50, .. }) = quantiles {
                let labels = PhaseLabels { namespace: labels.namespace.clone(), phase };
                self.warmup_latency.get_or_create(&labels).observe(p50.as_secs_f64());
            }
        }
    }

    /// Counts a call of the report server that was turned away.
    pub fn call_refused(&self, reason: &'static str) {
        self.calls_refused.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// Counts a sidecar's token that was checked, by what told: the cluster's `keys`, a `review`, or one `recalled`.
    pub fn token_checked(&self, by: &'static str) {
        self.tokens_checked.get_or_create(&CheckLabels { by }).inc();
    }

    /// Notes a stream of reports; the guard notes its end.
    #[must_use]
    pub fn report_watcher(&self) -> impl Drop + Send + Sync + use<> {
        self.report_watchers.inc();
        Watching(self.report_watchers.clone())
    }

    /// Notes when the serving certificate expires, in seconds since 1970.
    pub fn certificate_expires(&self, at: i64) {
        self.certificate_expiry.set(at);
    }
}

fn active(namespace: &str, node: Option<&str>) -> ActiveLabels {
    ActiveLabels { namespace: namespace.to_owned(), node: node.unwrap_or_default().to_owned() }
}

struct Watching(Gauge);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.dec();
    }
}

struct InFlight {
    metrics: Metrics,
    start: std::time::Instant,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let took: Duration = self.start.elapsed();
        self.metrics.webhook_duration.observe(took.as_secs_f64());
        self.metrics.webhook_in_flight.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proto::report::EndedBy;

    use super::*;

    #[test]
    fn names_are_the_documented_ones() {
        let metrics = Metrics::default();
        let quantiles = Some(Quantiles { p50: Duration::from_millis(2), p99: Duration::from_millis(9) });
        let report = Report {
            request_count: 12,
            cold: quantiles,
            warm: quantiles,
            ..Report::without_requests(EndedBy::Count, UNIX_EPOCH, "")
        };
        metrics.gate_opened("shop", Reason::WarmupSucceeded, &report);
        metrics.warmup_began("shop", Some("n1"));
        metrics.count_decision(&Decision::Skipped { reason: Skip::Job, warnings: Vec::new() });
        drop(metrics.review());
        metrics.call_refused("expired");
        metrics.token_checked("keys");
        drop(metrics.report_watcher());
        let text = metrics.encode();
        for line in [
            r#"kube_booster_warmup_total{namespace="shop",result="success"} 1"#,
            r#"kube_booster_warmup_requests_total{namespace="shop"} 12"#,
            r#"kube_booster_warmup_duration_seconds_count{namespace="shop"} 1"#,
            r#"kube_booster_warmup_latency_seconds_count{namespace="shop",phase="cold"} 1"#,
            r#"kube_booster_warmup_active_pods{namespace="shop",node="n1"} 1"#,
            r#"kube_booster_gate_opened_total{reason="WarmupSucceeded"} 1"#,
            r#"kube_booster_injections_total{result="skipped",reason="job"} 1"#,
            "kube_booster_webhook_request_duration_seconds_count 1",
            "kube_booster_webhook_in_flight 0",
            "kube_booster_certificate_expiry_timestamp_seconds 0",
            r#"kube_booster_report_calls_refused_total{reason="expired"} 1"#,
            r#"kube_booster_token_checks_total{by="keys"} 1"#,
            "kube_booster_report_watchers 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
