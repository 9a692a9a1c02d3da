//! All warm-ups of the cluster: which gates are closed, until when, and which are being opened.
//!
//! An index that is fed by the watch, by reports and by the clock, and that answers with openings. It has one owner,
//! and nothing else decides that a gate opens.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use proto::report::Report;

use super::{
    condition::Opening,
    observed::{Gate, Observed, PodRef},
    readiness,
};

/// Wait after a first refused apply; doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// After a conflict: by then the watch has brought the version that conflicted.
const AFTER_CONFLICT: Duration = Duration::from_millis(250);

/// The index.
#[derive(Debug)]
pub struct Warmups {
    grace: Duration,
    entries: HashMap<Box<str>, Entry>,
    /// When entries want attention; each at most once.
    due: BTreeSet<(Timestamp, Box<str>)>,
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    observed: Observed,
    stage: Stage,
    due: Option<Timestamp>,
    is_active: bool,
    generation: u64,
}

#[derive(Debug)]
enum Stage {
    Waiting,
    Opening {
        opening: Box<Opening>,
        attempts: u32,
    },
    /// With the version that our own apply made, so that older news is known as such.
    Open {
        version: Option<u128>,
    },
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It opens the gate.
    Accepted,
    /// The gate is being opened already; how that ends decides.
    Opening,
    /// An earlier result stands.
    AlreadyOpen,
    /// No such pod is waiting, or not yet: the watch may be a moment behind.
    Unknown,
}

/// What a sidecar that begins is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// Go on; it is the first time that this pod says so.
    First,
    /// Go on.
    Again,
    /// The gate is open.
    Park,
    /// No such pod is waiting, or not yet.
    Unknown,
}

/// How an apply ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The API server stored it, as this version of the pod.
    Applied {
        /// `metadata.resourceVersion`
        resource_version: Option<String>,
    },
    /// The pod is gone, or is another one by now.
    Gone,
    /// The pod has changed since the opening was decided.
    Conflict,
    /// Refused or unanswered, for now.
    Failed,
}

/// An opening that the API server took.
#[derive(Debug, PartialEq)]
pub struct Opened {
    /// What was applied.
    pub opening: Opening,
    /// The pod as it was known.
    pub observed: Observed,
    /// Whether the warm-up had begun.
    pub was_active: bool,
}

