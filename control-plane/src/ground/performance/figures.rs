//! Figures for people and programs, each with its unit in its name.

use serde::Serialize;

/// What is known of the webhook at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Reviews that may be decided at once.
    pub slots: usize,
    /// Reviews that wait for a slot now.
    pub waiting: usize,
    /// Reviews that are being decided now.
    pub running: usize,
    /// Lately.
    pub window: Figures,
    /// Since the process started.
    pub since_start: Figures,
}

/// What reviews came to over some time.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// The time that these figures are about, in seconds of wall time.
    pub covered_seconds: f64,
    /// Reviews that ended, in whatever way.
    pub requests: u64,
    /// Those that were decided.
    pub answered: u64,
    /// Those that were sent back with status 429.
    pub shed: u64,
    /// Those whose caller was gone before the answer.
    pub abandoned: u64,
    /// Those that took longer than `--webhook-slow-request-threshold`.
    pub slow: u64,
    /// Requests by covered time.
    pub requests_per_second: f64,
    /// Of reviews that were answered; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durations: Option<Durations>,
    /// The queue for slots.
    pub queue: Queue,
    /// Share of the covered time with all slots taken, 0–1.
    pub saturation_ratio: f64,
}

/// From reviews' last bytes to their answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each name says it all")]
pub struct Durations {
    pub total_seconds: f64,
    pub average_seconds: f64,
    pub min_seconds: f64,
    pub max_seconds: f64,
    pub p50_seconds: f64,
    pub p90_seconds: f64,
    pub p99_seconds: f64,
    pub average_decode_seconds: f64,
    pub average_decide_seconds: f64,
    pub average_encode_seconds: f64,
}

/// The queue of reviews that found no slot free.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// How many reviews waited.
    pub waited: u64,
    /// How long they did, those that were shed included.
    pub average_wait_seconds: f64,
    /// How long one did at most.
    pub max_wait_seconds: f64,
}

/// What `now` is more than `before`, as a share of that; `None` where there is nothing to compare.
#[must_use]
pub fn change(before: Option<f64>, now: Option<f64>) -> Option<f64> {
    let (before, now) = (before?, now?);
    (before > 0.0).then(|| now / before - 1.0)
}
