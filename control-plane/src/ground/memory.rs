//! What was found out a moment ago, kept for a moment.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Bounds what a flood of different keys can fill.
const MAX_ENTRIES: usize = 4_096;

/// A key that nobody can guess or invert: the SHA-256 of a token.
pub type Digest = [u8; 32];

/// Findings by key, each until a given instant.
#[derive(Debug, Default)]
pub struct Memory<T> {
    found: HashMap<Digest, (Instant, T)>,
}

impl<T: Clone> Memory<T> {
    /// What was found out about `key`, where that still holds.
    #[must_use]
    pub fn recall(&self, key: &Digest, now: Instant) -> Option<T> {
        let (until, found) = self.found.get(key)?;
        (now < *until).then(|| found.clone())
    }

    /// Keeps `found` for `life`, where there is room.
    pub fn keep(&mut self, key: Digest, found: T, life: Duration, now: Instant) {
        if self.found.len() >= MAX_ENTRIES {
            self.found.retain(|_, (until, _)| now < *until);
        }
        if self.found.len() < MAX_ENTRIES || self.found.contains_key(&key) {
            self.found.insert(key, (now + life, found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Digest {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn a_finding_holds_for_its_time() {
        let (mut memory, start, life) = (Memory::default(), Instant::now(), Duration::from_secs(5));
        memory.keep(key(1), "gone", life, start);
        assert_eq!(memory.recall(&key(1), start), Some("gone"));
        assert_eq!(memory.recall(&key(2), start), None);
        assert_eq!(memory.recall(&key(1), start + life), None);
    }

    #[test]
    fn a_full_memory_takes_nothing_until_something_is_over() {
        let (mut memory, start, life) = (Memory::default(), Instant::now(), Duration::from_secs(5));
        for number in 0..=MAX_ENTRIES {
            memory.keep(key(number), (), life, start);
        }
        assert_eq!((memory.found.len(), memory.recall(&key(MAX_ENTRIES), start)), (MAX_ENTRIES, None));
        memory.keep(key(MAX_ENTRIES), (), life, start + life);
        assert_eq!((memory.found.len(), memory.recall(&key(MAX_ENTRIES), start + life)), (1, Some(())));
    }
}
