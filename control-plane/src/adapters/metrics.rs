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

use crate::ground::{
    injection::{Decision, Skip},
    observed::Cause,
    pauses::Barriers,
};

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
    sidecar_exchanges: Family<ExchangeLabels, Counter>,
    paused_namespaces: Gauge,
    paused_everywhere: Gauge,
    webhook_duration: Histogram,
    webhook_in_flight: Gauge,
    webhook_queue_length: Gauge,
    webhook_queue_wait: Histogram,
    webhook_shed: Counter,
    webhook_refused: Family<RefusalLabels, Counter>,
    connections_closed: Family<ConnectionLabels, Counter>,
    leader: Gauge,
    missed: Family<NamespaceLabels, Gauge>,
    evictions: Family<ResultLabels, Counter>,
    certificate_expiry: Family<CertificateLabels, Gauge>,
    certificate_failures: Family<FailureLabels, Counter>,
    self_check_failures: Counter,
    calls_refused: Family<RefusalLabels, Counter>,
    tokens_checked: Family<CheckLabels, Counter>,
    report_watchers: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabels {
    server: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    certificate: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExchangeLabels {
    cause: &'static str,
    result: &'static str,
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
            sidecar_exchanges: Family::default(),
            paused_namespaces: Gauge::default(),
            paused_everywhere: Gauge::default(),
            webhook_duration: latency(),
            webhook_in_flight: Gauge::default(),
            webhook_queue_length: Gauge::default(),
            webhook_queue_wait: latency(),
            webhook_shed: Counter::default(),
            webhook_refused: Family::default(),
            connections_closed: Family::default(),
            leader: Gauge::default(),
            missed: Family::default(),
            evictions: Family::default(),
            certificate_expiry: Family::default(),
            certificate_failures: Family::default(),
            self_check_failures: Counter::default(),
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
            "When the serving certificate, or its CA, expires",
            self.certificate_expiry.clone(),
        );
        self.register_leaders(&mut all);
        self.register_refusals(&mut all);
        self.register_fallbacks(&mut all);
        self.register_reports(&mut all);
        all.register(
            "certificate_failures",
            "Looks at certificates that ended in an error, by what was looked at",
            self.certificate_failures.clone(),
        );
        all.register(
            "self_check_failures",
            "Reviews of our own that our webhook did not answer as the API server needs it",
            self.self_check_failures.clone(),
        );
        all
    }

    fn register_leaders(&self, all: &mut Registry) {
        all.register("leader", "Whether this replica leads", self.leader.clone());
        all.register(
            "pods_missed_injection",
            "Pods that ask for a warm-up and were created while the webhook did not answer; the leader's",
            self.missed.clone(),
        );
        all.register("evictions", "Evictions of missed pods, by what became of them", self.evictions.clone());
    }

    fn register_refusals(&self, all: &mut Registry) {
        all.register(
            "webhook_queue_length",
            "Reviews that wait for a slot",
            self.webhook_queue_length.clone(),
        );
        all.register_with_unit(
            "webhook_queue_wait",
            "How long reviews waited for a slot, those that found one free left out",
            Unit::Seconds,
            self.webhook_queue_wait.clone(),
        );
        all.register(
            "webhook_shed",
            "Reviews that were sent back with status 429, to be tried again",
            self.webhook_shed.clone(),
        );
        all.register(
            "webhook_refused",
            "Requests to the webhook that were no reviews, by reason",
            self.webhook_refused.clone(),
        );
        all.register(
            "connections_closed",
            "Connections that a server closed by itself, by reason",
            self.connections_closed.clone(),
        );
    }

    fn register_fallbacks(&self, all: &mut Registry) {
        all.register(
            "sidecar_exchanges",
            "Sidecars that did not run, by what kept them from it and what became of the exchange of their image",
            self.sidecar_exchanges.clone(),
        );
        all.register(
            "injection_paused_namespaces",
            "Namespaces in which injection is paused, because sidecars did not run there",
            self.paused_namespaces.clone(),
        );
        all.register(
            "injection_paused_everywhere",
            "Whether injection is paused in all namespaces, because the sidecar's image cannot be pulled",
            self.paused_everywhere.clone(),
        );
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

    /// Counts a sidecar that did not run: `result` is `exchanged`, `refused`, `failed`, or `no_image` where there is no
    /// fallback image.
    pub fn count_exchange(&self, cause: Cause, result: &'static str) {
        self.sidecar_exchanges.get_or_create(&ExchangeLabels { cause: cause.label(), result }).inc();
    }

    /// Notes where injection is paused.
    pub fn injection_paused(&self, barriers: &Barriers) {
        self.paused_namespaces.set(i64::try_from(barriers.paused_namespaces()).unwrap_or(i64::MAX));
        self.paused_everywhere.set(barriers.is_everywhere().into());
    }

    /// Notes that a review came in; the guard notes that it is answered.
    #[must_use]
    pub fn review(&self) -> impl Drop + use<> {
        self.webhook_in_flight.inc();
        InFlight { metrics: self.clone(), start: std::time::Instant::now() }
    }

    /// Notes that a review waits for a slot; the guard notes that it does no longer.
    #[must_use]
    pub fn queued(&self) -> impl Drop + use<> {
        self.webhook_queue_length.inc();
        Queued { metrics: self.clone(), start: std::time::Instant::now() }
    }

    /// Counts a review that was sent back to be tried again.
    pub fn count_shed(&self) {
        self.webhook_shed.inc();
    }

    /// Counts a request to the webhook that was no review.
    pub fn count_refused(&self, reason: &'static str) {
        self.webhook_refused.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// Counts a connection that `server` closed by itself.
    pub fn connection_closed(&self, server: &'static str, reason: &'static str) {
        self.connections_closed.get_or_create(&ConnectionLabels { server, reason }).inc();
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

    /// Notes whether this replica leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Notes the missed pods that a scan has found, by their namespaces: all of them, or none where nobody scans.
    pub fn missed_pods<'a>(&self, namespaces: impl IntoIterator<Item = &'a str>) {
        self.missed.clear();
        for namespace in namespaces {
            self.missed.get_or_create(&NamespaceLabels { namespace: namespace.to_owned() }).inc();
        }
    }

    /// Counts an eviction.
    pub fn count_eviction(&self, result: &'static str) {
        self.evictions.get_or_create(&ResultLabels { result }).inc();
    }

    /// Notes when `certificate` (`serving` or `ca`) expires, in seconds since 1970.
    pub fn certificate_expires(&self, certificate: &'static str, at: i64) {
        self.certificate_expiry.get_or_create(&CertificateLabels { certificate }).set(at);
    }

    /// Counts a look at `what` that ended in an error.
    pub fn certificate_failed(&self, what: &'static str) {
        self.certificate_failures.get_or_create(&FailureLabels { what }).inc();
    }

    /// Counts a review of our own that was not answered as it should be.
    pub fn self_check_failed(&self) {
        self.self_check_failures.inc();
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

struct Queued {
    metrics: Metrics,
    start: std::time::Instant,
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.metrics.webhook_queue_wait.observe(self.start.elapsed().as_secs_f64());
        self.metrics.webhook_queue_length.dec();
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
        metrics.leads(true);
        metrics.missed_pods(["shop", "bar"]);
        metrics.missed_pods(["shop", "shop"]);
        metrics.count_eviction("accepted");
        drop((metrics.review(), metrics.queued()));
        metrics.count_shed();
        metrics.count_refused("media_type");
        metrics.connection_closed("webhook", "idle");
        metrics.count_exchange(Cause::Pull, "exchanged");
        metrics.certificate_expires("ca", 7);
        metrics.certificate_failed("ca_secret");
        metrics.self_check_failed();
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
            r#"kube_booster_sidecar_exchanges_total{cause="pull",result="exchanged"} 1"#,
            "kube_booster_injection_paused_namespaces 0",
            "kube_booster_injection_paused_everywhere 0",
            "kube_booster_webhook_request_duration_seconds_count 1",
            "kube_booster_webhook_in_flight 0",
            "kube_booster_webhook_queue_length 0",
            "kube_booster_webhook_queue_wait_seconds_count 1",
            "kube_booster_webhook_shed_total 1",
            r#"kube_booster_webhook_refused_total{reason="media_type"} 1"#,
            r#"kube_booster_connections_closed_total{server="webhook",reason="idle"} 1"#,
            "kube_booster_leader 1",
            r#"kube_booster_pods_missed_injection{namespace="shop"} 2"#,
            r#"kube_booster_evictions_total{result="accepted"} 1"#,
            r#"kube_booster_certificate_expiry_timestamp_seconds{certificate="ca"} 7"#,
            r#"kube_booster_certificate_failures_total{what="ca_secret"} 1"#,
            "kube_booster_self_check_failures_total 1",
            r#"kube_booster_report_calls_refused_total{reason="expired"} 1"#,
            r#"kube_booster_token_checks_total{by="keys"} 1"#,
            "kube_booster_report_watchers 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains(r#"namespace="bar""#), "a pod that is missed no more counts no more");
    }
}
