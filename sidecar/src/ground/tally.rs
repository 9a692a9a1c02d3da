//! The requests of a warm-up as they complete, and the report that they add up to.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use proto::{
    plan::Until,
    report::{EndedBy, Quantiles, Report, one_line},
};

use super::{outcome::Outcome, restraint::Obstacle};

mod clauses;
mod paths;

/// Fewest requests in the first and the last tenth for which their quantiles tell anything.
const FEWEST_OF_A_TENTH: usize = 10;

/// One completed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Its place in the schedule, from 0.
    pub index: u32,
    /// Which of the plan's requests it was.
    pub kind: usize,
    /// From the moment it was scheduled.
    pub latency: Duration,
    /// From the moment it was really sent, the last time where it was sent again.
    pub service_time: Duration,
    /// How late the sidecar itself sent it.
    pub lateness: Duration,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a report says beside the requests.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// What ended the warm-up.
    pub ended_by: EndedBy,
    /// Requests that the plan asked for.
    pub planned_count: u32,
    /// What the requests were sent for.
    pub until: Until,
    /// Share of requests that must succeed, 0 to 1.
    pub success_threshold: f64,
    /// Connections opened.
    pub connections: u32,
    /// How often a request was sent again.
    pub retries: u32,
    /// How often the app went away, and the warm-up began anew.
    pub restarts: u32,
    /// How long nothing was sent because the app refused.
    pub held_back: Duration,
    /// What stood in the way of further requests.
    pub obstacle: Option<Obstacle>,
    /// When the first request was due.
    pub started: SystemTime,
    /// When the last one was done.
    pub ended: SystemTime,
}

/// The completed requests so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// What people know the plan's requests by, by their numbers.
    names: Vec<String>,
    samples: Vec<Sample>,
    succeeded: BTreeSet<usize>,
}

impl Tally {
    /// Nothing so far of requests that people know by `names`.
    #[must_use]
    pub fn of(names: Vec<String>) -> Self {
        Self { names, ..Self::default() }
    }

    /// Adds a completed request.
    pub fn record(&mut self, sample: Sample) {
        if sample.outcome.is_success() {
            self.succeeded.insert(sample.kind);
        }
        self.samples.push(sample);
    }

    /// Whether a request of this kind has succeeded.
    #[must_use]
    pub fn has_succeeded(&self, kind: usize) -> bool {
        self.succeeded.contains(&kind)
    }

    /// The report of all requests. Without any it is a success only where none needs to succeed.
    #[must_use]
    pub fn report(mut self, frame: Frame) -> Report {
        self.samples.sort_unstable_by_key(|sample| sample.index);
        let tenth = Some(self.samples.len() / 10).filter(|tenth| *tenth >= FEWEST_OF_A_TENTH).unwrap_or(0);
        let (first, last) = (&self.samples[..tenth], &self.samples[self.samples.len() - tenth..]);
        let mut report = Report {
            ended_by: frame.ended_by,
            planned_count: frame.planned_count,
            request_count: count(self.samples.len()),
            failed_count: count(self.samples.iter().filter(|sample| !sample.outcome.is_success()).count()),
            latency: latencies(&self.samples),
            first_request: self.samples.first().map(|sample| sample.latency),
            cold: latencies(first),
            warm: latencies(last),
            service_time: quantiles(self.samples.iter().map(|sample| sample.service_time).collect()),
            connections: frame.connections,
            retries: frame.retries,
            restarts: frame.restarts,
            held_back: Some(frame.held_back).filter(|held_back| !held_back.is_zero()),
            lateness_p99: quantiles(self.samples.iter().map(|sample| sample.lateness).collect())
                .map(|lateness| lateness.p99),
            paths: paths::reports(&self.samples, &self.names),
            ended: frame.ended,
            ..Report::without_requests(frame.ended_by, frame.started, "")
        };
        for sample in &self.samples {
            *report.statuses.entry(sample.outcome.status()).or_default() += 1;
        }
        // What was warmed ended with the app.
        let is_gone = frame.obstacle == Some(Obstacle::Refusal);
        report.success = !is_gone && is_success(&report, &frame);
        let clauses = clauses::of(&report, (&self.samples, &self.names), frame.obstacle);
        report.message = one_line(&(report.summary() + &clauses));
        report
    }
}

/// Of all wanted requests: those that time did not suffice for have warmed nothing. Where a stable latency is wanted and
/// not their number, that is for which there was time.
fn is_success(report: &Report, frame: &Frame) -> bool {
    let (threshold, succeeded) = (frame.success_threshold, report.request_count - report.failed_count);
    let wanted = match frame.until {
        Until::Count => report.wanted_count(),
        Until::Stable => report.request_count,
    };
    // The product may be a little more than it is on paper: 55 % of 100 are 55.00000000000001.
    f64::from(succeeded) + 1e-9 >= threshold * f64::from(wanted) && (wanted > 0 || threshold <= 0.0)
}

fn latencies(samples: &[Sample]) -> Option<Quantiles> {
    quantiles(samples.iter().map(|sample| sample.latency).collect())
}

/// Exact, by nearest rank; `None` of nothing.
fn quantiles(mut durations: Vec<Duration>) -> Option<Quantiles> {
    durations.sort_unstable();
    Some(Quantiles { p50: nearest_rank(&durations, 50)?, p99: nearest_rank(&durations, 99)? })
}

fn nearest_rank(sorted: &[Duration], percent: usize) -> Option<Duration> {
    sorted.get((sorted.len() * percent).div_ceil(100).checked_sub(1)?).copied()
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
