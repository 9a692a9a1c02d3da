//! What requests are sent for, beside their count and their time.

use proto::plan::{Plan, Until};

use super::{stability::Stability, tally::Sample};

/// Tells when the requests have done what they were sent for, so that no further one is needed.
#[derive(Debug)]
pub enum Goal {
    /// There is no such moment: all of them are to be sent.
    Count,
    /// A stable latency.
    Stable(Stability),
}

impl Goal {
    /// The goal of `plan`.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        match plan.until {
            Until::Count => Self::Count,
            Until::Stable => {
                Self::Stable(Stability::of_passes(plan.steps.iter().map(|step| step.requests.len()).sum()))
            }
        }
    }

    /// Takes note of `sample`, in the order of completion. True once no further request is needed.
    pub fn is_reached_by(&mut self, sample: &Sample) -> bool {
        match self {
            Self::Count => false,
            Self::Stable(stability) => {
                stability.record(sample.latency, sample.outcome.is_success());
                stability.is_reached()
            }
        }
    }
}
