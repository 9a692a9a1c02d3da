//! All warm-ups of the cluster: which gates are closed, until when, and which are being opened.
//!
//! An index that is fed by the watch, by reports and by the clock, and that answers with openings. It has one owner,
//! and nothing else decides that a gate opens.

mod entry;
mod strays;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use proto::report::Report;

pub use self::entry::{Active, Opened};
use self::entry::{Entry, Stage, number};
use super::{
    condition::Opening,
    holding::{Holding, Why},
    observed::{Gate, Observed, Planned, PodRef, Trouble},
    readiness,
};

/// After a conflict: by then the watch has brought the version that conflicted.
const AFTER_CONFLICT: Duration = Duration::from_millis(250);

/// The index.
#[derive(Debug)]
pub struct Warmups {
    grace: Duration,
    /// No gate opens by its deadline before this: sidecars that could not report while nobody was there come first.
    fail_open_from: Timestamp,
    entries: BTreeMap<Box<str>, Entry>,
    /// When entries want attention; each at most once.
    due: BTreeSet<(Timestamp, Box<str>)>,
    generation: u64,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Go on; it is the first time that this pod says so.
    First(Active),
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
    /// Not taken, and most likely never as it is.
    Refused,
    /// Unanswered, or not taken for now.
    Failed,
}

impl Warmups {
    /// An empty index; without a report a gate opens `grace` after the plan's time, and not before `fail_open_from`.
    #[must_use]
    pub fn new(grace: Duration, fail_open_from: Timestamp) -> Self {
        Self { grace, fail_open_from, entries: BTreeMap::new(), due: BTreeSet::new(), generation: 0 }
    }

    /// Takes news of a pod. Returns the active warm-up that this ended.
    pub fn apply(&mut self, observed: Observed, now: Timestamp) -> Option<Active> {
        let uid = observed.pod.uid.clone();
        if observed.gate == Gate::Absent {
            return self.delete(&uid);
        }
        let entry = self.entries.entry(uid.clone()).or_insert_with(|| Entry::new(observed.clone()));
        entry.generation = self.generation;
        entry.is_stray = false;
        if entry.knows_better(&observed) {
            return None;
        }
        entry.is_explained |= observed.says_why;
        entry.observed = observed;
        match (&entry.stage, &entry.observed.gate) {
            // How the apply ends decides.
            (Stage::Opening(_), _) => return None,
            (_, Gate::Open) => entry.stage = Stage::Open(None),
            _ => entry.stage = Stage::Waiting,
        }
        let ended = entry.active.take_if(|_| entry.observed.gate == Gate::Open);
        self.await_attention(&uid, now);
        ended
    }

    /// Forgets a pod. Returns its warm-up where that was active.
    pub fn delete(&mut self, uid: &str) -> Option<Active> {
        self.schedule(uid, None);
        self.entries.remove(uid)?.active
    }

    /// A list of all pods begins.
    pub fn reset(&mut self) {
        self.generation += 1;
    }

    /// The list is complete: what it did not name is gone. Returns the active warm-ups among these.
    pub fn reset_done(&mut self) -> Vec<Active> {
        let is_gone = |entry: &Entry| entry.generation != self.generation && !entry.is_stray;
        let gone = self.entries.iter().filter(|(_, entry)| is_gone(entry));
        let gone: Vec<Box<str>> = gone.map(|(uid, _)| uid.clone()).collect();
        gone.iter().filter_map(|uid| self.delete(uid)).collect()
    }

    /// Notes that a pod's warm-up begins.
    pub fn begin(&mut self, pod: &PodRef) -> Begun {
        match self.entries.get_mut(&pod.uid) {
            None => Begun::Unknown,
            Some(Entry { stage: Stage::Open(_), .. }) => Begun::Park,
            Some(Entry { active: Some(_), .. }) => Begun::Again,
            Some(Entry { observed, active, .. }) => {
                let (namespace, node) = (observed.pod.namespace.clone(), observed.node.clone());
                Begun::First(active.insert(Active { namespace, node }).clone())
            }
        }
    }

    /// What the plan of a pod asks for, as far as it is known.
    #[must_use]
    pub fn planned(&self, pod: &PodRef) -> Option<Planned> {
        self.entries.get(&pod.uid)?.observed.planned
    }

    /// Whether a pod is among them.
    #[must_use]
    pub fn knows(&self, uid: &str) -> bool {
        self.entries.contains_key(uid)
    }

    /// When a pod's gate opens without a report at the earliest, as far as that is known at `now`: its containers may be
    /// ready any moment.
    #[must_use]
    pub fn deadline(&self, pod: &PodRef, now: Timestamp) -> Option<Timestamp> {
        let mut observed = self.entries.get(&pod.uid)?.observed.clone();
        observed.containers_ready = observed.containers_ready.or(Some(now));
        readiness::deadline(&observed, self.grace)
    }

    /// What a sidecar that still waits for its app is told.
    #[must_use]
    pub fn still_waits(&self, pod: &PodRef) -> Begun {
        match self.entries.get(&pod.uid) {
            None => Begun::Unknown,
            Some(Entry { stage: Stage::Open(_), .. }) => Begun::Park,
            Some(_) => Begun::Again,
        }
    }

