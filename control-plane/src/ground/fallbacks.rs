//! Sidecars that do not run: since when, and which of them is to be given the fallback image.
//!
//! A native sidecar that does not start keeps its app from starting, and one that has ended keeps its pod from being
//! ready, whether the gate is open or not. An index like that of the warm-ups, with the same owner.

mod exchange;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

pub use exchange::Exchange;
use jiff::Timestamp;

use super::{
    observed::{Cause, Gate, Observed, PodRef, Sidecar, State, Trouble},
    warmups::Outcome,
};

/// After the first error: by then the kubelet has tried twice at least.
const AFTER_ERROR: Duration = Duration::from_secs(10);
/// Without an error: a pull of a few MB that is under way for longer stands still.
const AFTER_SILENCE: Duration = Duration::from_mins(1);
/// Ends of the container after which no further one is waited for.
const RESTARTS: u32 = 2;
/// Before another try of an exchange that was not taken; doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// The index.
#[derive(Debug)]
pub struct Fallbacks {
    /// What takes the place of an image that cannot run; `None` where the operator names none.
    image: Option<Box<str>>,
    entries: HashMap<Box<str>, Entry>,
    /// When entries want attention; each at most once.
    due: BTreeSet<(Timestamp, Box<str>)>,
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    failure: Failure,
    index: usize,
    /// When this control plane saw first that it does not run: the kubelet gives no time.
    seen: Timestamp,
    /// When this control plane saw the first error; stays while errors come and go.
    failing: Option<Timestamp>,
    stage: Stage,
    due: Option<Timestamp>,
    generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It may still come to run.
    Watched,
    /// It was given up, and there is no image to exchange its own for.
    Helpless,
    /// It was given up, and its exchange failed that often.
    Refused(u32),
    /// Its exchange is under way, after that many failures.
    UnderWay(u32),
}

/// A sidecar that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In which pod.
    pub pod: PodRef,
    /// On which node.
    pub node: Option<Box<str>>,
    /// With which image.
    pub image: Box<str>,
    /// Why.
    pub trouble: Trouble,
    /// Whether users are sent to the pod already.
    pub is_open: bool,
}

/// What is to be done about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The failure.
    pub failure: Failure,
    /// Whether it is given out for the first time.
    pub is_new: bool,
    /// The exchange to try; `None` where there is no image for it.
    pub exchange: Option<Exchange>,
}

/// What the news of a pod tell about its sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It has the fallback image and its gate is closed: there will be no report. With what was known to keep it from running.
    Exchanged(Trouble),
    /// It runs since then, without a restart, and its gate is open.
    Works(Timestamp),
}

impl Fallbacks {
    /// An empty index that exchanges images for `image`.
    #[must_use]
    pub fn new(image: Option<Box<str>>) -> Self {
        Self { image, entries: HashMap::new(), due: BTreeSet::new(), generation: 0 }
    }

    /// Takes news of a pod.
    pub fn apply(&mut self, observed: &Observed, now: Timestamp) -> Option<Sign> {
        let uid = &observed.pod.uid;
        let sidecar = observed.sidecar.as_deref().filter(|_| observed.gate != Gate::Absent);
        let Some(sidecar) = sidecar else {
            self.delete(uid);
            return None;
        };
        if self.image.as_ref() == Some(&sidecar.image) {
            let known = self.delete(uid).map_or(Trouble::UNKNOWN, |failure| failure.trouble);
            return matches!(observed.gate, Gate::Closed(_)).then_some(Sign::Exchanged(known));
        }
        if let State::Running(started) = sidecar.state {
            self.delete(uid);
            let works = observed.gate == Gate::Open && sidecar.restarts == 0;
            return started.filter(|_| works).map(Sign::Works);
        }
        self.note(observed, sidecar, now);
        None
    }

    fn note(&mut self, observed: &Observed, sidecar: &Sidecar, now: Timestamp) {
        let uid = &observed.pod.uid;
        let entry = self.entries.entry(uid.clone()).or_insert_with(|| Entry::new(observed, sidecar, now));
        entry.generation = self.generation;
        entry.index = sidecar.index;
        entry.failure.image.clone_from(&sidecar.image);
        entry.failure.node.clone_from(&observed.node);
        entry.failure.is_open = observed.gate == Gate::Open;
        if let State::Failing(trouble) = sidecar.state {
            entry.failure.trouble = trouble;
            entry.failing.get_or_insert(now);
        }
        if entry.stage == Stage::Watched {
            let due = entry.given_up(sidecar);
            self.schedule(uid, due);
        }
    }

