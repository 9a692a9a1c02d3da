//! Why requests failed, in our own words.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use proto::report::EndedBy;

use super::{Outcome, Sample};
use crate::ground::grpc::Code;

/// Most causes that a message names.
const MAX_CAUSES: usize = 4;

/// What a report's message says after its numbers: `; 3 x 503, 1 x timed out; 25% answered 3xx; …`.
pub(super) fn clauses(samples: &[Sample], names: &[String], ended_by: EndedBy) -> String {
    let limit = (ended_by == EndedBy::Time).then(|| "the time limit came first".to_owned());
    let mut text = String::new();
    for clause in [failures(samples), absent(samples, names), redirects(samples), limit].into_iter().flatten()
    {
        text += &format!("; {clause}");
    }
    text
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