    /// What the condition of a pod that is held is to say; each pod is told once.
    pub fn explain(&mut self, pod: &PodRef, why: Why, message: &str, now: Timestamp) -> Option<Holding> {
        let entry = self.entries.get_mut(&pod.uid)?;
        let is_held = matches!((&entry.stage, &entry.observed.gate), (Stage::Waiting, Gate::Closed(None)));
        if !is_held || std::mem::replace(&mut entry.is_explained, true) {
            return None;
        }
        Some(Holding {
            pod: entry.observed.pod.clone(),
            why,
            message: message.to_owned(),
            since: now,
            resource_version: entry.observed.resource_version.clone(),
        })
    }

    /// Takes that an explanation was not taken by the API server.
    pub fn not_explained(&mut self, uid: &str) {
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.is_explained = false;
        }
    }

    /// Takes a report; the first one of a pod opens its gate.
    pub fn record(&mut self, pod: &PodRef, report: Report, now: Timestamp) -> Recorded {
        let Some(entry) = self.entries.get_mut(&pod.uid) else { return Recorded::Unknown };
        match &entry.stage {
            Stage::Open(_) => Recorded::AlreadyOpen,
            Stage::Opening(attempt) if attempt.is_under_way || attempt.opening.is_by_report() => {
                Recorded::Opening
            }
            // A fail-open that the API server has not taken yet gives way to what really happened.
            Stage::Opening(_) | Stage::Waiting => {
                // The name comes from the watch: a token names a pod, and this is the pod with its UID.
                entry.stage = Stage::opening(Opening::by_report(entry.observed.pod.clone(), report, now));
                self.schedule(&pod.uid, Some(now));
                Recorded::Accepted
            }
        }
    }

    /// Takes that there will be no report, because our container cannot run: the gate opens without one.
    pub fn give_up(&mut self, uid: &str, trouble: Trouble, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(uid) else { return };
        // What is known first is what was wrong with our own image.
        if entry.given_up.is_none_or(|known| known == Trouble::UNKNOWN) {
            entry.given_up = Some(trouble);
        }
        if matches!(entry.stage, Stage::Waiting) {
            self.await_attention(uid, now);
        }
    }

    /// The next opening that is to be applied at `now`; the caller says later how it ended.
    pub fn next(&mut self, now: Timestamp) -> Option<Opening> {
        loop {
            let (_, uid) = self.due.first().filter(|(at, _)| *at <= now)?.clone();
            self.schedule(&uid, None);
            let opening = self.entries.get_mut(&uid).and_then(|entry| entry.begin_opening(self.grace, now));
            if opening.is_some() {
                return opening;
            }
        }
    }

    /// When [`Self::next`] has something to give.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes that the apply of an opening was taken by the API server, as `resource_version` of the pod.
    pub fn applied(&mut self, uid: &str, resource_version: Option<&str>, now: Timestamp) -> Option<Opened> {
        let opened = self.entries.get_mut(uid)?.opened(resource_version.and_then(number));
        self.await_attention(uid, now);
        opened
    }

    /// Takes that the apply of an opening was not taken. Returns the active warm-up that this ended.
    pub fn not_applied(&mut self, uid: &str, outcome: &Outcome, now: Timestamp) -> Option<Active> {
        match outcome {
            Outcome::Gone => return self.delete(uid),
            Outcome::Conflict => return self.decide_again(uid, now),
            Outcome::Refused | Outcome::Failed => self.try_again(uid, *outcome == Outcome::Refused, now),
            Outcome::Applied { .. } => {}
        }
        None
    }

    /// Pods whose gate is closed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.entries.values().filter(|entry| !matches!(entry.stage, Stage::Open(_))).count()
    }

    /// Pods whose gate is being opened, or is next.
    #[must_use]
    pub fn openings(&self) -> usize {
        self.entries.values().filter(|entry| matches!(entry.stage, Stage::Opening(_))).count()
    }

    fn decide_again(&mut self, uid: &str, now: Timestamp) -> Option<Active> {
        let soon = now.checked_add(AFTER_CONFLICT).ok();
        let entry = self.entries.get_mut(uid)?;
        match &mut entry.stage {
            // A report holds whatever else has changed in the pod.
            Stage::Opening(attempt) if attempt.opening.is_by_report() => {
                attempt.is_under_way = false;
                self.schedule(uid, soon);
                None
            }
            stage if entry.observed.gate == Gate::Open => {
                *stage = Stage::Open(None);
                entry.active.take()
            }
            stage => {
                *stage = Stage::Waiting;
                if entry.awaits_scan() {
                    return None;
                }
                let due = entry.wants_attention(self.grace, self.fail_open_from, now);
                self.schedule(uid, due.max(soon.filter(|_| due.is_some())));
                None
            }
        }
    }

    fn try_again(&mut self, uid: &str, is_refused: bool, now: Timestamp) {
        let Some(Entry { stage: Stage::Opening(attempt), .. }) = self.entries.get_mut(uid) else { return };
        let wait = attempt.failed(is_refused);
        self.schedule(uid, now.checked_add(wait).ok());
    }

    fn await_attention(&mut self, uid: &str, now: Timestamp) {
        let entry = self.entries.get(uid);
        let due = entry.and_then(|entry| entry.wants_attention(self.grace, self.fail_open_from, now));
        self.schedule(uid, due);
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

#[cfg(test)]
mod tests;
