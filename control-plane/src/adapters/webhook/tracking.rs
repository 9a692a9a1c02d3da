//! Reviews as the tracker is told of them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::response::Response;
use tokio::time::Instant;
use tokio_metrics::TaskMonitor;
use tracing::warn;

use crate::{
    adapters::metrics::Metrics,
    ground::{
        pace::Pace,
        performance::{Ending, Parts, Review, Tracker},
    },
};

/// Slow reviews are logged at this pace, after so many at once; the others are counted.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
const LOG_BURST: u32 = 10;

/// Where a webhook that is tracked tells of its reviews.
#[derive(Debug, Clone)]
pub struct Tracking(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tracker: Arc<Tracker>,
    tasks: TaskMonitor,
    slow: Duration,
    log: Mutex<Pace>,
    unlogged: AtomicU64,
    metrics: Metrics,
}

/// What a handler says of its review beside the answer.
#[derive(Debug, Clone)]
pub(super) struct Course {
    namespace: Box<str>,
    uid: Box<str>,
    parts: Parts,
}

impl Tracking {
    /// Tells `tracker` of each review, `tasks` of its polls, and the log of those that take longer than `slow`.
    #[must_use]
    pub fn new(tracker: Arc<Tracker>, tasks: TaskMonitor, slow: Duration, metrics: Metrics) -> Self {
        let log = Mutex::new(Pace::new(LOG_INTERVAL, LOG_BURST));
        Self(Arc::new(Inner { tracker, tasks, slow, log, unlogged: AtomicU64::new(0), metrics }))
    }

    /// A review is there.
    pub(super) fn arrived(&self) -> Visit {
        self.0.tracker.arrived();
        Visit { tracking: self.clone(), since: Instant::now(), waited: None, is_over: false }
    }

    /// `work` with its polls counted.
    pub(super) fn watch<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        self.0.tasks.instrument(work)
    }

    fn is_logged(&self, now: Instant) -> bool {
        let mut pace = self.0.log.lock().unwrap_or_else(PoisonError::into_inner);
        pace.admit("slow", now.into_std()).is_ok()
    }

    fn log_slow(&self, took: Duration, waited: Duration, answer: &Response, now: Instant) {
        self.0.metrics.count_slow_review();
        if !self.is_logged(now) {
            self.0.unlogged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let course = answer.extensions().get::<Course>();
        let parts = course.map_or(Parts::default(), |course| course.parts);
        warn!(
            namespace = course.map_or("", |course| &course.namespace),
            uid = course.map_or("", |course| &course.uid),
            status = answer.status().as_u16(),
            took_seconds = took.as_secs_f64(),
            waited_seconds = waited.as_secs_f64(),
            decode_seconds = parts.decode.as_secs_f64(),
            decide_seconds = parts.decide.as_secs_f64(),
            encode_seconds = parts.encode.as_secs_f64(),
            others_not_logged = self.0.unlogged.swap(0, Ordering::Relaxed),
            "slow review"
        );
    }
}

/// A review that is there; one that is dropped before its end has lost its caller.
#[derive(Debug)]
pub(super) struct Visit {
    tracking: Tracking,
    since: Instant,
    /// How long it waited for the slot that it has.
    waited: Option<Duration>,
    is_over: bool,
}

impl Visit {
    /// It has taken a slot, `waited` after it found none free.
    pub(super) fn started(&mut self, waited: Duration) {
        self.waited = Some(waited);
        self.tracking.0.tracker.started(Instant::now().into_std());
    }

    /// It is answered.
    pub(super) fn answered(mut self, answer: &Response) {
        self.end(Ending::Answered, self.waited.unwrap_or_default(), Some(answer));
    }

    /// It is sent back after it has `waited`.
    pub(super) fn shed(mut self, waited: Duration, answer: &Response) {
        self.end(Ending::Shed, waited, Some(answer));
    }

    fn end(&mut self, ending: Ending, waited: Duration, answer: Option<&Response>) {
        self.is_over = true;
        let (now, tracking) = (Instant::now(), &self.tracking);
        let took = now.saturating_duration_since(self.since);
        let is_slow = took > tracking.0.slow;
        let course = answer.and_then(|answer| answer.extensions().get::<Course>());
        let parts = course.map_or(Parts::default(), |course| course.parts);
        let review = Review { ending, took, waited, parts, is_slow };
        tracking.0.tracker.ended(&review, self.waited.is_some(), now.into_std());
        if let (true, Some(answer)) = (is_slow, answer) {
            tracking.log_slow(took, waited, answer, now);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.is_over {
            let waited = self.waited.unwrap_or_else(|| self.since.elapsed());
            self.end(Ending::Abandoned, waited, None);
        }
    }
}

/// Times the parts of a decision one after the other, where anybody wants to know.
#[derive(Debug)]
pub(super) struct Stopwatch {
    lap: Option<Instant>,
    parts: Parts,
}

impl Stopwatch {
    /// One that runs, or one that reads no clock.
    pub(super) fn new(is_tracked: bool) -> Self {
        Self { lap: is_tracked.then(Instant::now), parts: Parts::default() }
    }

    /// What it has taken since the last of these, added to the `part` that it was for.
    pub(super) fn lap(&mut self, part: impl FnOnce(&mut Parts) -> &mut Duration) {
        if let Some(lap) = &mut self.lap {
            let now = Instant::now();
            *part(&mut self.parts) += now.saturating_duration_since(*lap);
            *lap = now;
        }
    }

    /// What it has measured of the review `uid` of a pod in `namespace`.
    pub(super) fn course(&self, namespace: &str, uid: &str) -> Option<Course> {
        self.lap.map(|_| Course { namespace: namespace.into(), uid: uid.into(), parts: self.parts })
    }
}

#[cfg(test)]
mod tests;
