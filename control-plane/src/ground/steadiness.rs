//! Whether we are ready, by checks of which one may fail now and then.

use std::time::{Duration, Instant};

/// How long checks must fail before readiness is lost: longer than anything that heals by itself takes.
const LOST_AFTER: Duration = Duration::from_secs(30);
/// How long checks must pass before readiness that was lost is back.
const BACK_AFTER: Duration = Duration::from_secs(4);

/// A verdict that follows the checks, but not each of them.
#[derive(Debug, Default)]
pub struct Steadiness {
    is_ready: bool,
    was_ready: bool,
    contrary_since: Option<Instant>,
}

impl Steadiness {
    /// Takes in that a check `passed`, or did not, at `now`; says whether we are ready.
    pub fn note(&mut self, passed: bool, now: Instant) -> bool {
        if passed == self.is_ready {
            self.contrary_since = None;
            return self.is_ready;
        }
        let since = *self.contrary_since.get_or_insert(now);
        let patience = match (self.is_ready, self.was_ready) {
            (true, _) => LOST_AFTER,
            (false, true) => BACK_AFTER,
            // Nobody waits longer for a first start than he must.
            (false, false) => Duration::ZERO,
        };
        if now.duration_since(since) >= patience {
            self.is_ready = passed;
            self.was_ready = true;
            self.contrary_since = None;
        }
        self.is_ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdicts after checks, one each two seconds.
    fn verdicts(checks: &str) -> String {
        let (mut steadiness, mut now) = (Steadiness::default(), Instant::now());
        let mut verdict = |check| {
            now += Duration::from_secs(2);
            if steadiness.note(check == '+', now) { '+' } else { '-' }
        };
        checks.chars().map(&mut verdict).collect()
    }

    #[test]
    fn the_first_check_that_passes_makes_ready() {
        assert_eq!(verdicts("--+"), "--+");
    }

    #[test]
    fn readiness_is_lost_only_when_checks_fail_for_a_while() {
        assert_eq!(verdicts("+---------------+-"), "++++++++++++++++++");
        assert_eq!(verdicts("+----------------"), "++++++++++++++++-");
    }

    #[test]
    fn readiness_that_was_lost_does_not_flap_back() {
        let lost = "+----------------";
        assert_eq!(&verdicts(&format!("{lost}+-+-+++"))[lost.len()..], "------+");
    }
}
