//! A clock that wakes on time: tokio's own wheel turns once per millisecond, a timerfd wakes within a tenth of that.

use std::{cell::Cell, io, time::Duration};

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
    timer: Option<Timer>,
}

#[derive(Debug)]
struct Timer {
    descriptor: AsyncFd<Descriptor<TimerFd>>,
    /// When it expires: it is set once for each time that is waited for, however often.
    armed: Cell<Option<Instant>>,
}

impl Pace {
    /// A precise clock, or tokio's own where the kernel grants no timer.
    #[must_use]
    pub fn new() -> Self {
        Self { timer: Timer::new().ok() }
    }

    /// Waits until `at`; dropping the future and waiting again is fine.
    pub async fn until(&self, at: Instant) {
        if let Some(timer) = &self.timer
            && timer.expire(at).await.is_ok()
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

impl Timer {
    fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let descriptor = watch(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?)?;
        Ok(Self { descriptor, armed: Cell::default() })
    }

    async fn expire(&self, at: Instant) -> io::Result<()> {
        loop {
            let left = at.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Ok(());
            }
            if self.armed.get() != Some(at) {
                let expiration = Expiration::OneShot(TimeSpec::from_duration(left));
                self.descriptor.get_ref().0.set(expiration, TimerSetTimeFlags::empty())?;
                self.armed.set(Some(at));
            }
            let mut ready = self.descriptor.readable().await?;
            // What expired before it was set anew reads nothing.
            if self.descriptor.get_ref().0.wait().is_ok() {
                self.armed.set(None);
            }
            ready.clear_ready();
        }
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
    async fn a_time_is_waited_for_again_and_again() {
        let pace = Pace::new();
        let start = Instant::now();
        for millis in [2, 4, 4, 3, 6] {
            let at = start + Duration::from_millis(millis);
            for _ in 0..3 {
                _ = tokio::time::timeout(Duration::from_micros(500), pace.until(at)).await;
            }
            pace.until(at).await;
            assert!(Instant::now() >= at);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_expiry_that_nobody_waited_for_does_not_shorten_the_next() {
        let pace = Pace::new();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        _ = tokio::time::timeout(Duration::ZERO, pace.until(at(1))).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
        pace.until(at(12)).await;
        assert!(start.elapsed() >= Duration::from_millis(12));
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
