//! What tasks and runtime do, as tokio counts it without `tokio_unstable`.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio_metrics::{RuntimeMonitor, TaskMonitor};

use crate::adapters::metrics::{RuntimeFigures, TaskFigures};

/// A poll that takes longer keeps other tasks of its worker waiting; a usual review takes a thirtieth.
const SLOW_POLL: Duration = Duration::from_millis(1);

/// A monitor of the tasks that answer reviews.
pub(super) fn monitor() -> TaskMonitor {
    TaskMonitor::with_slow_poll_threshold(SLOW_POLL)
}

/// What `tasks` did since the start.
pub(super) fn of(tasks: &TaskMonitor) -> TaskFigures {
    let found = tasks.cumulative();
    TaskFigures {
        tasks: found.instrumented_count.saturating_sub(found.dropped_count),
        polls: found.total_poll_count,
        slow_polls: found.total_slow_poll_count,
        poll_seconds: found.total_poll_duration.as_secs_f64(),
        scheduled_seconds: found.total_scheduled_duration.as_secs_f64(),
    }
}

/// What the runtime that this is called in did since the last item, and how it is then.
pub(super) fn of_runtime() -> impl Iterator<Item = RuntimeFigures> + Send {
    RuntimeMonitor::new(&Handle::current()).intervals().map(|found| {
        let working = found.total_busy_duration.as_secs_f64();
        let workers = u32::try_from(found.workers_count).unwrap_or(u32::MAX);
        RuntimeFigures {
            tasks: found.live_tasks_count,
            queue_depth: found.global_queue_depth,
            busy_ratio: working / (found.elapsed * workers.max(1)).as_secs_f64().max(f64::MIN_POSITIVE),
            parks: found.total_park_count,
        }
    })
}
