//! Where injection is paused, because sidecars that were injected did not run.
//!
//! A failure pauses its own namespace. What a namespace's users can bring about themselves (their pull secrets, their
//! quotas and policies, resources too small to start with, an image put in by hand) never pauses another one: that takes
//! the configured image, failing to be pulled, in several namespaces and on several nodes.

mod barrier;
mod pause;

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    fmt,
    time::Duration,
};

pub use barrier::Barriers;
use jiff::Timestamp;

use self::pause::Pause;
use super::{fallbacks::Failure, observed::Cause};

/// What it takes to pause all namespaces.
const NAMESPACES: usize = 3;
const NODES: usize = 2;
/// Failed pulls that are further apart are not taken for one outage.
const OUTAGE: Duration = Duration::from_mins(10);

/// All pauses.
#[derive(Debug)]
pub struct Pauses {
    /// The image that sidecars are injected with.
    image: Box<str>,
    /// Those that are under way, and those of late.
    held: HashMap<Scope, Pause>,
    /// When pulls of that image failed last, by namespace and node.
    pulls: HashMap<(Box<str>, Box<str>), Timestamp>,
}

/// Whose injection is paused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One namespace's
    Namespace(Box<str>),
    /// Everybody's
    Everywhere,
}

/// What has changed, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Injection is paused for this long.
    Paused(Scope, Duration),
    /// Injection goes on.
    Resumed(Scope),
}

/// A sidecar that works.
#[derive(Debug, Clone, Copy)]
pub struct Proof<'a> {
    /// Its pod's namespace
    pub namespace: &'a str,
    /// Its pod's node
    pub node: Option<&'a str>,
    /// Its image
    pub image: &'a str,
    /// Since when it runs
    pub started: Timestamp,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(name) => write!(f, "namespace {name}"),
            Self::Everywhere => f.write_str("all namespaces"),
        }
    }
}

impl Pauses {
    /// No pause; `image` is the one that sidecars are injected with.
    #[must_use]
    pub fn new(image: &str) -> Self {
        Self { image: image.into(), held: HashMap::new(), pulls: HashMap::new() }
    }

    /// Takes that a sidecar was given up.
    pub fn fail(&mut self, failure: &Failure, now: Timestamp) -> Vec<Change> {
        let own = self.pause(Scope::Namespace(failure.pod.namespace.clone()), now);
        let all = if self.is_outage(failure, now) { self.pause(Scope::Everywhere, now) } else { None };
        own.into_iter().chain(all).collect()
    }

    /// Takes that a sidecar works.
    pub fn work(&mut self, proof: &Proof<'_>) -> Vec<Change> {
        if self.held.is_empty() && self.pulls.is_empty() {
            return Vec::new();
        }
        let own = self.resume(Scope::Namespace(proof.namespace.into()), proof.started);
        let all = if *proof.image == *self.image {
            // Where it starts, nothing keeps it from being pulled but what the failed pods themselves brought along.
            self.pulls.retain(|(_, node), failed| Some(&**node) != proof.node || *failed > proof.started);
            self.resume(Scope::Everywhere, proof.started)
        } else {
            None
        };
        own.into_iter().chain(all).collect()
    }

    /// Lets the clock go on. Returns what people should know, or `None` where nothing has changed.
    pub fn tick(&mut self, now: Timestamp) -> Option<Vec<Change>> {
        if self.next_due().is_none_or(|due| due > now) {
            return None;
        }
        let mut resumed = Vec::new();
        self.held.retain(|scope, pause| {
            let is_forgotten = pause.forgotten() <= now;
            if is_forgotten && pause.barrier().is_some() {
                resumed.push(Change::Resumed(scope.clone()));
            }
            !is_forgotten
        });
        for (scope, pause) in &mut self.held {
            let was_trial = pause.is_trial();
            if pause.try_again(now) && !was_trial && *scope == Scope::Everywhere {
                // Only what fails from now on, in as many places as before, makes it an outage still.
                self.pulls.clear();
            }
        }
        Some(resumed)
    }

    /// When [`Self::tick`] has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.held.values().map(Pause::due).min()
    }

    /// The pauses as they are now, for the webhook.
    #[must_use]
    pub fn barriers(&self) -> Barriers {
        let mut barriers = Barriers::default();
        for (scope, pause) in &self.held {
            match (scope, pause.barrier()) {
                (Scope::Everywhere, barrier) => barriers.everywhere = barrier,
                (Scope::Namespace(name), Some(barrier)) => {
                    barriers.namespaces.insert(name.clone(), barrier);
                }
                (Scope::Namespace(_), None) => {}
            }
        }
        barriers
    }

    fn pause(&mut self, scope: Scope, now: Timestamp) -> Option<Change> {
        match self.held.entry(scope.clone()) {
            Entry::Vacant(free) => Some(Change::Paused(scope, free.insert(Pause::begin(now)).wait())),
            Entry::Occupied(mut before) => {
                before.get_mut().fail(now).then(|| Change::Paused(scope, before.get().wait()))
            }
        }
    }

    fn resume(&mut self, scope: Scope, started: Timestamp) -> Option<Change> {
        self.held.get_mut(&scope)?.work(started).then_some(Change::Resumed(scope))
    }

    fn is_outage(&mut self, failure: &Failure, now: Timestamp) -> bool {
        let Some(node) = failure.node.clone().filter(|_| failure.trouble.cause == Cause::Pull) else {
            return false;
        };
        if failure.image != self.image {
            return false;
        }
        self.pulls.insert((failure.pod.namespace.clone(), node), now);
        self.pulls.retain(|_, failed| failed.checked_add(OUTAGE).is_ok_and(|end| end > now));
        let namespaces: BTreeSet<&str> = self.pulls.keys().map(|(namespace, _)| &**namespace).collect();
        let nodes: BTreeSet<&str> = self.pulls.keys().map(|(_, node)| &**node).collect();
        namespaces.len() >= NAMESPACES && nodes.len() >= NODES
    }
}

#[cfg(test)]
mod tests;
