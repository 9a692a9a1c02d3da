//! How fast each caller may call.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Callers that are remembered at once, at some 120 bytes each; more of them are let through unmeasured.
const MAX_CALLERS: usize = 16_384;
/// How often callers that have paused long enough are forgotten.
const SWEEP: Duration = Duration::from_secs(1);

/// The pace of all callers (the generic cell rate algorithm: one instant each).
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    tolerance: Duration,
    /// When each would be on its pace again.
    callers: HashMap<Box<str>, Instant>,
    swept: Option<Instant>,
}

impl Pace {
    /// Each caller may call once per `interval`, and `burst` times at once after a pause.
    #[must_use]
    pub fn new(interval: Duration, burst: u32) -> Self {
        let tolerance = interval.saturating_mul(burst.saturating_sub(1));
        Self { interval, tolerance, callers: HashMap::new(), swept: None }
    }

    /// Lets `caller` through at `now`, or says how long it is to wait.
    pub fn admit(&mut self, caller: &str, now: Instant) -> Result<(), Duration> {
        self.forget(now);
        let due = self.callers.get(caller).map_or(now, |due| (*due).max(now));
        let ahead = due.saturating_duration_since(now);
        if ahead > self.tolerance {
            return Err(ahead.saturating_sub(self.tolerance));
        }
        if self.callers.len() < MAX_CALLERS || self.callers.contains_key(caller) {
            self.callers.insert(caller.into(), due + self.interval);
        }
        Ok(())
    }

    fn forget(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEEP) {
            return;
        }
        self.swept = Some(now);
        self.callers.retain(|_, due| *due > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(200);

    #[test]
    fn a_burst_is_let_through_and_then_a_steady_pace() {
        let (mut pace, start) = (Pace::new(INTERVAL, 10), Instant::now());
        assert!((0..10).all(|_| pace.admit("u1", start).is_ok()));
        assert_eq!(pace.admit("u1", start), Err(INTERVAL));
        assert_eq!(pace.admit("u2", start), Ok(()), "another caller is another matter");
        assert_eq!(pace.admit("u1", start + INTERVAL), Ok(()));
        assert_eq!(pace.admit("u1", start + INTERVAL), Err(INTERVAL));
    }

    #[test]
    fn a_refused_call_costs_nothing() {
        let (mut pace, start) = (Pace::new(INTERVAL, 1), Instant::now());
        assert_eq!(pace.admit("u1", start), Ok(()));
        assert!((0..100).all(|_| pace.admit("u1", start) == Err(INTERVAL)));
        assert_eq!(pace.admit("u1", start + INTERVAL), Ok(()));
    }

    #[test]
    fn callers_that_paused_are_forgotten_and_memory_is_bounded() {
        let (mut pace, start) = (Pace::new(INTERVAL, 10), Instant::now());
        for caller in 0..2 * MAX_CALLERS {
            assert_eq!(pace.admit(&caller.to_string(), start), Ok(()));
        }
        assert_eq!(pace.callers.len(), MAX_CALLERS);
        assert_eq!(pace.admit("late", start + 2 * SWEEP), Ok(()));
        assert_eq!(pace.callers.len(), 1);
    }
}
