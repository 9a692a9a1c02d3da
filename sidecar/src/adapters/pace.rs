//! A clock that wakes on time: tokio's own wheel turns once per millisecond, a timerfd wakes within a tenth of that.

use std::{io, time::Duration};

use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use tokio::{
    io::unix::AsyncFd,
    time::{Instant, sleep_until},
};

use crate::descriptor::{Descriptor, watch};

/// Wakes its owner at a given time.
#[derive(Debug)]
pub struct Pace {
    timer: Option<AsyncFd<Descriptor<TimerFd>>>,
}

impl Pace {
    /// A precise clock, or tokio's own where the kernel grants no timer.
    #[must_use]
    pub fn new() -> Self {
        Self { timer: timer().ok() }
    }

    /// Waits until `at`; dropping the future and waiting again is fine.
    pub async fn until(&self, at: Instant) {
        if let Some(timer) = &self.timer
            && expire(timer, at).await.is_ok()
        {
            return;
        }
        sleep_until(at).await;
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

fn timer() -> io::Result<AsyncFd<Descriptor<TimerFd>>> {
    let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
    watch(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?)
}

async fn expire(timer: &AsyncFd<Descriptor<TimerFd>>, at: Instant) -> io::Result<()> {
    loop {
        let left = at.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Ok(());
        }
        let expiration = Expiration::OneShot(TimeSpec::from_duration(left));
        timer.get_ref().0.set(expiration, TimerSetTimeFlags::empty())?;
        let mut ready = timer.readable().await?;
        // A stale readiness reads nothing and is cleared.
        _ = ready.try_io(|timer| Ok(timer.get_ref().0.wait()?));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_time_that_has_passed_waits_for_nothing() {
        let pace = Pace::new();
        pace.until(Instant::now()).await;
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_dropped_wait_does_not_shorten_the_next() {
        let pace = Pace::new();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        _ = tokio::time::timeout(Duration::from_millis(2), pace.until(at(4))).await;
        pace.until(at(9)).await;
        assert!(start.elapsed() >= Duration::from_millis(9));
    }
}
