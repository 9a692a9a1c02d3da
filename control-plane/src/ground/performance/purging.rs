//! When the allocator is asked to give memory back.

use std::time::{Duration, Instant};

/// Past a threshold, and not too often.
#[derive(Debug, Clone, Copy)]
pub struct Purging {
    threshold: u64,
    interval: Duration,
    last: Option<Instant>,
}

impl Purging {
    /// When more than `threshold` bytes are resident, once per `interval` at most; a threshold of 0 means never.
    #[must_use]
    pub fn new(threshold: u64, interval: Duration) -> Self {
        Self { threshold, interval, last: None }
    }

    /// Whether it is time with `resident` bytes at `now`; the next interval begins then.
    pub fn is_due(&mut self, resident: u64, now: Instant) -> bool {
        let has_paused = self.last.is_none_or(|last| now.saturating_duration_since(last) >= self.interval);
        let is_due = self.threshold > 0 && resident > self.threshold && has_paused;
        if is_due {
            self.last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    #[test]
    fn memory_is_asked_for_past_the_threshold_and_once_per_interval() {
        let (mut purging, start) = (Purging::new(100, INTERVAL), Instant::now());
        assert!(!purging.is_due(100, start));
        assert!(purging.is_due(101, start));
        assert!(!purging.is_due(500, start + INTERVAL / 2));
        assert!(!purging.is_due(99, start + INTERVAL));
        assert!(purging.is_due(101, start + INTERVAL));
    }

    #[test]
    fn without_a_threshold_it_never_is() {
        assert!(!Purging::new(0, INTERVAL).is_due(u64::MAX, Instant::now()));
    }
}
