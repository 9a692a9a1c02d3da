//! The sidecars that wait until their report is stored.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    adapters::reports::Settled,
    ground::{
        backlog::Backlog,
        warmups::{Recorded, Warmups},
    },
};

/// Pods whose sidecars wait at once. Each holds a connection of some 60 KiB while it waits.
const MOST: usize = 512;
/// Calls of one pod that wait at once: its sidecar makes one, and one more after a broken connection.
const EACH: usize = 4;
/// A sidecar gives up on an answer after 10 s.
const LONGEST: Duration = Duration::from_secs(5);

/// The longest that a sidecar is sent away for, less its jitter: should we end meanwhile, its report reaches another
/// replica before that one opens gates by their deadlines.
const LONGEST_AWAY: Duration = Duration::from_secs(9);

/// A sidecar that waits for the answer to its report.
struct Reporter {
    answer: oneshot::Sender<Settled>,
    /// What it hears when the opening is applied.
    when_applied: Settled,
}

/// Who waits for which pod's opening.
pub(super) struct Reporters {
    waiting: HashMap<Box<str>, Vec<Reporter>>,
    backlog: Backlog,
}

impl Reporters {
    pub(super) fn new(now: Instant) -> Self {
        Self { waiting: HashMap::new(), backlog: Backlog::new(now) }
    }

    /// Answers when the pod's opening is applied, where that is soon, and else says how long it takes. Its report is
    /// kept either way.
    pub(super) fn wait(&mut self, uid: &str, is_first: bool, answer: oneshot::Sender<Settled>, now: Instant) {
        let wait = self.backlog.wait();
        if is_first {
            self.backlog.join(now);
        }
        let known = self.waiting.get(uid).map_or(0, Vec::len);
        let has_room = known < EACH && (known > 0 || self.waiting.len() < MOST);
        if !has_room || wait > LONGEST {
            let _ = answer.send(Settled::Crowded(wait.min(LONGEST_AWAY)));
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
        }
        for reporter in self.waiting.remove(uid).unwrap_or_default() {
            let later = Settled::Later(Recorded::Opening);
            let _ = reporter.answer.send(if is_open { reporter.when_applied } else { later });
        }
    }

    /// The pod is gone.
    pub(super) fn forget(&mut self, uid: &str) {
        self.waiting.remove(uid);
    }

    /// Now and then: how many openings wait, and which sidecars do not any more.
    pub(super) fn look_at(&mut self, warmups: &Warmups, now: Instant) {
        if !self.backlog.wants_count(now) {
            return;
        }
        self.backlog.count(warmups.openings(), now);
        self.waiting.retain(|_, reporters| {
            reporters.retain(|reporter| !reporter.answer.is_closed());
            !reporters.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use oneshot::error::TryRecvError;

    use super::*;

    fn report(reporters: &mut Reporters, uid: &str, is_first: bool) -> oneshot::Receiver<Settled> {
        let (answer, answered) = oneshot::channel();
        reporters.wait(uid, is_first, answer, Instant::now());
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
