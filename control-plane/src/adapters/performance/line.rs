//! The line in the log that tells how the webhook did, once per window.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::Whole;
use crate::ground::performance::{Figures, change};

/// What the next line is compared with.
#[derive(Debug)]
pub(super) struct Line {
    window: Duration,
    last: Instant,
    processor_seconds: f64,
    before: Option<Figures>,
}

impl Line {
    /// The first is due when a `window` is over.
    pub(super) fn new(window: Duration) -> Self {
        Self { window, last: Instant::now(), processor_seconds: 0.0, before: None }
    }

    /// Tells of `whole`, and how it has changed since the window before, when it is time.
    pub(super) fn write_when_due(&mut self, whole: &Whole, now: Instant) {
        let elapsed = now.saturating_duration_since(self.last);
        if elapsed < self.window {
            return;
        }
        let Some(webhook) = whole.webhook else { return };
        let (window, before) = (webhook.window, self.before.as_ref());
        let [average, p50, p90, p99, max] = latencies(&window);
        let used = whole.processor_seconds - self.processor_seconds;
        info!(
            window_seconds = window.covered_seconds,
            requests = window.requests,
            requests_per_second = window.requests_per_second,
            average_seconds = average,
            p50_seconds = p50,
            p90_seconds = p90,
            p99_seconds = p99,
            max_seconds = max,
            slow = window.slow,
            shed = window.shed,
            abandoned = window.abandoned,
            active = webhook.waiting + webhook.running,
            saturation_ratio = window.saturation_ratio,
            average_change_ratio = before.and_then(|before| change(latencies(before)[0], average)),
            p99_change_ratio = before.and_then(|before| change(latencies(before)[3], p99)),
            rate_change_ratio = before.and_then(|before| change(
                Some(before.requests_per_second),
                Some(window.requests_per_second)
            )),
            processor_cores = used / elapsed.as_secs_f64(),
            resident_bytes = whole.memory.resident_bytes,
            allocated_bytes = whole.memory.allocated_bytes,
            tasks = whole.runtime.tasks,
            runtime_busy_ratio = whole.runtime.busy_ratio,
            requests_since_start = webhook.since_start.requests,
            "performance metrics"
        );
        *self = Self { last: now, processor_seconds: whole.processor_seconds, before: Some(window), ..*self };
    }
}

/// Average, p50, p90, p99 and maximum, in seconds.
fn latencies(figures: &Figures) -> [Option<f64>; 5] {
    let of = |read: fn(&crate::ground::performance::Durations) -> f64| figures.durations.as_ref().map(read);
    [
        of(|all| all.average_seconds),
        of(|all| all.p50_seconds),
        of(|all| all.p90_seconds),
        of(|all| all.p99_seconds),
        of(|all| all.max_seconds),
    ]
}
