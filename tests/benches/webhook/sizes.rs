//! How much of everything a run does.

/// Sizes of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Rounds in which all variants have their turn.
    pub(crate) rounds: usize,
    /// Requests of each turn.
    pub(crate) requests: usize,
    /// Large reviews of a burst, and connections that they come on.
    pub(crate) burst: usize,
    /// Whether memory is watched until the allocator was asked, which takes seconds.
    pub(crate) settles: bool,
}

impl Sizes {
    /// A run whose figures mean something.
    pub(crate) fn full() -> Self {
        Self { rounds: 60, requests: 2_000, burst: 600, settles: true }
    }

    /// A run of a second, which shows that all parts still work.
    pub(crate) fn smoke() -> Self {
        Self { rounds: 2, requests: 32, burst: 8, settles: false }
    }
}
