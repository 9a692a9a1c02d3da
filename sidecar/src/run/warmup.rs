//! The requests, sent on schedule whatever becomes of those before (open loop).

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use futures::{Stream, StreamExt, stream::FuturesUnordered};
use proto::report::{EndedBy, Report};
use tokio::{select, time::Instant};

use crate::{
    adapters::{app::send::Sender, pace::Pace},
    ground::{
        message::Message,
        schedule::Schedule,
        settings::Errand,
        tally::{Frame, Sample, Tally},
    },
    log::log,
    random,
};

/// Sends all requests of the errand to `app`.
pub(super) async fn warm_up(errand: &Errand, app: IpAddr) -> Report {
    let schedule = Schedule::of(&errand.plan);
    log!("sending {} requests over {:?}", schedule.count(), schedule.duration());
    let started = SystemTime::now();
    let sender = Sender::to(SocketAddr::new(app, errand.plan.port));
    let mut tally = Tally::of(errand.script.names());
    let ended_by = send_all(errand, schedule, &sender, &mut tally).await;
    tally.report(Frame {
        ended_by,
        planned_count: schedule.count(),
        success_threshold: errand.plan.limits.success_threshold,
        connections: sender.connections(),
        started,
        ended: SystemTime::now(),
    })
}

/// Sends each request when it is due, or when a slot becomes free after that, until the time limit.
async fn send_all(errand: &Errand, schedule: Schedule, sender: &Sender, tally: &mut Tally) -> EndedBy {
    let slots = errand.plan.limits.concurrency as usize;
    let pace = Pace::new();
    let start = Instant::now();
    let end = start + schedule.duration();
    let mut free_since = start;
    let mut in_flight = FuturesUnordered::new();
    let mut ended_by = EndedBy::Count;
    for (index, (kind, message)) in (0..).zip(errand.script.messages()) {
        let due = start + schedule.due(index);
        while let Some(sample) = next_before(due, &pace, &mut in_flight).await {
            tally.record(sample);
        }
        if in_flight.len() >= slots {
            let Some(sample) = next_before(end, &pace, &mut in_flight).await else {
                ended_by = EndedBy::Time;
                break;
            };
            tally.record(sample);
            free_since = Instant::now();
        }
        let departure = Departure { index, kind, due, possible: due.max(free_since) };
        let limit = schedule.timeout(tally.has_succeeded(kind));
        in_flight.push(departure.send(message, sender, limit));
    }
    while let Some(sample) = in_flight.next().await {
        tally.record(sample);
    }
    ended_by
}

/// The next request in flight to complete before `time`; `None` once that has come.
async fn next_before(
    time: Instant,
    pace: &Pace,
    in_flight: &mut (impl Stream<Item = Sample> + Unpin),
) -> Option<Sample> {
    select! {
        biased;
        () = pace.until(time) => None,
        Some(sample) = in_flight.next() => Some(sample),
    }
}

/// When a request leaves.
struct Departure {
    index: u32,
    kind: usize,
    /// By the schedule: latency runs from here.
    due: Instant,
    /// With a free slot: the sidecar's own lateness runs from here.
    possible: Instant,
}

impl Departure {
    async fn send(self, message: &Message, sender: &Sender, limit: Duration) -> Sample {
        let lateness = self.possible.elapsed();
        let request = message.to(sender.address(), random::bits());
        let outcome = sender.send(message.protocol(), request, limit).await;
        Sample { index: self.index, kind: self.kind, latency: self.due.elapsed(), lateness, outcome }
    }
}
