//! Reviews, from those that wait for a slot to those that were sent back.

use std::time::Instant;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{Metrics, latencies};

#[derive(Debug)]
pub(super) struct Webhook {
    request_duration: Histogram,
    in_flight: Gauge,
    queue_length: Gauge,
    queue_wait: Histogram,
    shed: Counter,
    refused: Family<RefusalLabels, Counter>,
    self_check_failures: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

impl Webhook {
    pub(super) fn register(all: &mut Registry) -> Self {
        let own = Self {
            request_duration: latencies(),
            in_flight: Gauge::default(),
            queue_length: Gauge::default(),
            queue_wait: latencies(),
            shed: Counter::default(),
            refused: Family::default(),
            self_check_failures: Counter::default(),
        };
        all.register_with_unit(
            "webhook_request_duration",
            "From a review's last byte to the answer",
            Unit::Seconds,
            own.request_duration.clone(),
        );
        all.register("webhook_in_flight", "Reviews that are being answered", own.in_flight.clone());
        own.register_overload(all);
        all.register(
            "self_check_failures",
            "Reviews of our own that our webhook did not answer as the API server needs it",
            own.self_check_failures.clone(),
        );
        own
    }

    fn register_overload(&self, all: &mut Registry) {
        all.register("webhook_queue_length", "Reviews that wait for a slot", self.queue_length.clone());
        all.register_with_unit(
            "webhook_queue_wait",
            "How long reviews waited for a slot, those that found one free left out",
            Unit::Seconds,
            self.queue_wait.clone(),
        );
        all.register(
            "webhook_shed",
            "Reviews that were sent back with status 429, to be tried again",
            self.shed.clone(),
        );
        all.register(
            "webhook_refused",
            "Requests to the webhook that were no reviews, by reason",
            self.refused.clone(),
        );
    }
}

impl Metrics {
    /// Notes that a review came in; the guard notes that it is answered.
    #[must_use]
    pub fn review(&self) -> impl Drop + use<> {
        let Webhook { in_flight, request_duration, .. } = &self.families.webhook;
        Stay::begin(in_flight, request_duration)
    }

    /// Notes that a review waits for a slot; the guard notes that it does no longer.
    #[must_use]
    pub fn queued(&self) -> impl Drop + use<> {
        let Webhook { queue_length, queue_wait, .. } = &self.families.webhook;
        Stay::begin(queue_length, queue_wait)
    }

    /// Counts a review that was sent back to be tried again.
    pub fn count_shed(&self) {
        self.families.webhook.shed.inc();
    }

    /// Counts a request to the webhook that was no review.
    pub fn count_refused(&self, reason: &'static str) {
        self.families.webhook.refused.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// Counts a review of our own that was not answered as it should be.
    pub fn self_check_failed(&self) {
        self.families.webhook.self_check_failures.inc();
    }
}

/// A review's time in one place, such as the queue.
struct Stay {
    inside: Gauge,
    took: Histogram,
    since: Instant,
}

impl Stay {
    fn begin(inside: &Gauge, took: &Histogram) -> Self {
        inside.inc();
        Self { inside: inside.clone(), took: took.clone(), since: Instant::now() }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.took.observe(self.since.elapsed().as_secs_f64());
        self.inside.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn a_review_is_counted_while_it_is_there_and_timed_when_it_leaves() {
        let metrics = Metrics::default();
        let guards = (metrics.review(), metrics.queued());
        check(&metrics, &["kube_booster_webhook_in_flight 1", "kube_booster_webhook_queue_length 1"]);
        drop(guards);
        check(
            &metrics,
            &[
                "kube_booster_webhook_request_duration_seconds_count 1",
                "kube_booster_webhook_in_flight 0",
                "kube_booster_webhook_queue_length 0",
                "kube_booster_webhook_queue_wait_seconds_count 1",
            ],
        );
    }

    #[test]
    fn what_is_not_answered_is_counted() {
        let metrics = Metrics::default();
        metrics.count_shed();
        metrics.count_refused("media_type");
        metrics.self_check_failed();
        check(
            &metrics,
            &[
                "kube_booster_webhook_shed_total 1",
                r#"kube_booster_webhook_refused_total{reason="media_type"} 1"#,
                "kube_booster_self_check_failures_total 1",
            ],
        );
    }
}
