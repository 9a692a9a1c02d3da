//! How long the sidecar waits for others.

use std::time::Duration;

/// What the sidecar waits for, and how long at most. Tests bring shorter ones.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the app's first answer; the control plane opens the gate by itself at the same time.
    pub app: Duration,
    /// For the app, until the control plane is told what was tried.
    pub silence: Duration,
    /// For the control plane's word before the requests start.
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

#[cfg(test)]
mod tests {
    use super::*;

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
