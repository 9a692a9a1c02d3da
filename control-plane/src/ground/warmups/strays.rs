//! Closed gates that the watch does not show: the leader's scan brings them, all at once, again and again.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{Active, Entry, Gate, Observed, Stage, Warmups};

impl Warmups {
    /// Takes all strays that a scan has found; earlier ones that are not among them are none any more. Returns the
    /// active warm-ups that this ended.
    pub fn strays(&mut self, found: Vec<Observed>, now: Timestamp) -> Vec<Active> {
        let uids: HashSet<Box<str>> = found.iter().map(|observed| observed.pod.uid.clone()).collect();
        // How an apply ends is still to be told.
        let is_gone = |entry: &Entry| entry.is_stray && !matches!(entry.stage, Stage::Opening(_));
        let gone = self.entries.iter().filter(|(uid, entry)| is_gone(entry) && !uids.contains(*uid));
        let gone: Vec<Box<str>> = gone.map(|(uid, _)| uid.clone()).collect();
        let ended = gone.iter().filter_map(|uid| self.delete(uid)).collect();
        for observed in found {
            self.take_stray(observed, now);
        }
        ended
    }

    fn take_stray(&mut self, observed: Observed, now: Timestamp) {
        let uid = observed.pod.uid.clone();
        // What the watch shows is newer than what a scan has seen.
        if self.entries.get(&uid).is_some_and(|entry| !entry.is_stray) {
            return;
        }
        self.apply(observed, now);
        if let Some(entry) = self.entries.get_mut(&uid) {
            entry.is_stray = true;
        }
    }
}

impl Entry {
    /// Whether the pod has changed since the scan, so that only the next one can tell what to do.
    pub(super) fn awaits_scan(&self) -> bool {
        self.is_stray && matches!(self.stage, Stage::Waiting) && matches!(self.observed.gate, Gate::Closed(_))
    }
}
