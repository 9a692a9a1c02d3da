//! What comes next in a warm-up. Times are counted from its start.

use std::time::Duration;

use proto::report::EndedBy;

use super::{
    backoff::Backoff,
    outcome::{Failure, Outcome},
    restraint::{Obstacle, Restraint, Stand},
    schedule::Schedule,
    tally::Sample,
};

/// Where a warm-up stands.
#[derive(Debug)]
pub struct Course {
    schedule: Schedule,
    bounds: Bounds,
    restraint: Restraint,
    sent: u32,
    in_flight: usize,
    /// When the slot became free that the next request takes.
    free_since: Duration,
    /// Requests that are sent again.
    again: Vec<Again>,
    retries: u32,
    /// Whether the last answer was a connection that broke: the app may have died of that very request.
    is_suspect: bool,
    is_asking: bool,
    ended_by: Option<EndedBy>,
}

/// What bounds a warm-up.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// After this time no request leaves any more.
    pub limit: Duration,
    /// Requests in flight at most.
    pub slots: usize,
    /// Further tries of a request whose connection failed.
    pub retries: u32,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// This request leaves.
    Send(Departure),
    /// The app is asked whether it takes connections.
    Ask,
    /// Nothing before this time, unless something in flight lands earlier.
    Wait(Duration),
    /// Nothing but what is in flight.
    Drain,
    /// Nothing: the app is gone. What it had of the warm-up is gone with it.
    Gone,
    /// Nothing.
    End(EndedBy),
}

/// When a request leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// Its place in the schedule, from 0.
    pub index: u32,
    /// By the schedule: latency runs from here. Back-to-back, that is when a slot became free.
    pub due: Duration,
    /// With a free slot: the sidecar's own lateness runs from here.
    pub possible: Duration,
    tries: u32,
    backoff: Backoff,
}

/// A request that has come to an end.
#[derive(Debug)]
pub struct Landing {
    /// When it left.
    pub departure: Departure,
    /// What came of it.
    pub sample: Sample,
    /// How long the app wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether sending it twice does no more than sending it once.
    pub is_idempotent: bool,
}

#[derive(Debug)]
struct Again {
    at: Duration,
    departure: Departure,
    /// What came of the last try.
    sample: Sample,
}

impl Course {
    /// The start of a warm-up by `schedule`.
    #[must_use]
    pub fn new(schedule: Schedule, bounds: Bounds) -> Self {
        Self {
            schedule,
            bounds,
            restraint: Restraint::default(),
            sent: 0,
            in_flight: 0,
            free_since: Duration::ZERO,
            again: Vec::new(),
            retries: 0,
            is_suspect: false,
            is_asking: false,
            ended_by: None,
        }
    }

    /// What comes next, `now`. What leaves is in flight until it has [`landed`](Self::landed), or was
    /// [`answered`](Self::answered).
    pub fn next(&mut self, now: Duration) -> Next {
        let limit = self.bounds.limit;
        match (self.restraint.stand(now), self.ended_by) {
            (Stand::Ask(_) | Stand::Gone, _) if now >= limit => self.end_by(EndedBy::Time),
            (Stand::Gone, _) => Next::Gone,
            (Stand::Ask(_), _) if self.is_asking => Next::Wait(limit),
            (Stand::Ask(at), _) if now < at => Next::Wait(at.min(limit)),
            (Stand::Ask(_), _) => self.ask(),
            (_, Some(ended_by)) => self.end_by(ended_by),
            _ if self.is_all_sent() => self.end_by(EndedBy::Count),
            // Nothing can be sent any more: whoever waits for the pod should not wait for that.
            (Stand::Until(at), _) if at >= limit => self.end_by(EndedBy::Time),
            (Stand::Until(at), _) => Next::Wait(at),
            (Stand::Free, _) => self.next_request(now),
        }
    }

