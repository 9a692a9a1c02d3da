//! Random numbers, good enough for jitter and span ids.

use std::hash::{BuildHasher, Hasher, RandomState};

/// 64 random bits, from the keys that the standard library draws for its hash maps.
pub(crate) fn bits() -> u64 {
    RandomState::new().build_hasher().finish()
}
