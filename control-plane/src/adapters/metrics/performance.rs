//! How the webhook does lately, its tasks and runtime, and the memory of the process.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use serde::Serialize;

use super::Metrics;
use crate::ground::performance::Snapshot;

type Ratio = Gauge<f64, AtomicU64>;
type Seconds = Counter<f64, AtomicU64>;

#[derive(Debug, Default)]
pub(super) struct Performance {
    window_duration: Family<StatisticLabels, Ratio>,
    window_rate: Ratio,
    saturation: Ratio,
    slow: Counter,
    tasks: Gauge,
    polls: Counter,
    slow_polls: Counter,
    poll_duration: Seconds,
    scheduled_duration: Seconds,
    runtime: Runtime,
    memory: Family<MemoryLabels, Gauge>,
    purges: Counter,
    returned: Counter,
}

#[derive(Debug, Default)]
struct Runtime {
    tasks: Gauge,
    queue_depth: Gauge,
    busy: Ratio,
    parks: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatisticLabels {
    statistic: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MemoryLabels {
    kind: &'static str,
}

/// What tasks did since the start.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskFigures {
    /// Reviews that are under way.
    pub tasks: u64,
    /// Times that they were polled.
    pub polls: u64,
    /// Of these, the ones that kept others waiting.
    pub slow_polls: u64,
    /// Time in polls, in seconds.
    pub poll_seconds: f64,
    /// Time between being woken and being polled, in seconds.
    pub scheduled_seconds: f64,
}

/// What the runtime did since the last look, and how it is now.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeFigures {
    /// Tasks of all kinds that are alive.
    pub tasks: usize,
    /// Tasks that wait for any of the workers.
    pub queue_depth: usize,
    /// Share of the workers' time in which they worked, 0–1.
    pub busy_ratio: f64,
    /// Times that workers found nothing to do.
    pub parks: u64,
}

impl Performance {
    pub(super) fn register(all: &mut Registry) -> Self {
        let own = Self::default();
        own.register_window(all);
        own.register_tasks(all);
        own.register_memory(all);
        own
    }

    fn register_window(&self, all: &mut Registry) {
        all.register_with_unit(
            "webhook_window_duration",
            "From reviews' last bytes to their answers within the window, by statistic",
            Unit::Seconds,
            self.window_duration.clone(),
        );
        all.register(
            "webhook_window_requests_per_second",
            "Reviews that ended within the window, by its time",
            self.window_rate.clone(),
        );
        all.register(
            "webhook_saturation_ratio",
            "Share of the window with all slots taken",
            self.saturation.clone(),
        );
        all.register("webhook_slow_reviews", "Reviews that took longer than they should", self.slow.clone());
    }

    fn register_tasks(&self, all: &mut Registry) {
        all.register("webhook_tasks", "Tasks that answer reviews", self.tasks.clone());
        all.register("webhook_polls", "Polls of tasks that answer reviews", self.polls.clone());
        all.register(
            "webhook_slow_polls",
            "Polls of such tasks that kept others waiting",
            self.slow_polls.clone(),
        );
        all.register_with_unit(
            "webhook_poll_duration",
            "Time of such polls",
            Unit::Seconds,
            self.poll_duration.clone(),
        );
        all.register_with_unit(
            "webhook_scheduled_duration",
            "Time between such a task's being woken and being polled",
            Unit::Seconds,
            self.scheduled_duration.clone(),
        );
        let Runtime { tasks, queue_depth, busy, parks } = &self.runtime;
        all.register("runtime_tasks", "Tasks of all kinds that are alive", tasks.clone());
        all.register("runtime_queue_depth", "Tasks that wait for any worker", queue_depth.clone());
        all.register("runtime_busy_ratio", "Share of the workers' time in which they worked", busy.clone());
        all.register("runtime_parks", "Times that workers found nothing to do", parks.clone());
    }

    fn register_memory(&self, all: &mut Registry) {
        all.register_with_unit(
            "memory",
            "Memory of the process: resident, or allocated by its code",
            Unit::Bytes,
            self.memory.clone(),
        );
        all.register(
            "memory_purges",
            "Times that the allocator was asked to give memory back",
            self.purges.clone(),
        );
        all.register_with_unit(
            "memory_returned",
            "What came back when it was asked",
            Unit::Bytes,
            self.returned.clone(),
        );
    }
}

impl Metrics {
    /// Counts a review that took longer than it should.
    pub fn count_slow_review(&self) {
        self.families.performance.slow.inc();
    }

