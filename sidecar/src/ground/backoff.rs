//! How long to pause between tries.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Pauses that double from 100 ms to 10 s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: SHORTEST }
    }
}

impl Backoff {
    /// The next pause: between half and all of its length, by `random`, so that many pods do not try in step.
    pub fn pause(&mut self, random: u64) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(LONGEST);
        jitter(full, random)
    }
}

/// Between half of `full` and all of it, by `random`.
#[must_use]
pub fn jitter(full: Duration, random: u64) -> Duration {
    let micros = u64::try_from(full.as_micros()).unwrap_or(u64::MAX / 2);
    Duration::from_micros(micros / 2 + random % (micros / 2 + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_ten_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..9).map(|_| backoff.pause(0).as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    }

    proptest! {
        #[test]
        fn jitter_stays_between_half_and_all(millis in 0..600_000_u64, random in any::<u64>()) {
            let full = Duration::from_millis(millis);
            let pause = jitter(full, random);
            prop_assert!(full / 2 <= pause && pause <= full);
        }
    }
}
