//! How long it takes until the openings that wait are done.

use std::time::{Duration, Instant};

/// An API server on two cores, with kubelets and its storage beside it, took some 150 openings a second.
const ASSUMED: Duration = Duration::from_micros(6_667);
/// What is measured to be slower than this is an API server that does not answer: nobody can say for how long.
const SLOWEST: Duration = Duration::from_millis(100);
/// Openings that end within this are measured together.
const WINDOW: Duration = Duration::from_secs(1);

/// A place in the queue, counted from the first that ever joined.
pub type Ticket = u64;

/// The openings that wait, and the pace at which they are done.
#[derive(Debug)]
pub struct Backlog {
    /// Of the next that joins; they are served in turn.
    next: Ticket,
    waiting: u32,
    /// Done since the last count, or since the first joined.
    done: u32,
    since: Instant,
    pace: Duration,
}

impl Backlog {
    /// Nothing waits.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { next: 0, waiting: 0, done: 0, since: now, pace: ASSUMED }
    }

    /// One more waits.
    pub fn join(&mut self, now: Instant) -> Ticket {
        if self.waiting == 0 {
            (self.since, self.done) = (now, 0);
        }
        self.waiting = self.waiting.saturating_add(1);
        self.next += 1;
        self.next - 1
    }

    /// One was done, or will not be.
    pub fn leave(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        self.done = self.done.saturating_add(1);
    }

    /// Whether it is time to measure the pace.
    #[must_use]
    pub fn wants_count(&self, now: Instant) -> bool {
        self.waiting > 0 && now.saturating_duration_since(self.since) >= WINDOW
    }

    /// Takes how many wait in truth, and measures the pace.
    pub fn count(&mut self, waiting: usize, now: Instant) {
        let measured = now.saturating_duration_since(self.since) / self.done.max(1);
        self.pace = (self.pace * 3 + measured.min(SLOWEST)) / 4;
        self.waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        (self.since, self.done) = (now, 0);
    }

    /// How long the one with this ticket still waits, or without one the last in the queue.
    #[must_use]
    pub fn wait(&self, ticket: Option<Ticket>) -> Duration {
        let served = self.next.saturating_sub(self.waiting.into());
        let before = ticket.map(|ticket| u32::try_from(ticket.saturating_sub(served)).unwrap_or(u32::MAX));
        self.pace.saturating_mul(before.unwrap_or(self.waiting).min(self.waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pace: u32, seconds: u32) -> Backlog {
        let start = Instant::now();
        let mut backlog = Backlog::new(start);
        (0..10_000).for_each(|_| _ = backlog.join(start));
        for second in 1..=seconds {
            (0..pace).for_each(|_| backlog.leave());
            let now = start + second * WINDOW;
            assert!(backlog.wants_count(now));
            backlog.count(10_000, now);
        }
        backlog
    }

    #[test]
    fn the_wait_grows_with_those_that_wait() {
        let now = Instant::now();
        let mut backlog = Backlog::new(now);
        assert_eq!(backlog.wait(None), Duration::ZERO);
        (0..300).for_each(|_| _ = backlog.join(now));
        assert_eq!(backlog.wait(None).as_secs(), 2);
        (0..150).for_each(|_| backlog.leave());
        assert_eq!(backlog.wait(None).as_secs(), 1);
    }

    #[test]
    fn who_came_early_waits_less() {
        let now = Instant::now();
        let mut backlog = Backlog::new(now);
        let tickets: Vec<_> = (0..300).map(|_| backlog.join(now)).collect();
        let waits =
            |backlog: &Backlog| [0, 150, 299].map(|place| backlog.wait(Some(tickets[place])).as_millis());
        assert_eq!(waits(&backlog), [0, 1_000, 1_993]);
        (0..150).for_each(|_| backlog.leave());
        assert_eq!(waits(&backlog), [0, 0, 993]);
    }

    #[test]
    fn the_wait_follows_the_pace_of_the_api_server() {
        assert_eq!(after(400, 20).wait(None).as_secs(), 25);
        assert_eq!(after(50, 20).wait(None).as_secs(), 199);
    }

    #[test]
    fn an_api_server_that_stands_still_makes_nobody_wait_for_ever() {
        assert!(after(0, 1_000).wait(None) <= 10_000 * SLOWEST);
    }

    #[test]
    fn a_time_with_nothing_to_do_says_nothing_of_the_pace() {
        let start = Instant::now();
        let (mut backlog, later) = (Backlog::new(start), start + 60 * WINDOW);
        assert!(!backlog.wants_count(later));
        backlog.join(later);
        assert!(!backlog.wants_count(later), "it joined just now");
        (0..150).for_each(|_| backlog.leave());
        (0..150).for_each(|_| _ = backlog.join(later));
        backlog.count(150, later + WINDOW);
        assert!(backlog.wait(None) > Duration::from_millis(900));
    }
}
