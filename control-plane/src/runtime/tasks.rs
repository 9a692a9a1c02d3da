//! What runs beside the main task: watched, so that nothing ends unnoticed, and ended in order.

use std::time::Duration;

use anyhow::anyhow;
use tokio::{task::JoinSet, time::timeout};
use tracing::warn;

use super::Stop;

/// For everything to end after it was told to.
const DRAIN: Duration = Duration::from_secs(15);

/// Named tasks that run until they are told to stop.
pub(super) struct Tasks {
    set: JoinSet<&'static str>,
    retire: Stop,
    stop: Stop,
}

impl Tasks {
    pub(super) fn new() -> Self {
        Self { set: JoinSet::new(), retire: Stop::new(), stop: Stop::new() }
    }

    /// Cancelled as soon as the process is asked to end, while it still serves: for what others take over at once.
    pub(super) fn retire(&self) -> Stop {
        self.retire.clone()
    }

    /// Cancelled when all tasks are to stop.
    pub(super) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Runs `task`, which ends by itself when it is to stop.
    pub(super) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.set.spawn(async move {
            task.await;
            name
        });
    }

    /// Runs `task`, which is dropped when it is to stop.
    pub(super) fn spawn_until_stop(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = self.stop();
        self.spawn(name, async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Waits until a task ends that nobody has told to; a restart comes to the same deadlines.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        match self.set.join_next().await {
            Some(Ok(name)) => anyhow!("task {name} has ended by itself"),
            Some(Err(error)) => anyhow!(error).context("a task broke off"),
            None => std::future::pending().await,
        }
    }

    /// Tells all tasks to stop and waits until they have, within bounds.
    pub(super) async fn end(mut self) {
        self.retire.cancel();
        self.stop.cancel();
        let ended = async { while self.set.join_next().await.is_some() {} };
        if timeout(DRAIN, ended).await.is_err() {
            warn!("stopped while something was still under way");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_by_itself_or_panics_is_noticed() {
        let mut tasks = Tasks::new();
        tasks.spawn_until_stop("idle", std::future::pending());
        tasks.spawn("brief", async {});
        assert_eq!(tasks.failed().await.to_string(), "task brief has ended by itself");
        tasks.spawn("broken", async { panic!("on purpose") });
        assert_eq!(tasks.failed().await.to_string(), "a task broke off");
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_does_not_wait_for_ever() {
        let mut tasks = Tasks::new();
        tasks.spawn_until_stop("obedient", std::future::pending());
        tasks.spawn("stubborn", std::future::pending());
        let start = tokio::time::Instant::now();
        tasks.end().await;
        assert_eq!(start.elapsed(), DRAIN);
    }
}
