//! How much of everything a run does.

use std::time::Duration;

/// Sizes of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Waiting pods at first, and in the end.
    pub(crate) pods: [usize; 2],
    /// Simulated nodes.
    pub(crate) nodes: usize,
    /// Rounds without and with the webhook.
    pub(crate) rounds: usize,
    /// Pods that are created one after the other, of each kind in each round, at each number of pods.
    pub(crate) one_by_one: [usize; 2],
    /// Pods that are created side by side, likewise.
    pub(crate) side_by_side: [usize; 2],
    /// How long reports come at each rate, as far as there are pods.
    pub(crate) reporting: Duration,
    /// How long nothing happens while the idle control plane is watched.
    pub(crate) idle: Duration,
}

impl Sizes {
    /// A run whose figures mean something, up to `pods` waiting pods.
    pub(crate) fn full(pods: usize) -> Self {
        let few = pods / 10;
        let rounds = 4;
        Self {
            pods: [few, pods],
            nodes: 100,
            rounds,
            // All waiting pods of the first number come from its rounds.
            one_by_one: [few / rounds / 2, few / rounds],
            side_by_side: [few / rounds / 2, few / rounds],
            reporting: Duration::from_secs(5),
            idle: Duration::from_secs(5),
        }
    }

    /// A run of seconds, which shows that all parts still work.
    pub(crate) fn smoke() -> Self {
        Self {
            pods: [10, 20],
            nodes: 2,
            rounds: 1,
            one_by_one: [2, 2],
            side_by_side: [2, 2],
            reporting: Duration::from_millis(500),
            idle: Duration::from_millis(100),
        }
    }
}
