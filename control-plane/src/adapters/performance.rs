//! How the webhook and its process do: looked at again and again, for metrics, a snapshot and the log.

mod allocator;
mod line;
mod process;
mod tasks;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use clap::{ArgAction, Args};
use serde::Serialize;
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_metrics::TaskMonitor;
use tracing::{debug, info, warn};

use self::line::Line;
use super::metrics::{Metrics, RuntimeFigures, TaskFigures};
use crate::ground::{
    annotations::{GoDuration, Quantity},
    performance::{Purging, Snapshot, Tracker},
};

/// Where the snapshot is, beside the metrics.
pub const PATH: &str = "/debug/performance";
/// How often memory, tasks and runtime are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Less that came back is not worth a line in the log.
const WORTH_A_LINE: u64 = 1 << 20;
/// A window is made of slices of a second at least, or of some megabytes of requests at most.
const WINDOWS: std::ops::RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_hours(1);

/// Flags of the performance tracker.
#[derive(Debug, Args)]
pub struct PerformanceArgs {
    /// Whether it is tracked how long reviews take, over a window and since the start
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL",
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub enable_webhook_performance_tracking: bool,
    /// What counts as lately, 10s to 1h
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = window)]
    pub webhook_performance_window: Duration,
    /// Reviews that take longer are logged, where they are tracked
    #[arg(long, default_value = "500ms", value_name = "DURATION", value_parser = duration)]
    pub webhook_slow_request_threshold: Duration,
    /// With more resident memory the allocator is asked to give some back; bytes or a unit, 0 means never
    #[arg(long, default_value = "100MB", value_name = "BYTES", value_parser = bytes)]
    pub webhook_gc_threshold: u64,
    /// It is asked once in this time at most
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = duration)]
    pub webhook_gc_min_interval: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    let GoDuration(duration) =
        text.parse().map_err(|error| format!("{error}; use one such as 500ms or 1m30s"))?;
    Ok(duration)
}

fn window(text: &str) -> Result<Duration, String> {
    let window = duration(text)?;
    WINDOWS.contains(&window).then_some(window).ok_or_else(|| "use a duration from 10s to 1h".to_owned())
}

fn bytes(text: &str) -> Result<u64, String> {
    let quantity: Quantity =
        text.parse().map_err(|error| format!("{error}; use bytes or a unit, such as 100MB or 64Mi"))?;
    Ok(quantity.bytes())
}

/// What is tracked, for those who tell and those who ask.
#[derive(Debug, Clone)]
pub struct Performance(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tracked: Option<Tracked>,
    latest: Mutex<(RuntimeFigures, MemoryFigures)>,
    metrics: Metrics,
}

/// What hears of reviews.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// What comes of them.
    pub tracker: Arc<Tracker>,
    /// Their polls.
    pub tasks: TaskMonitor,
}

/// Memory of the process, in bytes, each as far as it is known.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct MemoryFigures {
    resident_bytes: Option<u64>,
    allocated_bytes: Option<u64>,
    purges: u64,
    returned_bytes: u64,
}

/// Everything that is known, as people get it.
#[derive(Debug, Serialize)]
struct Whole {
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<Snapshot>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "webhookTasks")]
    tasks: Option<TaskFigures>,
    runtime: RuntimeFigures,
    memory: MemoryFigures,
    #[serde(rename = "processorSeconds")]
    processor_seconds: f64,
}

impl Performance {
    /// Tracks reviews that take `slots`, where `args` ask for it.
    #[must_use]
    pub fn new(args: &PerformanceArgs, slots: usize, metrics: Metrics) -> Self {
        let tracked = args.enable_webhook_performance_tracking.then(|| Tracked {
            tracker: Arc::new(Tracker::new(slots, args.webhook_performance_window, Instant::now())),
            tasks: tasks::monitor(),
        });
        Self(Arc::new(Inner { tracked, latest: Mutex::default(), metrics }))
    }

    /// What is to hear of reviews; nothing where they are not tracked.
    #[must_use]
    pub fn tracked(&self) -> Option<Tracked> {
        self.0.tracked.clone()
    }

    /// [`PATH`], as JSON.
    pub fn router(&self) -> Router {
        let performance = self.clone();
        let answer = move || {
            // Numbers and names can always be written.
            let text = serde_json::to_string(&performance.whole()).unwrap_or_default();
            async { ([(CONTENT_TYPE, "application/json")], text) }
        };
        Router::new().route(PATH, get(answer))
    }

    fn whole(&self) -> Whole {
        let (runtime, memory) = self.latest();
        let tracked = self.0.tracked.as_ref();
        Whole {
            webhook: tracked.map(|tracked| tracked.tracker.snapshot(Instant::now())),
            tasks: tracked.map(|tracked| tasks::of(&tracked.tasks)),
            runtime,
            memory: memory.measured(),
            processor_seconds: process::processor_time().as_secs_f64(),
        }
    }

    fn latest(&self) -> (RuntimeFigures, MemoryFigures) {
        *self.0.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at everything again and again, and asks the allocator for memory when it is time.
    pub async fn watch(self, args: &PerformanceArgs) {
        let mut purging = Purging::new(args.webhook_gc_threshold, args.webhook_gc_min_interval);
        let (mut runtime, mut line) = (tasks::of_runtime(), Line::new(args.webhook_performance_window));
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let memory = self.look_at_memory(&mut purging).await;
            let found = runtime.next().unwrap_or_default();
            self.0.metrics.show_runtime(&found);
            *self.0.latest.lock().unwrap_or_else(PoisonError::into_inner) = (found, memory);
            if let Some(tracked) = &self.0.tracked {
                let snapshot = tracked.tracker.snapshot(Instant::now());
                self.0.metrics.show_webhook(&snapshot);
                self.0.metrics.show_tasks(&tasks::of(&tracked.tasks));
                line.write_when_due(&self.whole(), tokio::time::Instant::now());
            }
        }
    }

    async fn look_at_memory(&self, purging: &mut Purging) -> MemoryFigures {
        let mut memory = self.latest().1.measured();
        if purging.is_due(memory.resident_bytes.unwrap_or_default(), Instant::now()) {
            memory = self.purge(memory).await;
        }
        for (kind, bytes) in [("resident", memory.resident_bytes), ("allocated", memory.allocated_bytes)] {
            if let Some(bytes) = bytes {
                self.0.metrics.show_memory(kind, bytes);
            }
        }
        memory
    }

    /// Off the threads that answer reviews: it takes as long as there are pages to give back.
    async fn purge(&self, before: MemoryFigures) -> MemoryFigures {
        let start = Instant::now();
        if let Ok(Err(error)) = spawn_blocking(allocator::purge).await {
            warn!(%error, "the allocator cannot give memory back");
        }
        let after = before.measured();
        let had = before.resident_bytes.unwrap_or_default();
        let has = after.resident_bytes.unwrap_or(had);
        let returned = had.saturating_sub(has);
        self.0.metrics.count_purge(returned);
        let took_seconds = start.elapsed().as_secs_f64();
        if returned >= WORTH_A_LINE {
            info!(resident_bytes = has, returned_bytes = returned, took_seconds, "memory given back");
        } else {
            debug!(resident_bytes = has, returned_bytes = returned, took_seconds, "no memory to give back");
        }
        let returned_bytes = before.returned_bytes + returned;
        MemoryFigures { purges: before.purges + 1, returned_bytes, ..after }
    }
}

impl MemoryFigures {
    /// As it is now.
    fn measured(self) -> Self {
        Self { resident_bytes: process::resident(), allocated_bytes: allocator::allocated(), ..self }
    }
}

#[cfg(test)]
mod tests;