    fn next_request(&mut self, now: Duration) -> Next {
        let limit = self.bounds.limit;
        if self.in_flight >= self.bounds.slots {
            return if now < limit { Next::Wait(limit) } else { self.end_by(EndedBy::Time) };
        }
        match self.earliest() {
            Some(departure) if departure.possible <= now.min(limit) => self.send(departure),
            Some(departure) if departure.possible <= limit => Next::Wait(departure.possible),
            _ => self.end_by(EndedBy::Time),
        }
    }

    /// The request that may leave first.
    fn earliest(&self) -> Option<Departure> {
        let free_since = self.free_since.max(self.restraint.released());
        let again = self
            .again
            .iter()
            .map(|again| Departure { possible: again.at.max(free_since), ..again.departure.clone() });
        again.chain(self.fresh(free_since)).min_by_key(|departure| departure.possible)
    }

    /// The next request that was not sent before. While the app is left alone, the schedule stands still.
    fn fresh(&self, free_since: Duration) -> Option<Departure> {
        let due = self.schedule.due(self.sent).map_or(free_since, |due| due + self.restraint.past());
        let (possible, backoff) = (due.max(free_since), Backoff::default());
        let departure = Departure { index: self.sent, due, possible, tries: 0, backoff };
        (self.sent < self.schedule.count()).then_some(departure)
    }

    fn send(&mut self, departure: Departure) -> Next {
        if departure.tries == 0 {
            self.sent += 1;
        } else {
            self.again.retain(|again| again.departure.index != departure.index);
            self.retries += 1;
        }
        self.in_flight += 1;
        Next::Send(departure)
    }

    fn ask(&mut self) -> Next {
        self.is_asking = true;
        self.is_suspect = false;
        Next::Ask
    }

    fn is_all_sent(&self) -> bool {
        self.sent == self.schedule.count() && self.again.is_empty()
    }

    /// A request has come to an end: what came of it, unless it is sent again, after a pause that hangs on `random`.
    pub fn landed(&mut self, landing: Landing, now: Duration, random: u64) -> Option<Sample> {
        let Landing { mut departure, sample, retry_after, is_idempotent } = landing;
        if self.in_flight == self.bounds.slots {
            self.free_since = now;
        }
        self.in_flight -= 1;
        self.is_suspect = sample.outcome == Outcome::Failed(Failure::Closed);
        if sample.outcome == Outcome::Failed(Failure::Refused) {
            self.restraint.refuse(now);
        }
        if let Some(pause) = retry_after {
            self.restraint.pause(now, pause);
        }
        let may_retry = is_idempotent && departure.tries < self.bounds.retries && self.ended_by.is_none();
        if may_retry && sample.outcome.is_connection_error() {
            departure.tries += 1;
            let at = now + departure.backoff.pause(random);
            if at <= self.bounds.limit {
                self.again.push(Again { at, departure, sample });
                return None;
            }
        }
        Some(sample)
    }

    /// The app was asked whether it takes connections.
    pub fn answered(&mut self, is_refused: bool, now: Duration) {
        self.is_asking = false;
        if is_refused { self.restraint.refuse(now) } else { self.restraint.take(now) }
    }

    /// No further request is to leave.
    pub fn end_by(&mut self, ended_by: EndedBy) -> Next {
        let ended_by = *self.ended_by.get_or_insert(ended_by);
        if self.in_flight > 0 || self.is_asking {
            Next::Drain
        } else if self.is_suspect {
            self.ask()
        } else {
            Next::End(ended_by)
        }
    }

    /// What came of requests that were to be sent again, and for which there is no time left.
    pub fn given_up(&mut self) -> impl Iterator<Item = Sample> {
        self.again.drain(..).map(|again| again.sample)
    }

    /// How often a request was sent again.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// How long nothing was sent because the app refused, up to `now`.
    #[must_use]
    pub fn held_back(&self, now: Duration) -> Duration {
        self.restraint.held_back(now)
    }

    /// What stood in the way of further requests.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        self.restraint.obstacle()
    }
}

#[cfg(test)]
mod tests;