    /// Forgets a pod. Returns what was known of its sidecar.
    pub fn delete(&mut self, uid: &str) -> Option<Failure> {
        self.schedule(uid, None);
        self.entries.remove(uid).map(|entry| entry.failure)
    }

    /// A list of all pods begins.
    pub fn reset(&mut self) {
        self.generation += 1;
    }

    /// The list is complete: what it did not name is gone.
    pub fn reset_done(&mut self) {
        let gone = self.entries.iter().filter(|(_, entry)| entry.generation != self.generation);
        let gone: Vec<Box<str>> = gone.map(|(uid, _)| uid.clone()).collect();
        for uid in gone {
            self.delete(&uid);
        }
    }

    /// The next failure at `now`; the caller says later how its exchange ended.
    pub fn next(&mut self, now: Timestamp) -> Option<Due> {
        let (_, uid) = self.due.first().filter(|(at, _)| *at <= now)?.clone();
        self.schedule(&uid, None);
        self.entries.get_mut(&uid)?.attempt(self.image.as_deref())
    }

    /// When [`Self::next`] has something to give.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes how an exchange ended.
    pub fn ended(&mut self, uid: &str, outcome: &Outcome, now: Timestamp) {
        if matches!(outcome, Outcome::Applied { .. } | Outcome::Gone) {
            self.delete(uid);
            return;
        }
        let Some(entry) = self.entries.get_mut(uid) else { return };
        if let Stage::UnderWay(failures) = entry.stage {
            let pause = FIRST_BACKOFF.saturating_mul(1 << failures.min(10)).min(LONGEST_BACKOFF);
            entry.stage = Stage::Refused(failures.saturating_add(1));
            self.schedule(uid, now.checked_add(pause).ok());
        }
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
    fn new(observed: &Observed, sidecar: &Sidecar, now: Timestamp) -> Self {
        let failure = Failure {
            pod: observed.pod.clone(),
            node: observed.node.clone(),
            image: sidecar.image.clone(),
            trouble: Trouble::SILENCE,
            is_open: observed.gate == Gate::Open,
        };
        Self {
            failure,
            index: sidecar.index,
            seen: now,
            failing: None,
            stage: Stage::Watched,
            due: None,
            generation: 0,
        }
    }

    /// When `sidecar`, which does not run, is given up.
    fn given_up(&self, sidecar: &Sidecar) -> Option<Timestamp> {
        let after = |start: Timestamp, wait: Duration| start.checked_add(wait).ok();
        let is_crash = matches!(sidecar.state, State::Failing(Trouble { cause: Cause::Crash, .. }));
        if is_crash && sidecar.restarts >= RESTARTS {
            return Some(self.seen);
        }
        let by_error = self.failing.and_then(|first| after(first, AFTER_ERROR));
        // What is seen for a moment only, such as between a container's end and its next start, is no silence.
        let at_least = after(self.seen, AFTER_ERROR);
        let by_silence = sidecar.awaited.and_then(|since| after(since, AFTER_SILENCE)).max(at_least);
        by_error.into_iter().chain(sidecar.awaited.and(by_silence)).min()
    }

    fn attempt(&mut self, image: Option<&str>) -> Option<Due> {
        let (is_new, failures) = match self.stage {
            Stage::Watched => (true, 0),
            Stage::Refused(failures) => (false, failures),
            Stage::Helpless | Stage::UnderWay(_) => return None,
        };
        let exchange = image.map(|image| Exchange {
            pod: self.failure.pod.clone(),
            index: self.index,
            from: self.failure.image.clone(),
            to: image.into(),
        });
        self.stage = if exchange.is_some() { Stage::UnderWay(failures) } else { Stage::Helpless };
        Some(Due { failure: self.failure.clone(), is_new, exchange })
    }
}

#[cfg(test)]
mod tests;
