//! What a report's message says after its numbers, in our own words.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proto::report::{EndedBy, ForPeople, Report};

use super::{Obstacle, Outcome, Sample};
use crate::ground::grpc::Code;

/// Most causes that a message names.
const MAX_CAUSES: usize = 4;
/// A queue before the app that costs less than this is nothing to talk of.
const SHORT: Duration = Duration::from_millis(10);

/// The clauses: `; 3 x 503, 1 x timed out; 25% answered 3xx; …`, about samples of requests that have these names.
pub(super) fn of(
    report: &Report,
    (samples, names): (&[Sample], &[String]),
    obstacle: Option<Obstacle>,
) -> String {
    let clauses = [
        stable(report),
        failures(samples),
        absent(samples, names),
        redirects(samples),
        queue(report),
        held_back(report),
        restarts(report),
        end(report.ended_by, obstacle),
    ];
    clauses.into_iter().flatten().fold(String::new(), |text, clause| text + "; " + &clause)
}

fn stable(report: &Report) -> Option<String> {
    (report.ended_by == EndedBy::Stable).then(|| format!("stable after {} requests", report.request_count))
}

/// The causes of failed requests, the most frequent first.
fn failures(samples: &[Sample]) -> Option<String> {
    let mut counts = BTreeMap::<Outcome, usize>::new();
    for sample in samples.iter().filter(|sample| !sample.outcome.is_success()) {
        *counts.entry(sample.outcome).or_default() += 1;
    }
    let mut causes: Vec<_> = counts.into_iter().collect();
    causes.sort_by_key(|(_, count)| Reverse(*count));
    let named = causes.iter().take(MAX_CAUSES).map(|(cause, count)| format!("{count} x {cause}"));
    let rest: usize = causes.iter().skip(MAX_CAUSES).map(|(_, count)| count).sum();
    let other = (rest > 0).then(|| format!("{rest} x other"));
    let texts: Vec<_> = named.chain(other).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// The gRPC methods that the app does not have.
fn absent(samples: &[Sample], names: &[String]) -> Option<String> {
    let is_absent = |sample: &&Sample| sample.outcome == Outcome::Called(Code::UNIMPLEMENTED);
    let kinds: BTreeSet<usize> = samples.iter().filter(is_absent).map(|sample| sample.kind).collect();
    let names: Vec<&str> = kinds.into_iter().filter_map(|kind| Some(&**names.get(kind)?)).collect();
    (!names.is_empty()).then(|| format!("the app has no {}", names.join(", ")))
}

/// The share of redirects: they count as success, and warm less than their target would.
fn redirects(samples: &[Sample]) -> Option<String> {
    let is_redirect = |sample: &&Sample| matches!(sample.outcome, Outcome::Status(300..=399));
    let count = samples.iter().filter(is_redirect).count();
    (count > 0).then(|| format!("{}% answered 3xx", (count * 100).div_ceil(samples.len())))
}

/// How long the app itself took, where most of the latency was spent before a request could leave; that the sidecar was
/// late is no such reason.
fn queue(report: &Report) -> Option<String> {
    let (latency, service) = (report.latency?.p99, report.service_time?.p99);
    let is_long = latency > service * 2 && latency.saturating_sub(service) > report.lateness_p99? * 2 + SHORT;
    is_long.then(|| format!("p99 {} from the moment of sending", ForPeople(service)))
}

fn held_back(report: &Report) -> Option<String> {
    report.held_back.map(|held_back| format!("held back for {}", ForPeople(held_back)))
}

fn restarts(report: &Report) -> Option<String> {
    match report.restarts {
        0 => None,
        1 => Some("started over once, when the app came back".to_owned()),
        times => Some(format!("started over {times} times, when the app came back")),
    }
}

fn end(ended_by: EndedBy, obstacle: Option<Obstacle>) -> Option<String> {
    let clause = match (ended_by, obstacle) {
        (_, Some(Obstacle::Refusal)) => "the app takes no connections any more",
        (EndedBy::Time, Some(Obstacle::Pause)) => "the app wants a pause past the time limit",
        (EndedBy::Time, None) => "the time limit came first",
        _ => return None,
    };
    Some(clause.to_owned())
}
