//! Whether an app's latency has become stable: measured, for nobody can guess how many requests that takes.
//!
//! Requests are taken in windows. An app that still gets warmer has, every now and then, a window with a median or a
//! 90th percentile clearly below all before; one that has had none for [`PATIENCE`] windows is as warm as it gets. The
//! best is kept, not the last: a burst or a pause makes a window slower and so can neither look like progress nor,
//! when it is over, like an app that became faster.

use std::time::Duration;

/// Requests of a window, at least: of an app that is quick enough, and of any.
const WINDOW: u128 = 50;
const SHORTEST_WINDOW: u128 = 10;
/// How long the requests of a window should take together at most.
const LONGEST_WINDOW: Duration = Duration::from_secs(1);
/// Windows in a row without progress after which an app is stable. What was recorded of Java apps fell on in steps up to
/// nine windows long; with six they were stopped at twice the latency that they came to.
const PATIENCE: u32 = 10;
/// Progress is a quantile below its best so far by more than this share.
const PROGRESS: f64 = 0.1;
/// The quantiles that are looked at, in percent.
const QUANTILES: [usize; 2] = [50, 90];

/// What the completed requests say so far.
#[derive(Debug)]
pub struct Stability {
    /// Requests of a whole pass over the paths: windows hold whole ones, so that all have the same mix.
    pass: usize,
    window: Window,
    /// Each quantile as it was at its last progress, so that what falls slowly is seen to fall.
    best: [Option<Duration>; 2],
    without_progress: u32,
}

#[derive(Debug, Default)]
struct Window {
    completed: usize,
    succeeded: Vec<Duration>,
}

impl Stability {
    /// For requests that cycle through `pass` paths.
    #[must_use]
    pub fn of_passes(pass: usize) -> Self {
        Self { pass: pass.max(1), window: Window::default(), best: [None; 2], without_progress: 0 }
    }

    /// Adds a completed request that took `latency`.
    pub fn record(&mut self, latency: Duration, is_success: bool) {
        self.window.completed += 1;
        if is_success {
            self.window.succeeded.push(latency);
        }
        if self.window.completed >= self.size() && self.window.completed.is_multiple_of(self.pass) {
            let window = std::mem::take(&mut self.window);
            self.judge(window);
        }
    }

    /// Whether the latency is stable.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.without_progress >= PATIENCE
    }

    /// By the best median so far: of the latencies at hand, a burst would make windows short when they are needed most.
    fn size(&self) -> usize {
        let fitting = |median: Duration| LONGEST_WINDOW.as_nanos() / median.as_nanos().max(1);
        let size = self.best[0].map_or(SHORTEST_WINDOW, fitting);
        usize::try_from(size.clamp(SHORTEST_WINDOW, WINDOW)).unwrap_or_default()
    }

    fn judge(&mut self, window: Window) {
        let Some(seen) = window.quantiles() else {
            self.without_progress = 0;
            return;
        };
        self.without_progress += 1;
        for (seen, best) in seen.into_iter().zip(&mut self.best) {
            if best.is_none_or(|best| seen < best.mul_f64(1.0 - PROGRESS)) {
                *best = Some(seen);
                self.without_progress = 0;
            }
        }
    }
}

impl Window {
    /// Of the requests that succeeded; `None` where most failed: how fast an app fails says nothing.
    fn quantiles(mut self) -> Option<[Duration; 2]> {
        if self.succeeded.len() * 2 <= self.completed {
            return None;
        }
        self.succeeded.sort_unstable();
        let rank = |percent: usize| (self.succeeded.len() * percent).div_ceil(100) - 1;
        Some(QUANTILES.map(|percent| self.succeeded[rank(percent)]))
    }
}

#[cfg(test)]
mod tests;
