//! How the webhook does: what it tells of each review, and what comes of it, lately and since the start.

mod figures;
mod purging;
mod tally;
mod window;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub use figures::{Durations, Figures, Queue, Snapshot, change};
pub use purging::Purging;
use tally::Tally;
pub use tally::{Ending, Parts, Review};
use window::Window;

/// What is known of all reviews; whoever answers them tells it, whoever wants to know asks.
#[derive(Debug)]
pub struct Tracker {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    slots: usize,
    waiting: usize,
    running: usize,
    /// Since when all slots are taken; times are those since the tracker's start.
    full_since: Option<Duration>,
    window: Window,
    /// Counts of 64 bits: those of a window of 32 would be full after a month of heavy use.
    since_start: Tally<u64>,
}

impl Tracker {
    /// Nothing is known at `start` of reviews that take `slots`; lately means within `window`.
    #[must_use]
    pub fn new(slots: usize, window: Duration, start: Instant) -> Self {
        let state = State {
            slots,
            waiting: 0,
            running: 0,
            full_since: None,
            window: Window::new(window),
            since_start: Tally::default(),
        };
        Self { start, state: Mutex::new(state) }
    }

    /// A review is there, and waits for a slot.
    pub fn arrived(&self) {
        self.state().waiting += 1;
    }

    /// A review that waited has taken a slot.
    pub fn started(&self, now: Instant) {
        let at = self.at(now);
        let mut state = self.state();
        state.waiting = state.waiting.saturating_sub(1);
        state.running += 1;
        if state.running == state.slots {
            state.full_since = Some(at);
        }
    }

    /// A review is no longer there: one that waited, or one that had taken a slot.
    pub fn ended(&self, review: &Review, had_started: bool, now: Instant) {
        let at = self.at(now);
        let mut state = self.state();
        if had_started {
            if state.running == state.slots
                && let Some(since) = state.full_since.take()
            {
                state.window.fill(since, at);
                state.since_start.fill(at.saturating_sub(since));
            }
            state.running = state.running.saturating_sub(1);
        } else {
            state.waiting = state.waiting.saturating_sub(1);
        }
        state.window.add(review, at);
        state.since_start.add(review);
    }

    /// What is known at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let at = self.at(now);
        let state = self.state();
        let mut window = state.window.tally(at);
        let covered = state.window.covered(at);
        let mut since_start = state.since_start.clone();
        if let Some(since) = state.full_since {
            let full = at.saturating_sub(since);
            window.fill(full.min(covered));
            since_start.fill(full);
        }
        Snapshot {
            slots: state.slots,
            waiting: state.waiting,
            running: state.running,
            window: window.figures(covered),
            since_start: since_start.figures(at),
        }
    }

    fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
