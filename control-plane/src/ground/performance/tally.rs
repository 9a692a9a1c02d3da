//! What reviews that have ended come to, added up.

use std::time::Duration;

use hdrhistogram::{Counter, Histogram};

use super::figures::{Durations, Figures, Queue};

/// What is told apart: durations from 64 ns to 17 s, to two digits. No review lasts longer, for the API server gives
/// it 10 s at most, and its handler takes some 10 µs at least. This takes 2,944 counts, 12 KB in 32 bits.
const LEAST: u64 = 64;
const MOST: u64 = 1 << 34;
const DIGITS: u8 = 2;

/// What became of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was decided.
    Answered,
    /// It was sent back with status 429.
    Shed,
    /// Its caller was gone before it was answered.
    Abandoned,
}

/// What a decision is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Reading the review and its pod.
    pub decode: Duration,
    /// Deciding what becomes of the pod.
    pub decide: Duration,
    /// Writing the answer.
    pub encode: Duration,
}

/// A review that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Review {
    /// What became of it.
    pub ending: Ending,
    /// From its last byte to the answer.
    pub took: Duration,
    /// The part of it in the queue; none where a slot was free.
    pub waited: Duration,
    /// What its decision is made of.
    pub parts: Parts,
    /// Whether it took longer than it should.
    pub is_slow: bool,
}

/// Reviews that have ended, with how often durations occurred as numbers of type `C`.
#[derive(Debug, Clone)]
pub(super) struct Tally<C: Counter> {
    answered: u64,
    shed: u64,
    abandoned: u64,
    slow: u64,
    total: Duration,
    least: Duration,
    most: Duration,
    parts: Parts,
    queued: u64,
    queue_total: Duration,
    queue_most: Duration,
    full: Duration,
    durations: Histogram<C>,
}

impl<C: Counter> Default for Tally<C> {
    fn default() -> Self {
        let durations = Histogram::new_with_bounds(LEAST, MOST, DIGITS);
        Self {
            answered: 0,
            shed: 0,
            abandoned: 0,
            slow: 0,
            total: Duration::ZERO,
            least: Duration::MAX,
            most: Duration::ZERO,
            parts: Parts::default(),
            queued: 0,
            queue_total: Duration::ZERO,
            queue_most: Duration::ZERO,
            full: Duration::ZERO,
            durations: durations.expect("the bounds are in order and the digits few"),
        }
    }
}

impl<C: Counter> Tally<C> {
    /// Adds a review; durations are those of reviews that were answered.
    pub(super) fn add(&mut self, review: &Review) {
        match review.ending {
            Ending::Answered => self.add_answered(review),
            Ending::Shed => self.shed += 1,
            Ending::Abandoned => self.abandoned += 1,
        }
        self.slow += u64::from(review.is_slow);
        if !review.waited.is_zero() {
            self.queued += 1;
            self.queue_total += review.waited;
            self.queue_most = self.queue_most.max(review.waited);
        }
    }

    fn add_answered(&mut self, review: &Review) {
        self.answered += 1;
        self.total += review.took;
        self.least = self.least.min(review.took);
        self.most = self.most.max(review.took);
        self.parts = self.parts.and(review.parts);
        self.durations.saturating_record(u64::try_from(review.took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds time in which all slots were taken.
    pub(super) fn fill(&mut self, full: Duration) {
        self.full += full;
    }

    /// Adds all that `other` holds.
    pub(super) fn merge(&mut self, other: &Self) {
        self.answered += other.answered;
        self.shed += other.shed;
        self.abandoned += other.abandoned;
        self.slow += other.slow;
        self.total += other.total;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
        self.parts = self.parts.and(other.parts);
        self.queued += other.queued;
        self.queue_total += other.queue_total;
        self.queue_most = self.queue_most.max(other.queue_most);
        self.full += other.full;
        self.durations.add(&other.durations).expect("all tallies have the same bounds");
    }

    /// What it comes to over `covered`.
    pub(super) fn figures(&self, covered: Duration) -> Figures {
        let seconds = covered.as_secs_f64();
        let per_second = |number: f64| if seconds > 0.0 { number / seconds } else { 0.0 };
        let requests = self.answered + self.shed + self.abandoned;
        Figures {
            covered_seconds: seconds,
            requests,
            answered: self.answered,
            shed: self.shed,
            abandoned: self.abandoned,
            slow: self.slow,
            requests_per_second: per_second(as_f64(requests)),
            durations: (self.answered > 0).then(|| self.durations()),
            queue: Queue {
                waited: self.queued,
                average_wait_seconds: self.queue_total.as_secs_f64() / as_f64(self.queued.max(1)),
                max_wait_seconds: self.queue_most.as_secs_f64(),
            },
            saturation_ratio: per_second(self.full.as_secs_f64()).min(1.0),
        }
    }

    fn durations(&self) -> Durations {
        let average = |total: Duration| total.as_secs_f64() / as_f64(self.answered);
        // The upper end of a range of durations that are not told apart can lie past the longest.
        let quantile = |share| {
            let nanos = Duration::from_nanos(self.durations.value_at_quantile(share));
            nanos.clamp(self.least, self.most).as_secs_f64()
        };
        Durations {
            total_seconds: self.total.as_secs_f64(),
            average_seconds: average(self.total),
            min_seconds: self.least.as_secs_f64(),
            max_seconds: self.most.as_secs_f64(),
            p50_seconds: quantile(0.5),
            p90_seconds: quantile(0.9),
            p99_seconds: quantile(0.99),
            average_decode_seconds: average(self.parts.decode),
            average_decide_seconds: average(self.parts.decide),
            average_encode_seconds: average(self.parts.encode),
        }
    }
}

impl Parts {
    fn and(self, other: Self) -> Self {
        Self {
            decode: self.decode + other.decode,
            decide: self.decide + other.decide,
            encode: self.encode + other.encode,
        }
    }
}

#[expect(clippy::cast_precision_loss)]
fn as_f64(count: u64) -> f64 {
    count as f64
}
