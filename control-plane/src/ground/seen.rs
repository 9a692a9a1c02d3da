//! What a watcher of reports has been shown, so that it hears of changes alone.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

/// Reports by pod, as hashes under a secret of their own: 16 bytes for each pod, however large the cluster is.
#[derive(Debug, Default)]
pub struct Seen {
    hashes: RandomState,
    reports: HashMap<u64, u64>,
}

impl Seen {
    /// Notes the report of the pod `uid`. False: it is what was shown before.
    pub fn is_new(&mut self, uid: &str, report: &str) -> bool {
        let report = self.hashes.hash_one(report);
        self.reports.insert(self.hashes.hash_one(uid), report) != Some(report)
    }

    /// Forgets a pod that is gone.
    pub fn forget(&mut self, uid: &str) {
        self.reports.remove(&self.hashes.hash_one(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_new() {
        let mut seen = Seen::default();
        assert!(seen.is_new("u1", "") && seen.is_new("u2", ""));
        assert!(!seen.is_new("u1", ""));
        assert!(seen.is_new("u1", "done") && !seen.is_new("u1", "done"));
        seen.forget("u1");
        assert!(seen.is_new("u1", "done"));
        assert!(!seen.is_new("u2", ""));
    }
}
