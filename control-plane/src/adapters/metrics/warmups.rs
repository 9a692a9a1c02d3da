//! Warm-ups, from the sidecar's first word to the opened gate.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use proto::report::{Quantiles, Reason, Report};

use super::{Metrics, latencies, show};

#[derive(Debug)]
pub(super) struct Warmups {
    ended: Family<ResultLabels, Counter>,
    requests: Family<NamespaceLabels, Counter>,
    duration: Family<NamespaceLabels, Histogram, fn() -> Histogram>,
    latency: Family<PhaseLabels, Histogram, fn() -> Histogram>,
    active_pods: Family<ActiveLabels, Gauge>,
    gates_opened: Family<ReasonLabels, Counter>,
    patch_failures: Family<CauseLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    namespace: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NamespaceLabels {
    namespace: String,
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
struct CauseLabels {
    cause: &'static str,
}

impl Warmups {
    pub(super) fn register(all: &mut Registry) -> Self {
        let own = Self {
            ended: Family::default(),
            requests: Family::default(),
            duration: Family::new_with_constructor(durations),
            latency: Family::new_with_constructor(latencies),
            active_pods: Family::default(),
            gates_opened: Family::default(),
            patch_failures: Family::default(),
        };
        all.register("warmup", "Warm-ups that ended, by result", own.ended.clone());
        all.register("warmup_requests", "Warm-up requests that were completed", own.requests.clone());
        all.register_with_unit(
            "warmup_duration",
            "From the first to the last request of a warm-up",
            Unit::Seconds,
            own.duration.clone(),
        );
        all.register_with_unit(
            "warmup_latency",
            "Median response time of a warm-up's first (cold) and last (warm) tenth",
            Unit::Seconds,
            own.latency.clone(),
        );
        all.register("warmup_active_pods", "Pods that are being warmed", own.active_pods.clone());
        own.register_gates(all);
        own
    }

    fn register_gates(&self, all: &mut Registry) {
        all.register(
            "gate_opened",
            "Gates that were opened, by the condition's reason",
            self.gates_opened.clone(),
        );
        all.register(
            "gate_patch_failures",
            "Patches that should have opened a gate and did not; they are tried again",
            self.patch_failures.clone(),
        );
        for reason in Reason::ALL {
            show(&self.gates_opened, &ReasonLabels { reason: reason.to_string() });
        }
        for cause in ["refused", "failed"] {
            show(&self.patch_failures, &CauseLabels { cause });
        }
    }

    /// Shows all series of a namespace from its first warm-up on.
    fn show_all(&self, namespace: &str) {
        for result in ["success", "failure", "timeout", "unavailable"] {
            show(&self.ended, &ResultLabels { namespace: namespace.to_owned(), result });
        }
        for phase in ["cold", "warm"] {
            drop(self.latency.get_or_create(&PhaseLabels { namespace: namespace.to_owned(), phase }));
        }
        let labels = NamespaceLabels { namespace: namespace.to_owned() };
        show(&self.requests, &labels);
        drop(self.duration.get_or_create(&labels));
    }

    fn observe(&self, namespace: String, report: &Report) {
        for (phase, quantiles) in [("cold", report.cold), ("warm", report.warm)] {
            if let Some(Quantiles { p50, .. }) = quantiles {
                let labels = PhaseLabels { namespace: namespace.clone(), phase };
                self.latency.get_or_create(&labels).observe(p50.as_secs_f64());
            }
        }
        let labels = NamespaceLabels { namespace };
        self.requests.get_or_create(&labels).inc_by(report.request_count.into());
        self.duration.get_or_create(&labels).observe(report.elapsed().as_secs_f64());
    }
}

impl Metrics {
    /// Notes that a pod's warm-up has begun.
    pub fn warmup_began(&self, namespace: &str, node: Option<&str>) {
        self.families.warmups.show_all(namespace);
        self.families.warmups.active_pods.get_or_create(&active(namespace, node)).inc();
    }

    /// Notes that an active warm-up has ended, however.
    pub fn warmup_ended(&self, namespace: &str, node: Option<&str>) {
        self.families.warmups.active_pods.get_or_create(&active(namespace, node)).dec();
    }

    /// Counts a gate that was opened, and the warm-up behind it.
    pub fn gate_opened(&self, namespace: &str, reason: Reason, report: &Report) {
        let warmups = &self.families.warmups;
        warmups.gates_opened.get_or_create(&ReasonLabels { reason: reason.to_string() }).inc();
        let result = match reason {
            Reason::WarmupSucceeded => "success",
            Reason::WarmupFailed => "failure",
            Reason::WarmupTimedOut => "timeout",
            Reason::SidecarUnavailable => "unavailable",
            Reason::Released => return,
        };
        warmups.show_all(namespace);
        let namespace = namespace.to_owned();
        warmups.ended.get_or_create(&ResultLabels { namespace: namespace.clone(), result }).inc();
        if report.request_count > 0 {
            warmups.observe(namespace, report);
        }
    }

    /// Counts a patch that opened no gate, because it was `refused` or otherwise `failed`.
    pub fn gate_not_opened(&self, cause: &'static str) {
        self.families.warmups.patch_failures.get_or_create(&CauseLabels { cause }).inc();
    }
}

fn active(namespace: &str, node: Option<&str>) -> ActiveLabels {
    ActiveLabels { namespace: namespace.to_owned(), node: node.unwrap_or_default().to_owned() }
}

/// 0.25 s to 8.5 min.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.25, 2.0, 12))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proto::report::EndedBy;

    use super::{super::tests::check, *};

    #[test]
    fn a_report_is_counted_with_what_it_measured() {
        let metrics = Metrics::default();
        let quantiles = Some(Quantiles { p50: Duration::from_millis(2), p99: Duration::from_millis(9) });
        let report = Report {
            request_count: 12,
            cold: quantiles,
            warm: quantiles,
            ..Report::without_requests(EndedBy::Count, UNIX_EPOCH, "")
        };
        metrics.gate_opened("shop", Reason::WarmupSucceeded, &report);
        check(
            &metrics,
            &[
                r#"kube_booster_warmup_total{namespace="shop",result="success"} 1"#,
                r#"kube_booster_warmup_requests_total{namespace="shop"} 12"#,
                r#"kube_booster_warmup_duration_seconds_count{namespace="shop"} 1"#,
                r#"kube_booster_warmup_latency_seconds_count{namespace="shop",phase="cold"} 1"#,
                r#"kube_booster_warmup_latency_seconds_count{namespace="shop",phase="warm"} 1"#,
                r#"kube_booster_gate_opened_total{reason="WarmupSucceeded"} 1"#,
            ],
        );
    }

    #[test]
    fn a_gate_that_a_person_opened_ends_no_warm_up() {
        let metrics = Metrics::default();
        let report = Report::without_requests(EndedBy::NoReport, UNIX_EPOCH, "");
        metrics.gate_opened("shop", Reason::Released, &report);
        check(&metrics, &[r#"kube_booster_gate_opened_total{reason="Released"} 1"#]);
        assert!(!metrics.encode().contains("kube_booster_warmup_total"));
    }

    #[test]
    fn a_patch_that_opens_no_gate_is_counted() {
        let metrics = Metrics::default();
        metrics.gate_not_opened("refused");
        check(
            &metrics,
            &[
                r#"kube_booster_gate_patch_failures_total{cause="refused"} 1"#,
                r#"kube_booster_gate_patch_failures_total{cause="failed"} 0"#,
            ],
        );
    }

    #[test]
    fn a_namespace_shows_all_its_series_before_its_first_warm_up_has_ended() {
        let metrics = Metrics::default();
        metrics.warmup_began("shop", None);
        check(
            &metrics,
            &[
                r#"kube_booster_warmup_total{namespace="shop",result="success"} 0"#,
                r#"kube_booster_warmup_total{namespace="shop",result="failure"} 0"#,
                r#"kube_booster_warmup_requests_total{namespace="shop"} 0"#,
                r#"kube_booster_warmup_duration_seconds_count{namespace="shop"} 0"#,
                r#"kube_booster_warmup_latency_seconds_count{namespace="shop",phase="warm"} 0"#,
                r#"kube_booster_gate_opened_total{reason="WarmupTimedOut"} 0"#,
            ],
        );
    }

    #[test]
    fn a_pod_is_active_from_beginning_to_end() {
        let metrics = Metrics::default();
        metrics.warmup_began("shop", Some("n1"));
        metrics.warmup_began("shop", None);
        metrics.warmup_ended("shop", None);
        check(
            &metrics,
            &[
                r#"kube_booster_warmup_active_pods{namespace="shop",node="n1"} 1"#,
                r#"kube_booster_warmup_active_pods{namespace="shop",node=""} 0"#,
            ],
        );
    }
}
