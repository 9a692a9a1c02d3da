//! Waiting, always with an end.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::{Instant, sleep};

/// How long anything may take that is expected to happen soon; generous, because machines are shared.
pub const SOON: Duration = Duration::from_secs(30);

/// What `probe` gives as soon as it gives something, looked at every 50 ms until `within` is over; an error of its is
/// final, so that a probe can also say what must never be seen.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = probe().await.with_context(|| what.to_owned())? {
            return Ok(found);
        }
        ensure!(Instant::now() < end, "{what}: not within {within:?}");
        sleep(Duration::from_millis(50)).await;
    }
}
