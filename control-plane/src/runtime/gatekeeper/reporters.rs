//! The sidecars that wait until their report is stored.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    adapters::reports::Settled,
    ground::{
        backlog::{Backlog, Ticket},
        warmups::{Recorded, Warmups},
    },
};

/// Pods whose sidecars wait at once. Each holds a connection of some 60 KiB while it waits.
const MOST: usize = 512;
/// Calls of one pod that wait at once: its sidecar makes one, and one more after a broken connection.
const EACH: usize = 4;
/// A sidecar gives up on an answer after 10 s.
const LONGEST: Duration = Duration::from_secs(5);

/// A sidecar is sent away for this long at most. Should we end meanwhile, its report must reach another replica before
/// that one opens the gate by the pod's deadline, for which a new one takes 15 s at least; sidecars add up to a half.
const LONGEST_AWAY: Duration = Duration::from_secs(9);
/// The same while the deadline is far: the longest that a sidecar lets itself be told is a minute, jitter included.
const LONGEST_BEFORE_DEADLINE: Duration = Duration::from_secs(40);
/// What is left before the deadline when a sidecar is back, for its report to be taken elsewhere.
const RESERVE: Duration = Duration::from_secs(15);

/// A sidecar that waits for the answer to its report.
struct Reporter {
    answer: oneshot::Sender<Settled>,
    /// What it hears when the opening is applied.
    when_applied: Settled,
}

/// A sidecar that brings its report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit<'a> {
    /// Of its pod.
    pub(super) uid: &'a str,
    /// Whether the report was not known before.
    pub(super) is_first: bool,
    /// After this long the gate would open without the report, as far as that is known.
    pub(super) deadline: Option<Duration>,
}

/// Who waits for which pod's opening.
pub(super) struct Reporters {
    waiting: HashMap<Box<str>, Vec<Reporter>>,
    /// Of those whose reports were taken.
    tickets: HashMap<Box<str>, Ticket>,
    backlog: Backlog,
}

impl Reporters {
    pub(super) fn new(now: Instant) -> Self {
        Self { waiting: HashMap::new(), tickets: HashMap::new(), backlog: Backlog::new(now) }
    }

    /// Answers when the pod's opening is applied, where that is soon, and else says how long it takes. Its report is
    /// kept either way.
    pub(super) fn wait(&mut self, visit: Visit<'_>, answer: oneshot::Sender<Settled>, now: Instant) {
        let Visit { uid, is_first, deadline } = visit;
        let ticket = if is_first { Some(self.backlog.join(now)) } else { self.tickets.get(uid).copied() };
        let wait = self.backlog.wait(ticket);
        let known = self.waiting.get(uid).map_or(0, Vec::len);
        let has_room = known < EACH && (known > 0 || self.waiting.len() < MOST);
        if let Some(ticket) = ticket {
            self.tickets.insert(uid.into(), ticket);
        }
        if !has_room || wait > LONGEST {
            let _ = answer.send(Settled::Crowded(wait.min(longest_away(deadline))));
            return;
        }
        let when_applied = if is_first { Settled::Recorded } else { Settled::NotRecorded };
        let reporters = self.waiting.entry(uid.into()).or_default();
        reporters.retain(|reporter| !reporter.answer.is_closed());
        reporters.push(Reporter { answer, when_applied });
    }

    /// Tells those that wait for the pod how its apply ended.
    pub(super) fn settle(&mut self, uid: &str, is_open: bool) {
        if is_open {
            self.backlog.leave();
            self.tickets.remove(uid);
        }
        for reporter in self.waiting.remove(uid).unwrap_or_default() {
            let later = Settled::Later(Recorded::Opening);
            let _ = reporter.answer.send(if is_open { reporter.when_applied } else { later });
        }
    }

    /// The pod is gone.
    pub(super) fn forget(&mut self, uid: &str) {
        self.waiting.remove(uid);
        self.tickets.remove(uid);
    }

    /// Now and then: how many openings wait, and which sidecars do not any more.
    pub(super) fn look_at(&mut self, warmups: &Warmups, now: Instant) {
        if !self.backlog.wants_count(now) {
            return;
        }
        self.backlog.count(warmups.openings(), now);
        self.tickets.retain(|uid, _| warmups.knows(uid));
        self.waiting.retain(|_, reporters| {
            reporters.retain(|reporter| !reporter.answer.is_closed());
            !reporters.is_empty()
        });
    }
}

