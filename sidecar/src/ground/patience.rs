//! How long the sidecar waits for others.

use std::time::Duration;

use super::outcome::{Failure, Outcome};

/// How long a question may take at first.
pub const SHORTEST_TRY: Duration = Duration::from_secs(1);
/// How long a question may take in the end.
const LONGEST_TRY: Duration = Duration::from_secs(8);

/// What the sidecar waits for, and how long at most. Tests bring shorter ones.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the app's first answer; the control plane opens the gate by itself at the same time.
    pub app: Duration,
    /// For the app, until the control plane is told what was tried.
    pub silence: Duration,
    /// For the control plane's word before the requests start.
    pub start: Duration,
    /// For the same, while they are under way.
    pub word: Duration,
    /// For the report to be taken.
    pub report: Duration,
    /// For one answer of the control plane, or a connection to it.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            app: Duration::from_mins(15),
            silence: Duration::from_secs(20),
            start: Duration::from_millis(25),
            word: Duration::from_secs(1),
            report: Duration::from_mins(15),
            answer: Duration::from_secs(10),
        }
    }
}

/// The pause before the app is asked again, after it kept us waiting for `waited`: a twentieth of that, from 50 ms to
/// 200 ms, and 1 s after a minute.
#[must_use]
pub fn pause(waited: Duration) -> Duration {
    if waited >= Duration::from_mins(1) {
        return Duration::from_secs(1);
    }
    (waited / 20).clamp(Duration::from_millis(50), Duration::from_millis(200))
}

/// How long the next question may take, after one that could take `limit` came to `outcome`: twice as long where the app
/// was silent. It may need more time for each answer, or have accepted a connection that it comes to later.
#[must_use]
pub fn try_after(limit: Duration, outcome: Outcome) -> Duration {
    match outcome {
        Outcome::Failed(Failure::TimedOut) => (limit * 2).min(LONGEST_TRY),
        // Nobody listens at that one of its addresses.
        Outcome::Failed(_) => limit,
        Outcome::Status(_) | Outcome::Called(_) => SHORTEST_TRY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_app_gets_more_time_for_each_answer_until_it_says_something() {
        let silent = |limit| try_after(limit, Outcome::Failed(Failure::TimedOut));
        let limits: Vec<_> = (0..5)
            .scan(SHORTEST_TRY, |limit, _| Some(std::mem::replace(limit, silent(*limit)).as_secs()))
            .collect();
        assert_eq!(limits, [1, 2, 4, 8, 8]);
        assert_eq!(try_after(LONGEST_TRY, Outcome::Failed(Failure::Refused)), LONGEST_TRY);
        assert_eq!(try_after(LONGEST_TRY, Outcome::Status(503)), SHORTEST_TRY);
    }

    #[test]
    fn an_app_is_asked_less_often_the_longer_it_takes() {
        for (waited, expected) in
            [(0, 50), (1_000, 50), (2_000, 100), (4_000, 200), (59_999, 200), (60_000, 1_000)]
        {
            let pause = pause(Duration::from_millis(waited));
            assert_eq!(pause, Duration::from_millis(expected), "after {waited} ms");
        }
    }
}