    /// Shows what is known of the webhook.
    pub fn show_webhook(&self, snapshot: &Snapshot) {
        let Performance { window_duration, window_rate, saturation, .. } = &self.families.performance;
        window_rate.set(snapshot.window.requests_per_second);
        saturation.set(snapshot.window.saturation_ratio);
        let Some(durations) = snapshot.window.durations else { return window_duration.clear() };
        for (statistic, seconds) in [
            ("average", durations.average_seconds),
            ("min", durations.min_seconds),
            ("max", durations.max_seconds),
            ("p50", durations.p50_seconds),
            ("p90", durations.p90_seconds),
            ("p99", durations.p99_seconds),
        ] {
            window_duration.get_or_create(&StatisticLabels { statistic }).set(seconds);
        }
    }

    /// Shows what the webhook's tasks did.
    pub fn show_tasks(&self, found: &TaskFigures) {
        let own = &self.families.performance;
        own.tasks.set(i64::try_from(found.tasks).unwrap_or(i64::MAX));
        own.polls.inc_by(found.polls.saturating_sub(own.polls.get()));
        own.slow_polls.inc_by(found.slow_polls.saturating_sub(own.slow_polls.get()));
        own.poll_duration.inc_by((found.poll_seconds - own.poll_duration.get()).max(0.0));
        own.scheduled_duration.inc_by((found.scheduled_seconds - own.scheduled_duration.get()).max(0.0));
    }

    /// Shows how the runtime is, and adds what it did since the last look.
    pub fn show_runtime(&self, found: &RuntimeFigures) {
        let Runtime { tasks, queue_depth, busy, parks } = &self.families.performance.runtime;
        tasks.set(i64::try_from(found.tasks).unwrap_or(i64::MAX));
        queue_depth.set(i64::try_from(found.queue_depth).unwrap_or(i64::MAX));
        busy.set(found.busy_ratio);
        parks.inc_by(found.parks);
    }

    /// Shows `bytes` of memory of a `kind`: `resident` or `allocated`.
    pub fn show_memory(&self, kind: &'static str, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.families.performance.memory.get_or_create(&MemoryLabels { kind }).set(bytes);
    }

    /// Counts that the allocator was asked for memory and gave `returned` bytes back.
    pub fn count_purge(&self, returned: u64) {
        self.families.performance.purges.inc();
        self.families.performance.returned.inc_by(returned);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{super::tests::check, *};
    use crate::ground::performance::{Ending, Parts, Review, Tracker};

    #[test]
    fn a_window_is_shown_as_it_is_now() {
        let (metrics, start) = (Metrics::default(), Instant::now());
        let tracker = Tracker::new(1, Duration::from_mins(1), start);
        let took = Duration::from_millis(3);
        let (ending, waited) = (Ending::Answered, Duration::ZERO);
        let review = Review { ending, took, waited, parts: Parts::default(), is_slow: false };
        tracker.arrived();
        tracker.ended(&review, false, start);
        metrics.show_webhook(&tracker.snapshot(start + Duration::from_secs(10)));
        check(
            &metrics,
            &[
                r#"kube_booster_webhook_window_duration_seconds{statistic="p99"} 0.003"#,
                "kube_booster_webhook_window_requests_per_second 0.1",
                "kube_booster_webhook_saturation_ratio 0.0",
            ],
        );
        metrics.show_webhook(&tracker.snapshot(start + Duration::from_secs(100)));
        assert!(!metrics.encode().contains("webhook_window_duration_seconds{"));
    }

    #[test]
    fn tasks_memory_and_what_was_slow_are_counted() {
        let metrics = Metrics::default();
        let webhook =
            TaskFigures { tasks: 2, polls: 9, slow_polls: 1, poll_seconds: 0.5, scheduled_seconds: 0.25 };
        let runtime = RuntimeFigures { tasks: 40, queue_depth: 3, busy_ratio: 0.5, parks: 7 };
        (0..2).for_each(|_| metrics.show_tasks(&webhook));
        (0..2).for_each(|_| metrics.show_runtime(&runtime));
        metrics.show_memory("resident", 4_096);
        metrics.count_purge(1_000);
        metrics.count_slow_review();
        check(
            &metrics,
            &[
                "kube_booster_webhook_tasks 2",
                "kube_booster_webhook_polls_total 9",
                "kube_booster_webhook_slow_polls_total 1",
                "kube_booster_webhook_poll_duration_seconds_total 0.5",
                "kube_booster_webhook_scheduled_duration_seconds_total 0.25",
                "kube_booster_runtime_tasks 40",
                "kube_booster_runtime_queue_depth 3",
                "kube_booster_runtime_busy_ratio 0.5",
                "kube_booster_runtime_parks_total 14",
                r#"kube_booster_memory_bytes{kind="resident"} 4096"#,
                "kube_booster_memory_purges_total 1",
                "kube_booster_memory_returned_bytes_total 1000",
                "kube_booster_webhook_slow_reviews_total 1",
            ],
        );
    }
}
