//! Whether the app wants to be left alone. Times are counted from the start of the warm-up.
//!
//! Only an explicit refusal counts: a connection that is refused, or 429 or 503 with `Retry-After`. An app that is
//! merely slow, or says nothing at all, is sent to on schedule: its users would come all the same.

use std::time::Duration;

use super::patience;

/// An app that refuses connections for so long is gone; for less, it is busy with itself.
const GONE_AFTER: Duration = Duration::from_millis(500);

/// What the app wants, as far as it has said so.
#[derive(Debug, Default)]
pub struct Restraint {
    hold: Option<Hold>,
    /// How long the holds took that are over.
    past: Duration,
    /// When the last of them was over.
    released: Duration,
}

#[derive(Debug)]
struct Hold {
    since: Duration,
    /// The end of the pause that was asked for.
    until: Duration,
    refusal: Option<Refusal>,
}

/// Connections that were refused in a row.
#[derive(Debug)]
struct Refusal {
    first: Duration,
    last: Duration,
}

/// Whether a request may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// It may.
    Free,
    /// Not before this time.
    Until(Duration),
    /// Not before the app takes connections again; that is asked at this time.
    Ask(Duration),
    /// The app is gone, and whatever was warmed with it.
    Gone,
}

/// What stands in the way of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The app takes no connections.
    Refusal,
    /// The app asked for a pause.
    Pause,
}

impl Restraint {
    /// The app asked for a `pause`.
    pub fn pause(&mut self, now: Duration, pause: Duration) {
        let hold = self.hold(now);
        hold.until = hold.until.max(now.saturating_add(pause));
    }

    /// The app refused a connection.
    pub fn refuse(&mut self, now: Duration) {
        let refusal = self.hold(now).refusal.get_or_insert(Refusal { first: now, last: now });
        refusal.last = refusal.last.max(now);
    }

    /// The app took a connection.
    pub fn take(&mut self, now: Duration) {
        if let Some(hold) = &mut self.hold
            && hold.refusal.take().is_some()
        {
            hold.until = hold.until.max(now);
        }
    }

    /// The hold that goes on, or one that begins.
    fn hold(&mut self, now: Duration) -> &mut Hold {
        self.settle(now);
        self.hold.get_or_insert(Hold { since: now, until: now, refusal: None })
    }

    fn settle(&mut self, now: Duration) {
        let over = self.hold.take_if(|hold| hold.refusal.is_none() && hold.until <= now);
        if let Some(over) = over {
            self.past += over.until.saturating_sub(over.since);
            self.released = over.until;
        }
    }

    /// Whether a request may leave, `now`.
    pub fn stand(&mut self, now: Duration) -> Stand {
        self.settle(now);
        match &self.hold {
            None => Stand::Free,
            Some(Hold { refusal: None, until, .. }) => Stand::Until(*until),
            Some(Hold { refusal: Some(Refusal { first, last }), .. }) => {
                let refused = last.saturating_sub(*first);
                if refused >= GONE_AFTER { Stand::Gone } else { Stand::Ask(*last + patience::pause(refused)) }
            }
        }
    }

    /// What stands in the way of requests.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        let hold = self.hold.as_ref()?;
        Some(if hold.refusal.is_some() { Obstacle::Refusal } else { Obstacle::Pause })
    }

    /// How long the holds took that are over: the schedule stood still meanwhile.
    #[must_use]
    pub fn past(&self) -> Duration {
        self.past
    }

    /// When the last hold was over.
    #[must_use]
    pub fn released(&self) -> Duration {
        self.released
    }

    /// How long nothing was sent, up to `now`.
    #[must_use]
    pub fn held_back(&self, now: Duration) -> Duration {
        let current = self.hold.as_ref().map_or(Duration::ZERO, |hold| {
            let end = if hold.refusal.is_some() { now } else { now.min(hold.until) };
            end.saturating_sub(hold.since)
        });
        self.past + current
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_pause_is_kept_and_the_longest_of_several_counts() {
        let mut restraint = Restraint::default();
        assert_eq!(restraint.stand(ms(10)), Stand::Free);
        restraint.pause(ms(10), ms(1_000));
        restraint.pause(ms(20), ms(500));
        assert_eq!(restraint.stand(ms(30)), Stand::Until(ms(1_010)));
        assert_eq!(restraint.held_back(ms(30)), ms(20));
        assert_eq!(restraint.stand(ms(1_200)), Stand::Free);
        assert_eq!((restraint.past(), restraint.released()), (ms(1_000), ms(1_010)));
        assert_eq!(restraint.held_back(ms(5_000)), ms(1_000));
    }

    #[test]
    fn a_pause_of_nothing_is_none() {
        let mut restraint = Restraint::default();
        restraint.pause(ms(10), Duration::ZERO);
        assert_eq!(restraint.stand(ms(10)), Stand::Free);
        assert_eq!(restraint.past(), Duration::ZERO);
    }

    #[test]
    fn an_app_that_refuses_connections_is_asked_until_it_takes_one() {
        let mut restraint = Restraint::default();
        restraint.refuse(ms(100));
        assert_eq!(restraint.stand(ms(100)), Stand::Ask(ms(150)));
        restraint.refuse(ms(150));
        assert_eq!(restraint.stand(ms(150)), Stand::Ask(ms(200)));
        assert_eq!(restraint.obstacle(), Some(Obstacle::Refusal));
        restraint.take(ms(201));
        assert_eq!(restraint.stand(ms(201)), Stand::Free);
        assert_eq!((restraint.past(), restraint.obstacle()), (ms(101), None));
    }

    #[test]
    fn an_app_that_was_refusing_for_long_is_gone_and_one_that_was_not_asked_for_long_is_not() {
        let mut restraint = Restraint::default();
        restraint.refuse(ms(100));
        assert_eq!(restraint.stand(ms(9_000)), Stand::Ask(ms(150)), "nobody knows what it did meanwhile");
        restraint.refuse(ms(599));
        assert_ne!(restraint.stand(ms(600)), Stand::Gone);
        restraint.refuse(ms(600));
        assert_eq!(restraint.stand(ms(600)), Stand::Gone);
        assert_eq!(restraint.held_back(ms(700)), ms(600));
    }

    #[test]
    fn a_pause_outlasts_a_refusal() {
        let mut restraint = Restraint::default();
        restraint.pause(ms(0), ms(1_000));
        restraint.refuse(ms(10));
        restraint.take(ms(60));
        assert_eq!(restraint.stand(ms(60)), Stand::Until(ms(1_000)));
        assert_eq!(restraint.obstacle(), Some(Obstacle::Pause));
    }

    proptest! {
        /// However they overlap, holds never add up to more than the time that has passed.
        #[test]
        fn nothing_is_held_back_for_longer_than_time_goes_by(
            events in proptest::collection::vec((0..4_u8, 0..400_u64, 0..2_000_u64), 1..40),
        ) {
            let (mut restraint, mut now, mut last) = (Restraint::default(), Duration::ZERO, Duration::ZERO);
            for (kind, step, pause) in events {
                now += ms(step);
                match kind {
                    0 => restraint.pause(now, ms(pause)),
                    1 => restraint.refuse(now),
                    2 => restraint.take(now),
                    _ => _ = restraint.stand(now),
                }
                let held = restraint.held_back(now);
                prop_assert!(last <= held && held <= now, "{:?} {:?} {:?}", last, held, now);
                last = held;
            }
        }
    }
}
