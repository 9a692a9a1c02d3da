//! What became of a user's request.

use std::time::Duration;

/// One user's request.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    /// When it was due, from the moment the shop opened.
    pub scheduled: Duration,
    /// How long after that we sent it.
    pub late: Duration,
    /// What became of it.
    pub outcome: Outcome,
}

/// Latencies count from the scheduled time.
#[derive(Debug, Clone, Copy)]
pub enum Outcome {
    /// The page came whole, with a status from 200 to 399.
    Served(Duration),
    /// The user waited in vain; so long at least.
    GaveUp(Duration),
    /// An error, which may come fast and so is no latency.
    Failed,
}

impl Outcome {
    /// How long the user waited, if that says anything.
    pub(super) fn latency(self) -> Option<Duration> {
        match self {
            Self::Served(latency) | Self::GaveUp(latency) => Some(latency),
            Self::Failed => None,
        }
    }

    pub(super) fn failed(self) -> bool {
        !matches!(self, Self::Served(_))
    }
}
