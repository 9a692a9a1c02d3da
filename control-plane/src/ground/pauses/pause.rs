//! One pause of injection: it lasts longer each time that trying again fails.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::barrier::{Barrier, Tickets};

/// The first pause; doubles with each trial that fails.
const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_hours(1);
/// Another probe is let in when the one before has not shown anything by then: it may never have been created.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Debug)]
pub(super) struct Pause {
    wait: Duration,
    /// When the last failure came: what started before proves nothing.
    failed: Timestamp,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is injected.
    Closed { until: Timestamp },
    /// Single pods are injected, to see whether it works again.
    Trial { tickets: Arc<Tickets>, until: Timestamp },
    /// All is injected; remembered, so that the next failure goes on where this one was.
    Lifted,
}

impl Pause {
    pub(super) fn begin(now: Timestamp) -> Self {
        Self { wait: FIRST, failed: now, state: State::Closed { until: after(now, FIRST) } }
    }

    /// Takes a failure. Returns whether that begins a pause; what fails during one was there before.
    pub(super) fn fail(&mut self, now: Timestamp) -> bool {
        if matches!(self.state, State::Closed { .. }) {
            return false;
        }
        self.wait = self.wait.saturating_mul(2).min(LONGEST);
        self.failed = now;
        self.state = State::Closed { until: after(now, self.wait) };
        true
    }

    /// Takes that a sidecar works which `started` then. Returns whether that ends a pause.
    pub(super) fn work(&mut self, started: Timestamp) -> bool {
        // The kubelet's times are whole seconds.
        let is_proof = after(started, Duration::from_secs(1)) > self.failed;
        if !is_proof || matches!(self.state, State::Lifted) {
            return false;
        }
        self.state = State::Lifted;
        true
    }

    /// Lets single probes in, where it is time for that. Returns whether it is.
    pub(super) fn try_again(&mut self, now: Timestamp) -> bool {
        let is_due = self.trial_due().is_some_and(|due| due <= now);
        if is_due {
            self.state = State::Trial { tickets: Arc::default(), until: after(now, PATIENCE) };
        }
        is_due
    }

    /// When the clock changes something.
    pub(super) fn due(&self) -> Timestamp {
        self.trial_due().map_or(self.forgotten(), |due| due.min(self.forgotten()))
    }

    fn trial_due(&self) -> Option<Timestamp> {
        match self.state {
            State::Closed { until } | State::Trial { until, .. } => Some(until),
            State::Lifted => None,
        }
    }

    /// From when on it need not be remembered: it was tried for an hour, and nothing has failed.
    pub(super) fn forgotten(&self) -> Timestamp {
        after(self.failed, self.wait.saturating_add(LONGEST))
    }

    pub(super) fn is_trial(&self) -> bool {
        matches!(self.state, State::Trial { .. })
    }

    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    pub(super) fn barrier(&self) -> Option<Barrier> {
        match &self.state {
            State::Closed { .. } => Some(Barrier::Closed),
            State::Trial { tickets, .. } => Some(Barrier::Trial(Arc::clone(tickets))),
            State::Lifted => None,
        }
    }
}

fn after(start: Timestamp, wait: Duration) -> Timestamp {
    start.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_trial_that_fails_makes_the_pause_twice_as_long_up_to_an_hour() {
        let mut now = at(100);
        let mut pause = Pause::begin(now);
        let mut waits = vec![pause.wait().as_secs()];
        for _ in 0..8 {
            assert!(!pause.fail(now), "what fails during a pause was there before");
            now = pause.due();
            assert!(pause.try_again(now) && pause.is_trial() && pause.fail(now));
            waits.push(pause.wait().as_secs());
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    }

    #[test]
    fn a_sidecar_that_works_ends_it_at_once_if_it_started_after_the_failure() {
        let mut pause = Pause::begin(at(100));
        assert!(!pause.work(at(98)));
        assert!(pause.work(at(100)), "times are whole seconds");
        assert!(pause.barrier().is_none() && !pause.work(at(101)));
        assert!(pause.fail(at(110)));
        assert_eq!(pause.wait().as_secs(), 60, "a failure soon after goes on where this one was");
    }

    #[test]
    fn a_trial_lets_another_probe_in_when_the_first_shows_nothing() {
        let mut pause = Pause::begin(at(100));
        let takes = |pause: &Pause| pause.barrier().unwrap().admits("shop", false);
        assert!(!pause.try_again(at(129)) && !takes(&pause));
        assert!(pause.try_again(at(130)) && takes(&pause) && !takes(&pause));
        assert!(!pause.try_again(at(249)) && !takes(&pause));
        assert!(pause.try_again(at(250)) && takes(&pause) && !takes(&pause));
    }

    #[test]
    fn it_is_forgotten_when_nothing_has_failed_for_an_hour() {
        let mut pause = Pause::begin(at(0));
        assert_eq!((pause.due(), pause.forgotten()), (at(30), at(3_630)));
        pause.try_again(at(3_600));
        assert_eq!(pause.due(), at(3_630));
        assert!(pause.work(at(3_601)));
        assert_eq!(pause.due(), at(3_630));
    }
}
