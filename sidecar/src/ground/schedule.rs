//! When the requests of a plan leave.

use std::time::Duration;

use proto::plan::Plan;

/// How long a request may take before the app has answered any: its first one may load half of the program.
const FIRST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may take at least.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// The times of all requests of a paced plan, steps one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    count: u32,
    duration: Duration,
}

impl Schedule {
    /// `count` requests, at least one, spread evenly over `duration`.
    #[must_use]
    pub fn new(count: u32, duration: Duration) -> Self {
        Self { count: count.max(1), duration }
    }

    /// The schedule of `plan`.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self::new(plan.request_count(), plan.shape.duration())
    }

    /// Requests in all.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// After this time no request is sent any more.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// When the request with this index, from 0, leaves: `index`·duration/count after the start.
    #[must_use]
    pub fn due(&self, index: u32) -> Duration {
        let nanos = self.duration.as_nanos() * u128::from(index) / u128::from(self.count);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How long a request may take: 10 s until one like it `has_succeeded`, for each path is cold by itself;
    /// then the time between two requests, 1 s to 10 s.
    #[must_use]
    pub fn timeout(&self, has_succeeded: bool) -> Duration {
        if has_succeeded {
            (self.duration / self.count).clamp(SHORTEST_TIMEOUT, FIRST_TIMEOUT)
        } else {
            FIRST_TIMEOUT
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::plan::{MAX_DURATION, MAX_REQUESTS};

    use super::*;

    #[test]
    fn three_requests_over_thirty_seconds_leave_ten_seconds_apart() {
        let schedule = Schedule::new(3, Duration::from_secs(30));
        let due: Vec<_> = (0..3).map(|index| schedule.due(index).as_secs()).collect();
        assert_eq!(due, [0, 10, 20]);
    }

    #[test]
    fn a_request_has_ten_seconds_until_one_has_succeeded() {
        for (count, seconds, timeout) in [(3, 30, 10), (1, 300, 10), (10, 30, 3), (12_000, 300, 1), (1, 0, 1)]
        {
            let schedule = Schedule::new(count, Duration::from_secs(seconds));
            assert_eq!(schedule.timeout(false), Duration::from_secs(10));
            assert_eq!(schedule.timeout(true), Duration::from_secs(timeout), "{count} over {seconds} s");
        }
    }

    proptest! {
        #[test]
        fn requests_leave_in_order_within_the_duration(
            count in 1..=MAX_REQUESTS,
            millis in 0..=u64::try_from(MAX_DURATION.as_millis()).unwrap(),
        ) {
            let schedule = Schedule::new(count, Duration::from_millis(millis));
            let due: Vec<_> = (0..count).map(|index| schedule.due(index)).collect();
            prop_assert_eq!(due[0], Duration::ZERO);
            prop_assert!(due.is_sorted());
            prop_assert!(due.iter().all(|due| *due <= schedule.duration()));
        }

        #[test]
        fn the_gaps_between_requests_are_even(count in 2..2_000_u32, millis in 1..300_000_u64) {
            let schedule = Schedule::new(count, Duration::from_millis(millis));
            let even = schedule.duration() / count;
            for index in 1..count {
                let gap = schedule.due(index).abs_diff(schedule.due(index - 1));
                prop_assert!(gap.abs_diff(even) <= Duration::from_nanos(1));
            }
        }
    }
}
