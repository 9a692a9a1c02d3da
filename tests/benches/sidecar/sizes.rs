//! How much of everything a run does.

use std::time::Duration;

/// Sizes of one run.
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    /// Requests per second that the precision is measured at.
    pub(crate) rates: Vec<u32>,
    /// How long at each rate; of the highest, what a plan may hold.
    pub(crate) lasts: Duration,
    /// How often, each time with all load generators in turn.
    pub(crate) rounds: usize,
    /// Requests to an app that stops in between, at 100/s: so few that the stall is more than a hundredth of them.
    pub(crate) stalled_requests: u32,
    /// How long it stops.
    pub(crate) stall: Duration,
    /// Requests whose cost is measured, at 1,000/s.
    pub(crate) costly_requests: u32,
    /// How often that is measured.
    pub(crate) costs: usize,
    /// How often the sidecar is started to see how soon it sends.
    pub(crate) starts: u32,
}

impl Sizes {
    /// A run whose figures mean something: some six minutes.
    pub(crate) fn full() -> Self {
        Self {
            rates: vec![10, 100, 1_000, 5_000],
            lasts: Duration::from_secs(10),
            rounds: 3,
            stalled_requests: 400,
            stall: Duration::from_millis(500),
            costly_requests: 1_500,
            costs: 5,
            starts: 100,
        }
    }

    /// A run of seconds, which shows that all parts still work.
    pub(crate) fn smoke() -> Self {
        Self {
            rates: vec![100],
            lasts: Duration::from_millis(300),
            rounds: 1,
            stalled_requests: 30,
            stall: Duration::from_millis(100),
            costly_requests: 100,
            costs: 1,
            starts: 2,
        }
    }
}
