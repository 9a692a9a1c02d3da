//! What requests are sent for, beside their count and their time.

use proto::plan::Plan;

use super::tally::Sample;

/// Tells when the requests have done what they were sent for, so that no further one is needed.
#[derive(Debug)]
pub enum Goal {
    /// There is no such moment: all of them are to be sent.
    Count,
}

impl Goal {
    /// The goal of `plan`.
    #[must_use]
    pub fn of(_plan: &Plan) -> Self {
        Self::Count
    }

    /// Takes note of `sample`, in the order of completion. True once no further request is needed.
    pub fn is_reached_by(&mut self, _sample: &Sample) -> bool {
        match self {
            Self::Count => false,
        }
    }
}
