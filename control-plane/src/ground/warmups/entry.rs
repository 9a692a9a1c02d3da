//! One pod of the index: what is known of it, with the stage in which its gate is.

use std::time::Duration;

use jiff::Timestamp;

use super::super::{
    condition::Opening,
    observed::{Gate, Observed, Trouble},
    readiness,
};

/// Wait after a first refused apply; doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// Refusals in a row after which the condition is applied without the record.
const MAX_REFUSALS: u32 = 2;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) observed: Observed,
    pub(super) stage: Stage,
    pub(super) due: Option<Timestamp>,
    pub(super) active: Option<Active>,
    /// Whether the pod's condition says why it is held, or is about to.
    pub(super) is_explained: bool,
    /// Set once there will be no report, because our container cannot run.
    pub(super) given_up: Option<Trouble>,
    pub(super) generation: u64,
    /// Whether a scan found it, and the watch does not show it.
    pub(super) is_stray: bool,
}

#[derive(Debug)]
pub(super) enum Stage {
    Waiting,
    Opening(Attempt),
    /// With the version that our own apply made, so that older news is known as such.
    Open(Option<u128>),
}

/// An opening that the API server has not taken yet.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) opening: Box<Opening>,
    pub(super) is_under_way: bool,
    failures: u32,
    refusals: u32,
}

/// A warm-up that has begun, as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// The pod's namespace
    pub namespace: Box<str>,
    /// The pod's node, as far as it was known when the warm-up began
    pub node: Option<Box<str>>,
}

/// An opening that the API server took.
#[derive(Debug, PartialEq)]
pub struct Opened {
    /// What was applied.
    pub opening: Opening,
    /// The warm-up that this ended, where it had begun.
    pub ended: Option<Active>,
}

impl Entry {
    pub(super) fn new(observed: Observed) -> Self {
        Self {
            is_explained: observed.says_why,
            observed,
            stage: Stage::Waiting,
            due: None,
            active: None,
            given_up: None,
            generation: 0,
            is_stray: false,
        }
    }

    /// Whether `news` is older than the opening that we made ourselves.
    pub(super) fn knows_better(&self, news: &Observed) -> bool {
        let Stage::Open(Some(ours)) = self.stage else { return false };
        matches!(news.gate, Gate::Closed(_))
            && number(&news.resource_version).is_none_or(|theirs| theirs < ours)
    }

    /// When a pod that waits wants to be looked at.
    pub(super) fn wants_attention(
        &self,
        grace: Duration,
        fail_open_from: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        match (&self.stage, &self.observed.gate) {
            (Stage::Waiting, Gate::Closed(Some(_))) => Some(now),
            (Stage::Waiting, Gate::Closed(None)) if self.given_up.is_some() => Some(now),
            (Stage::Waiting, Gate::Closed(None)) => {
                readiness::deadline(&self.observed, grace).map(|deadline| deadline.max(fail_open_from))
            }
            _ => None,
        }
    }

    /// The opening that is due, marked as under way.
    pub(super) fn begin_opening(&mut self, grace: Duration, now: Timestamp) -> Option<Opening> {
        if matches!(self.stage, Stage::Waiting) {
            self.stage = Stage::opening(self.opening_by_itself(grace, now)?);
        }
        let Stage::Opening(attempt) = &mut self.stage else { return None };
        attempt.is_under_way = true;
        Some((*attempt.opening).clone())
    }

    fn opening_by_itself(&self, grace: Duration, now: Timestamp) -> Option<Opening> {
        match &self.observed.gate {
            Gate::Closed(Some(record)) => Some(Opening::again(&self.observed, (**record).clone(), now)),
            Gate::Closed(None) => {
                if let Some(trouble) = self.given_up {
                    return Some(Opening::without_sidecar(&self.observed, trouble, now));
                }
                let deadline = readiness::deadline(&self.observed, grace)?;
                let by_deadline = if self.is_stray { Opening::of_stray } else { Opening::by_deadline };
                Some(by_deadline(&self.observed, deadline))
            }
            Gate::Open | Gate::Absent => None,
        }
    }

    pub(super) fn opened(&mut self, version: Option<u128>) -> Option<Opened> {
        let before = std::mem::replace(&mut self.stage, Stage::Open(version));
        // Somebody may have closed it again before we heard that it was open.
        if matches!(self.observed.gate, Gate::Closed(_)) && number(&self.observed.resource_version) > version
        {
            self.stage = Stage::Waiting;
        }
        let Stage::Opening(Attempt { opening, .. }) = before else { return None };
        Some(Opened { opening: *opening, ended: self.active.take() })
    }
}

impl Stage {
    pub(super) fn opening(opening: Opening) -> Self {
        Self::Opening(Attempt { opening: Box::new(opening), is_under_way: false, failures: 0, refusals: 0 })
    }
}

impl Attempt {
    /// Notes a failure and gives the pause before the next try.
    pub(super) fn failed(&mut self, is_refused: bool) -> Duration {
        self.is_under_way = false;
        self.refusals = if is_refused { self.refusals + 1 } else { 0 };
        // A full set of annotations, or a policy against ours, must not keep the gate closed.
        self.opening.keeps_record &= self.refusals < MAX_REFUSALS;
        let pause = FIRST_BACKOFF.saturating_mul(1 << self.failures.min(10)).min(LONGEST_BACKOFF);
        self.failures += 1;
        pause
    }
}

/// Resource versions of one resource compare as numbers.
pub(super) fn number(resource_version: &str) -> Option<u128> {
    resource_version.parse().ok()
}
