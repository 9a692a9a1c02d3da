//! The requests from the first to the last, sent on schedule whatever becomes of those before (open loop), or back to
//! back.

use std::time::Duration;

use futures::{
    Stream, StreamExt,
    future::Either::{Left, Right},
    stream::FuturesUnordered,
};
use proto::report::EndedBy;
use tokio::{select, time::Instant};

use crate::{
    adapters::{
        app::{probe, send::Sender},
        pace::Pace,
    },
    ground::{
        course::{Bounds, Course, Departure, Landing, Next},
        goal::Goal,
        outcome::{Failure, Outcome},
        patience::SHORTEST_TRY,
        question::Question,
        restraint::Obstacle,
        schedule::Schedule,
        settings::Errand,
        tally::{Sample, Tally},
    },
    random,
};

/// The requests to one process of the app.
pub(super) struct Round<'a> {
    errand: &'a Errand,
    sender: &'a Sender,
    schedule: Schedule,
    start: Instant,
    course: Course,
    goal: Goal,
    tally: Tally,
}

/// How a round ended.
pub(super) enum Ended {
    /// By what is the end of the warm-up.
    By(EndedBy),
    /// The app is gone.
    Gone,
}

/// What was in flight.
enum Landed {
    Request(Landing),
    /// Whether the app refused a connection.
    Question(bool),
}

impl<'a> Round<'a> {
    /// All requests of the errand, to `sender`'s address, none of which leaves once `limit` is over.
    pub(super) fn new(errand: &'a Errand, sender: &'a Sender, limit: Duration) -> Self {
        let (schedule, start) = (Schedule::of(&errand.plan), Instant::now());
        let bounds = Bounds {
            limit,
            slots: errand.plan.limits.concurrency as usize,
            retries: errand.plan.limits.retries,
        };
        let course = Course::new(schedule, bounds);
        Self {
            errand,
            sender,
            schedule,
            start,
            course,
            goal: Goal::of(&errand.plan),
            tally: Tally::of(errand.script.names()),
        }
    }

    /// Sends them.
    pub(super) async fn run(&mut self) -> Ended {
        let pace = Pace::new();
        let mut in_flight = FuturesUnordered::new();
        loop {
            let landed = match self.course.next(self.start.elapsed()) {
                Next::Send(departure) => {
                    let Some(flight) = self.flight(departure) else { return Ended::By(EndedBy::Count) };
                    in_flight.push(Left(flight));
                    continue;
                }
                Next::Ask => {
                    in_flight.push(Right(ask(self.sender)));
                    continue;
                }
                Next::Wait(until) => next_before(self.start + until, &pace, &mut in_flight).await,
                Next::Drain => in_flight.next().await,
                Next::Gone => return self.ended(Ended::Gone),
                Next::End(ended_by) => return self.ended(Ended::By(ended_by)),
            };
            match landed {
                Some(Landed::Request(landing)) => self.land(landing),
                Some(Landed::Question(is_refused)) => self.course.answered(is_refused, self.start.elapsed()),
                None => {}
            }
        }
    }

    /// What still waited to be sent again has failed.
    fn ended(&mut self, how: Ended) -> Ended {
        self.course.given_up().for_each(|sample| self.tally.record(sample));
        how
    }

    /// The way of a request and of its answer; `None` past the last.
    fn flight(&self, departure: Departure) -> Option<impl Future<Output = Landed> + use<'a>> {
        let (start, sender) = (self.start, self.sender);
        let (kind, message) = self.errand.script.get(departure.index)?;
        let limit = self.schedule.timeout(self.tally.has_succeeded(kind));
        Some(async move {
            let left = start.elapsed();
            let request = message.to(sender.address(), random::bits());
            let answer = sender.send(message.protocol(), request, limit).await;
            let landed = start.elapsed();
            let sample = Sample {
                index: departure.index,
                kind,
                latency: landed.saturating_sub(departure.due),
                service_time: landed.saturating_sub(left),
                lateness: left.saturating_sub(departure.possible),
                outcome: answer.outcome,
            };
            let (retry_after, is_idempotent) = (answer.retry_after, message.is_idempotent());
            Landed::Request(Landing { departure, sample, retry_after, is_idempotent })
        })
    }

    fn land(&mut self, landing: Landing) {
        let Some(sample) = self.course.landed(landing, self.start.elapsed(), random::bits()) else { return };
        if self.goal.is_reached_by(&sample) {
            self.course.end_by(EndedBy::Stable);
        }
        self.tally.record(sample);
    }

    /// How long nothing was sent.
    pub(super) fn held_back(&self) -> Duration {
        self.course.held_back(self.start.elapsed())
    }

    /// What stands in the way of requests.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        self.course.obstacle()
    }

    /// How often a request was sent again.
    pub(super) fn retries(&self) -> u32 {
        self.course.retries()
    }
}

impl From<Round<'_>> for Tally {
    fn from(round: Round<'_>) -> Self {
        round.tally
    }
}

/// Asks the app whether it takes connections. One that says nothing does: it is slow, and no reason to hold back.
async fn ask(sender: &Sender) -> Landed {
    let address = sender.address();
    let answer = probe::ask(&Question::of_port(address.port()), address, SHORTEST_TRY).await;
    Landed::Question(answer == Err(Outcome::Failed(Failure::Refused)))
}

/// What is next in flight to land before `time`; `None` once that has come.
async fn next_before(
    time: Instant,
    pace: &Pace,
    in_flight: &mut (impl Stream<Item = Landed> + Unpin),
) -> Option<Landed> {
    select! {
        biased;
        () = pace.until(time) => None,
        Some(landed) = in_flight.next() => Some(landed),
    }
}
