//! What happened lately: a ring of slices, of which the oldest is forgotten whole.

use std::time::Duration;

use super::tally::{Review, Tally};

/// A window covers between 11 and 12 of its slices: the one that is not yet over, and those before it.
const SLICES: u64 = 12;

/// Reviews that ended within a span of wall time; times are those since a fixed start.
#[derive(Debug)]
pub(super) struct Window {
    slice: Duration,
    ring: Vec<Slice>,
}

#[derive(Debug, Clone)]
struct Slice {
    /// Slices since the start before this one.
    number: u64,
    tally: Tally<u32>,
}

impl Window {
    /// A window of `length`.
    pub(super) fn new(length: Duration) -> Self {
        let slice = (length / 12).max(Duration::from_millis(1));
        let ring = (0..SLICES).map(|number| Slice { number, tally: Tally::default() }).collect();
        Self { slice, ring }
    }

    /// Adds a review that ended at `at`.
    pub(super) fn add(&mut self, review: &Review, at: Duration) {
        let number = self.number(at);
        if let Some(tally) = self.slice(number) {
            tally.add(review);
        }
    }

    /// Adds the time between `from` and `to`, in which all slots were taken, to the slices that it touches.
    pub(super) fn fill(&mut self, from: Duration, to: Duration) {
        let last = self.number(to);
        for number in self.number(from).max(oldest(last))..=last {
            let begin = from.max(self.begin(number));
            let end = to.min(self.begin(number + 1));
            if let Some(tally) = self.slice(number) {
                tally.fill(end.saturating_sub(begin));
            }
        }
    }

    /// All that lies in the window at `at`.
    pub(super) fn tally(&self, at: Duration) -> Tally<u32> {
        let now = self.number(at);
        let mut whole = Tally::default();
        for slice in self.ring.iter().filter(|slice| (oldest(now)..=now).contains(&slice.number)) {
            whole.merge(&slice.tally);
        }
        whole
    }

    /// How much time the window covers at `at`.
    pub(super) fn covered(&self, at: Duration) -> Duration {
        at.saturating_sub(self.begin(oldest(self.number(at))))
    }

    fn number(&self, at: Duration) -> u64 {
        u64::try_from(at.as_nanos() / self.slice.as_nanos()).unwrap_or(u64::MAX)
    }

    fn begin(&self, number: u64) -> Duration {
        self.slice.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// The slice of this number, emptied where it held an older one; `None` where a newer one has taken its place.
    fn slice(&mut self, number: u64) -> Option<&mut Tally<u32>> {
        let place = usize::try_from(number % SLICES).ok()?;
        let slice = self.ring.get_mut(place)?;
        if slice.number < number {
            *slice = Slice { number, tally: Tally::default() };
        }
        (slice.number == number).then_some(&mut slice.tally)
    }
}

/// The number of the oldest slice in the window while `now` is not over.
fn oldest(now: u64) -> u64 {
    (now + 1).saturating_sub(SLICES)
}