impl Warmups {
    /// An empty index; without a report a gate opens `grace` after the plan's time.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self { grace, entries: HashMap::new(), due: BTreeSet::new(), generation: 0 }
    }

    /// Takes news of a pod. Returns the entry that this ended, where its gate went away while it was active.
    pub fn apply(&mut self, observed: Observed, now: Timestamp) -> Option<Observed> {
        let uid = observed.pod.uid.clone();
        if observed.gate == Gate::Absent {
            return self.delete(&uid);
        }
        let generation = self.generation;
        let entry = self.entries.entry(uid.clone()).or_insert_with(|| Entry {
            observed: observed.clone(),
            stage: Stage::Waiting,
            due: None,
            is_active: false,
            generation,
        });
        entry.generation = generation;
        if entry.knows_better(&observed) {
            return None;
        }
        entry.observed = observed;
        match (&entry.stage, &entry.observed.gate) {
            (Stage::Opening { .. }, _) => {}
            (_, Gate::Open) => entry.stage = Stage::Open { version: None },
            _ => entry.stage = Stage::Waiting,
        }
        if !matches!(entry.stage, Stage::Opening { .. }) {
            let due = entry.wants_attention(self.grace, now);
            self.schedule(&uid, due);
        }
        None
    }

    /// Forgets a pod. Returns it where its warm-up was active.
    pub fn delete(&mut self, uid: &str) -> Option<Observed> {
        self.schedule(uid, None);
        let entry = self.entries.remove(uid)?;
        entry.is_active.then_some(entry.observed)
    }

    /// A list of all pods begins.
    pub fn reset(&mut self) {
        self.generation += 1;
    }

    /// The list is complete: what it did not name is gone. Returns the active ones among these.
    pub fn reset_done(&mut self) -> Vec<Observed> {
        let gone = self.entries.iter().filter(|(_, entry)| entry.generation != self.generation);
        let gone: Vec<Box<str>> = gone.map(|(uid, _)| uid.clone()).collect();
        gone.iter().filter_map(|uid| self.delete(uid)).collect()
    }

    /// Notes that a pod's warm-up begins.
    pub fn begin(&mut self, pod: &PodRef) -> Begun {
        match self.entries.get_mut(&pod.uid) {
            None => Begun::Unknown,
            Some(Entry { stage: Stage::Open { .. }, .. }) => Begun::Park,
            Some(entry) if entry.is_active => Begun::Again,
            Some(entry) => {
                entry.is_active = true;
                Begun::First
            }
        }
    }

    /// Takes a report; the first one of a pod opens its gate.
    pub fn record(&mut self, pod: &PodRef, report: Report, now: Timestamp) -> Recorded {
        let Some(entry) = self.entries.get_mut(&pod.uid) else { return Recorded::Unknown };
        match entry.stage {
            Stage::Open { .. } => Recorded::AlreadyOpen,
            Stage::Opening { .. } => Recorded::Opening,
            Stage::Waiting => {
                // The name comes from the watch: a token names a pod, and this is the pod with its UID.
                let opening = Opening::by_report(entry.observed.pod.clone(), report, now);
                entry.stage = Stage::Opening { opening: Box::new(opening), attempts: 0 };
                self.schedule(&pod.uid, Some(now));
                Recorded::Accepted
            }
        }
    }

    /// The next opening that is to be applied at `now`; the caller says later how it ended.
    pub fn next(&mut self, now: Timestamp) -> Option<Opening> {
        let (_, uid) = self.due.first().filter(|(at, _)| *at <= now)?.clone();
        self.schedule(&uid, None);
        let entry = self.entries.get_mut(&uid)?;
        if matches!(entry.stage, Stage::Waiting) {
            let opening = entry.opening_by_itself(self.grace, now)?;
            entry.stage = Stage::Opening { opening: Box::new(opening), attempts: 0 };
        }
        match &entry.stage {
            Stage::Opening { opening, .. } => Some((**opening).clone()),
            _ => None,
        }
    }

    /// When [`Self::next`] has something to give.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes how the apply of an opening ended.
    pub fn settle(&mut self, uid: &str, outcome: &Outcome, now: Timestamp) -> Option<Opened> {
        match outcome {
            Outcome::Applied { resource_version } => {
                let version = resource_version.as_deref().and_then(number);
                return self.entries.get_mut(uid)?.opened(version);
            }
            Outcome::Gone => drop(self.delete(uid)),
            Outcome::Conflict => self.decide_again(uid, now),
            Outcome::Failed => self.try_again(uid, now),
        }
        None
    }

    /// The node of a pod, as far as both are known.
    #[must_use]
    pub fn node(&self, uid: &str) -> Option<&str> {
        self.entries.get(uid)?.observed.node.as_deref()
    }

    /// Pods whose gate is closed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.entries.values().filter(|entry| !matches!(entry.stage, Stage::Open { .. })).count()
    }

    fn decide_again(&mut self, uid: &str, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(uid) else { return };
        match (&entry.stage, &entry.observed.gate) {
            // A report holds whatever else has changed in the pod.
            (Stage::Opening { opening, .. }, Gate::Closed(_)) if opening.resource_version.is_none() => {}
            (_, Gate::Closed(_) | Gate::Absent) => entry.stage = Stage::Waiting,
            (_, Gate::Open) => {
                entry.stage = Stage::Open { version: None };
                return;
            }
        }
        self.schedule(uid, now.checked_add(AFTER_CONFLICT).ok());
    }

    fn try_again(&mut self, uid: &str, now: Timestamp) {
        let Some(Entry { stage: Stage::Opening { attempts, .. }, .. }) = self.entries.get_mut(uid) else {
            return;
        };
        let wait = FIRST_BACKOFF.saturating_mul(1 << (*attempts).min(10)).min(LONGEST_BACKOFF);
        *attempts += 1;
        self.schedule(uid, now.checked_add(wait).ok());
    }

    fn schedule(&mut self, uid: &str, due: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(uid) else { return };
        if let Some(before) = std::mem::replace(&mut entry.due, due) {
            self.due.remove(&(before, uid.into()));
        }
        if let Some(at) = due {
            self.due.insert((at, uid.into()));
        }
    }
}

impl Entry {
    /// Whether `news` is older than the opening that we made ourselves.
    fn knows_better(&self, news: &Observed) -> bool {
        let Stage::Open { version: Some(ours) } = self.stage else { return false };
        matches!(news.gate, Gate::Closed(_))
            && number(&news.resource_version).is_none_or(|theirs| theirs < ours)
    }

    fn wants_attention(&self, grace: Duration, now: Timestamp) -> Option<Timestamp> {
        match &self.observed.gate {
            Gate::Closed(Some(_)) => Some(now),
            Gate::Closed(None) => readiness::deadline(&self.observed, grace),
            Gate::Open | Gate::Absent => None,
        }
    }

    fn opening_by_itself(&self, grace: Duration, now: Timestamp) -> Option<Opening> {
        match &self.observed.gate {
            Gate::Closed(Some(record)) => Some(Opening::again(&self.observed, (**record).clone(), now)),
            Gate::Closed(None) => {
                Some(Opening::by_deadline(&self.observed, readiness::deadline(&self.observed, grace)?))
            }
            Gate::Open | Gate::Absent => None,
        }
    }

    fn opened(&mut self, version: Option<u128>) -> Option<Opened> {
        match std::mem::replace(&mut self.stage, Stage::Open { version }) {
            Stage::Opening { opening, .. } => Some(Opened {
                opening: *opening,
                observed: self.observed.clone(),
                was_active: std::mem::take(&mut self.is_active),
            }),
            _ => None,
        }
    }
}

/// Resource versions of one resource compare as numbers.
fn number(resource_version: &str) -> Option<u128> {
    resource_version.parse().ok()
}

#[cfg(test)]
mod tests;
