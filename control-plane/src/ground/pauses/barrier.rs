//! Who is let in while injection is paused, as the webhook asks for each pod.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

/// The pauses as they are now.
#[derive(Debug, Default)]
pub struct Barriers {
    pub(super) everywhere: Option<Barrier>,
    pub(super) namespaces: HashMap<Box<str>, Barrier>,
}

/// What stands before a pod.
#[derive(Debug, Clone)]
pub(super) enum Barrier {
    Closed,
    Trial(Arc<Tickets>),
}

/// The namespaces that have had their one probe in this trial.
///
/// Taken at admission itself: a message would be too late for the second of two pods that are created at once.
#[derive(Debug, Default)]
pub(super) struct Tickets(Mutex<HashSet<Box<str>>>);

impl Barriers {
    /// Whether a pod of `namespace` may be injected now. Takes the namespace's place as a probe, unless nothing comes of
    /// the pod (`is_dry_run`).
    #[must_use]
    pub fn admit(&self, namespace: &str, is_dry_run: bool) -> bool {
        let barriers = || [self.everywhere.as_ref(), self.namespaces.get(namespace)].into_iter().flatten();
        // First without a place, so that none is taken in vain.
        barriers().all(|barrier| barrier.admits(namespace, true))
            && (is_dry_run || barriers().all(|barrier| barrier.admits(namespace, false)))
    }

    /// Namespaces that are paused by themselves.
    #[must_use]
    pub fn paused_namespaces(&self) -> usize {
        self.namespaces.len()
    }

    /// Whether all namespaces are paused.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.everywhere.is_some()
    }
}

impl Barrier {
    pub(super) fn admits(&self, namespace: &str, is_dry_run: bool) -> bool {
        let Self::Trial(tickets) = self else { return false };
        let mut taken = tickets.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_dry_run { !taken.contains(namespace) } else { taken.insert(namespace.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial() -> Barrier {
        Barrier::Trial(Arc::default())
    }

    #[test]
    fn without_a_pause_everybody_is_let_in() {
        let barriers = Barriers::default();
        assert!(barriers.admit("shop", false) && barriers.admit("shop", false));
    }

    #[test]
    fn a_closed_namespace_keeps_its_own_pods_out_and_nobody_elses() {
        let barriers =
            Barriers { namespaces: [("shop".into(), Barrier::Closed)].into(), ..Barriers::default() };
        assert!(!barriers.admit("shop", false) && barriers.admit("bank", false));
    }

    #[test]
    fn a_trial_lets_one_pod_of_each_namespace_in_and_dry_runs_do_not_count() {
        let barriers = Barriers { everywhere: Some(trial()), ..Barriers::default() };
        assert!(barriers.admit("shop", true) && barriers.admit("shop", false));
        assert!(!barriers.admit("shop", true) && !barriers.admit("shop", false));
        assert!(barriers.admit("bank", false));
    }

    #[test]
    fn a_place_is_not_taken_where_another_barrier_stands() {
        let mut barriers = Barriers { everywhere: Some(trial()), ..Barriers::default() };
        barriers.namespaces.insert("shop".into(), Barrier::Closed);
        assert!(!barriers.admit("shop", false));
        barriers.namespaces.insert("shop".into(), trial());
        assert!(barriers.admit("shop", false));
    }
}
