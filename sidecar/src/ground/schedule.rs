//! When the requests of a plan leave.

use std::time::Duration;

use proto::plan::{Plan, Shape};

/// How long a request may take before the app has answered any: its first one may load half of the program.
const FIRST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may take at least.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// The times of all requests of a plan, steps one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    count: u32,
    duration: Duration,
    rhythm: Rhythm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rhythm {
    Paced { ramp: Duration },
    BackToBack { slots: u32 },
}

impl Schedule {
    /// `count` requests, at least one, spread over `duration`: their rate rises linearly for `ramp`, or for all of
    /// `duration` where that is shorter, and then stays.
    #[must_use]
    pub fn paced(count: u32, duration: Duration, ramp: Duration) -> Self {
        Self { count: count.max(1), duration, rhythm: Rhythm::Paced { ramp: ramp.min(duration) } }
    }

    /// `count` requests, at least one, as fast as `slots` at once allow, for at most `limit`.
    #[must_use]
    pub fn back_to_back(count: u32, limit: Duration, slots: u32) -> Self {
        Self { count: count.max(1), duration: limit, rhythm: Rhythm::BackToBack { slots } }
    }

    /// The schedule of `plan`.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let (count, duration) = (plan.request_count(), plan.shape.duration());
        match plan.shape {
            Shape::Paced { ramp_ms, .. } => Self::paced(count, duration, Duration::from_millis(ramp_ms)),
            Shape::BackToBack { .. } => Self::back_to_back(count, duration, plan.limits.concurrency),
        }
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

    /// When the request with this index, from 0, leaves; `None`: as soon as a slot is free.
    ///
    /// Without a ramp that is `index`·duration/count after the start. In a ramp of length r the rate at time t is t/r of
    /// the full one, count/(duration − r/2), so that t²/2r of it are sent by then.
    #[must_use]
    pub fn due(&self, index: u32) -> Option<Duration> {
        let Rhythm::Paced { ramp } = self.rhythm else { return None };
        let (index, count) = (u128::from(index), u128::from(self.count));
        let (duration, ramp) = (self.duration.as_nanos(), ramp.as_nanos());
        // Twice the time that the full rate would take for one request, times count.
        let gaps = 2 * duration - ramp;
        let nanos = if index * gaps <= count * ramp {
            (index * gaps * ramp / count).isqrt()
        } else {
            (index * gaps + count * ramp) / (2 * count)
        };
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// How long a request may take: 10 s until one like it `has_succeeded`, for each path is cold by itself;
    /// then its share of the time, 1 s to 10 s.
    #[must_use]
    pub fn timeout(&self, has_succeeded: bool) -> Duration {
        let at_once = match self.rhythm {
            Rhythm::Paced { .. } => 1,
            Rhythm::BackToBack { slots } => slots,
        };
        if has_succeeded {
            (self.duration * at_once / self.count).clamp(SHORTEST_TIMEOUT, FIRST_TIMEOUT)
        } else {
            FIRST_TIMEOUT
        }
    }
}

#[cfg(test)]
mod tests;