/// How long a sidecar may be away whose gate would open after `deadline`, or at no time that is known yet.
fn longest_away(deadline: Option<Duration>) -> Duration {
    let before = deadline.unwrap_or(Duration::MAX).saturating_sub(RESERVE) / 3 * 2;
    before.clamp(LONGEST_AWAY, LONGEST_BEFORE_DEADLINE)
}

#[cfg(test)]
mod tests {
    use oneshot::error::TryRecvError;

    use super::*;

    fn report(reporters: &mut Reporters, uid: &str, is_first: bool) -> oneshot::Receiver<Settled> {
        let (answer, answered) = oneshot::channel();
        let visit = Visit { uid, is_first, deadline: Some(Duration::ZERO) };
        reporters.wait(visit, answer, Instant::now());
        answered
    }

    #[test]
    fn a_sidecar_hears_what_became_of_its_report_once_its_pod_is_applied() {
        let mut reporters = Reporters::new(Instant::now());
        let mut first = report(&mut reporters, "u1", true);
        let mut second = report(&mut reporters, "u1", false);
        assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
        reporters.settle("u1", true);
        assert_eq!(first.try_recv(), Ok(Settled::Recorded));
        assert_eq!(second.try_recv(), Ok(Settled::NotRecorded));
        let mut failed = report(&mut reporters, "u2", true);
        reporters.settle("u2", false);
        assert_eq!(failed.try_recv(), Ok(Settled::Later(Recorded::Opening)));
    }

    #[test]
    fn of_a_storm_some_wait_and_the_others_hear_how_long_it_takes() {
        let mut reporters = Reporters::new(Instant::now());
        let mut answers: Vec<_> =
            (0..10_000).map(|pod| report(&mut reporters, &format!("u{pod}"), true)).collect();
        assert!(answers[..MOST].iter_mut().all(|answer| answer.try_recv() == Err(TryRecvError::Empty)));
        let waits = answers[MOST..].iter_mut().map(|answer| match answer.try_recv() {
            Ok(Settled::Crowded(wait)) => wait,
            other => panic!("{other:?}"),
        });
        let waits: Vec<_> = waits.collect();
        assert!(waits.is_sorted() && waits[0].as_secs() == 3 && *waits.last().unwrap() == LONGEST_AWAY);
    }

    #[test]
    fn a_sidecar_that_comes_back_hears_what_is_left_for_its_own_report() {
        let mut reporters = Reporters::new(Instant::now());
        for pod in 0..3_000 {
            drop(report(&mut reporters, &format!("u{pod}"), true));
        }
        let crowded = |mut answer: oneshot::Receiver<Settled>| match answer.try_recv() {
            Ok(Settled::Crowded(wait)) => wait,
            other => panic!("{other:?}"),
        };
        assert_eq!(crowded(report(&mut reporters, "u1200", false)).as_secs(), 8);
        for pod in 0..1_000 {
            reporters.settle(&format!("u{pod}"), true);
        }
        assert_eq!(
            report(&mut reporters, "u1200", false).try_recv(),
            Err(TryRecvError::Empty),
            "it may wait"
        );
        assert_eq!(crowded(report(&mut reporters, "u2000", false)).as_secs(), 6);
    }

    #[test]
    fn who_is_sent_away_is_back_before_its_gate_opens_without_it() {
        let away = |seconds| longest_away(Some(Duration::from_secs(seconds))).as_secs();
        assert_eq!([0, 20, 30, 60, 600].map(away), [9, 9, 10, 30, 40]);
        assert_eq!(longest_away(None), LONGEST_BEFORE_DEADLINE);
        // A half more, by jitter, and some time is left.
        assert!((30..600).all(|deadline| away(deadline) * 3 / 2 + RESERVE.as_secs() <= deadline));
    }

    #[test]
    fn sidecars_that_have_gone_make_room() {
        let start = Instant::now();
        let mut reporters = Reporters::new(start);
        let gone = |pod| drop(report(&mut reporters, &format!("u{pod}"), true));
        (0..MOST).for_each(gone);
        reporters.look_at(&Warmups::new(LONGEST, jiff::Timestamp::now()), start + 2 * LONGEST);
        assert_eq!(report(&mut reporters, "new", true).try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn one_pod_does_not_take_the_room_of_others() {
        let mut reporters = Reporters::new(Instant::now());
        let mut answers: Vec<_> = (0..=EACH).map(|_| report(&mut reporters, "u1", false)).collect();
        assert_eq!(answers.pop().unwrap().try_recv(), Ok(Settled::Crowded(Duration::ZERO)));
    }
}
