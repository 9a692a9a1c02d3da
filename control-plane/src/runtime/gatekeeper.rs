//! The one owner of all warm-ups: what it hears of pods, of sidecars and of the clock becomes openings.

use std::{collections::HashMap, time::Duration};

use clap::Args;
use jiff::Timestamp;
use kube::Client;
use proto::report::{Reason, Report};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tracing::{info, warn};

use super::{Stop, go_duration};
use crate::{
    adapters::{
        admin::Pending,
        conditions,
        events::{Note, Notes},
        metrics::Metrics,
        pods::News,
        reports::{Call, Settled},
    },
    ground::{
        condition::Opening,
        observed::{Observed, PodRef},
        warmups::{Begun, Opened, Outcome, Recorded, Warmups},
    },
};

/// Applies under way at once: with 8 workers an API server on two cores took some 200 a second, with one 89.
const WORKERS: usize = 8;
/// The wall clock is looked at this often at least: it may have been set, or the machine suspended.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// Flags of the gates.
#[derive(Debug, Args)]
pub(super) struct GatekeeperArgs {
    /// How long after a warm-up's own time its report may come, before the gate opens without it
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = go_duration)]
    pub(super) report_grace_period: Duration,
}

pub(super) struct Gatekeeper {
    warmups: Warmups,
    client: Client,
    metrics: Metrics,
    notes: Notes,
    /// Who waits for a pod's opening, and what they hear when it is applied.
    waiting: HashMap<Box<str>, Vec<(oneshot::Sender<Settled>, Settled)>>,
    applies: JoinSet<(Box<str>, Outcome)>,
    synced: Option<Pending>,
}

impl Gatekeeper {
    /// Readiness waits for `synced` until all pods have been listed once.
    pub(super) fn new(
        args: &GatekeeperArgs,
        client: Client,
        metrics: Metrics,
        notes: Notes,
        synced: Pending,
    ) -> Self {
        Self {
            warmups: Warmups::new(args.report_grace_period),
            client,
            metrics,
            notes,
            waiting: HashMap::new(),
            applies: JoinSet::new(),
            synced: Some(synced),
        }
    }

    /// Works until `stop`, then until the applies under way have ended.
    pub(super) async fn run(
        mut self,
        mut news: mpsc::Receiver<News>,
        mut calls: mpsc::Receiver<Call>,
        stop: Stop,
    ) {
        loop {
            self.start_applies();
            let nap = self.nap();
            tokio::select! {
                Some(news) = news.recv() => self.hear(news),
                Some(call) = calls.recv() => self.answer(call),
                Some(Ok((uid, outcome))) = self.applies.join_next() => self.settle(&uid, &outcome),
                () = tokio::time::sleep(nap) => {}
                () = stop.cancelled() => break,
            }
        }
        while let Some(applied) = self.applies.join_next().await {
            if let Ok((uid, outcome)) = applied {
                self.settle(&uid, &outcome);
            }
        }
    }

    fn nap(&self) -> Duration {
        if self.synced.is_some() || self.applies.len() >= WORKERS {
            return LONGEST_NAP;
        }
        let until =
            |due: Timestamp| Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default();
        self.warmups.next_due().map_or(LONGEST_NAP, until).min(LONGEST_NAP)
    }

    fn start_applies(&mut self) {
        // Before the first list is complete, a pod may look overdue whose report is being sent again.
        while self.synced.is_none() && self.applies.len() < WORKERS {
            let Some(opening) = self.warmups.next(Timestamp::now()) else { return };
            let client = self.client.clone();
            self.applies.spawn(async move {
                let outcome = conditions::apply(&client, &opening).await;
                (opening.pod.uid, outcome)
            });
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::ListBegins => self.warmups.reset(),
            News::ListEnds => {
                for pod in self.warmups.reset_done() {
                    self.forget(&pod);
                }
                if self.synced.take().is_some() {
                    info!(waiting = self.warmups.waiting(), "all pods are known");
                }
            }
            News::Applied(observed) => {
                if let Some(ended) = self.warmups.apply(*observed, Timestamp::now()) {
                    self.forget(&ended);
                }
            }
            News::Deleted(uid) => {
                if let Some(ended) = self.warmups.delete(&uid) {
                    self.forget(&ended);
                }
                self.waiting.remove(&uid);
            }
        }
    }

    /// An active warm-up ended without a result.
    fn forget(&mut self, observed: &Observed) {
        self.metrics.warmup_ended(&observed.pod.namespace, observed.node.as_deref());
        self.waiting.remove(&observed.pod.uid);
    }

    fn answer(&mut self, call: Call) {
        match call {
            Call::Begin { pod, waiting_for: Some(what), answer } => {
                let text = format!("the app has not answered yet: {what}");
                self.notes.send(Note { pod, reason: "WarmupStarted", text, is_warning: true });
                let _ = answer.send(Begun::Again);
            }
            Call::Begin { pod, waiting_for: None, answer } => {
                let begun = self.warmups.begin(&pod);
                if begun == Begun::First {
                    self.note_start(pod);
                }
                let _ = answer.send(begun);
            }
            Call::Report { pod, report, answer } => self.record(&pod, *report, answer),
        }
    }

    fn note_start(&self, pod: PodRef) {
        let node = self.warmups.node(&pod.uid);
        self.metrics.warmup_began(&pod.namespace, node);
        let text = "the app answers; the warm-up requests start".to_owned();
        self.notes.send(Note { pod, reason: "WarmupStarted", text, is_warning: false });
    }

    fn record(&mut self, pod: &PodRef, report: Report, answer: oneshot::Sender<Settled>) {
        let recorded = self.warmups.record(pod, report, Timestamp::now());
        let waits = match recorded {
            Recorded::Accepted => Some(Settled::Recorded),
            Recorded::Opening => Some(Settled::NotRecorded),
            Recorded::AlreadyOpen | Recorded::Unknown => None,
        };
        if let Some(when_applied) = waits {
            self.waiting.entry(pod.uid.clone()).or_default().push((answer, when_applied));
            return;
        }
        let settled =
            if recorded == Recorded::AlreadyOpen { Settled::NotRecorded } else { Settled::Later(recorded) };
        let _ = answer.send(settled);
    }

    fn settle(&mut self, uid: &str, outcome: &Outcome) {
        let opened = self.warmups.settle(uid, outcome, Timestamp::now());
        let waiting = self.waiting.remove(uid).unwrap_or_default();
        for (answer, settled) in waiting {
            let settled = if opened.is_some() { settled } else { Settled::Later(Recorded::Opening) };
            let _ = answer.send(settled);
        }
        if let Some(opened) = opened {
            self.tell(&opened);
        }
    }

    fn tell(&self, Opened { opening, observed, was_active }: &Opened) {
        let (pod, reason) = (&opening.pod, opening.record.reason);
        self.metrics.gate_opened(&pod.namespace, reason, &opening.record.report);
        if *was_active {
            self.metrics.warmup_ended(&pod.namespace, observed.node.as_deref());
        }
        let message = opening.message();
        if reason == Reason::WarmupSucceeded {
            info!(pod = %pod, uid = %pod.uid, %reason, message, "gate opened");
        } else {
            warn!(pod = %pod, uid = %pod.uid, %reason, message, "gate opened");
        }
        self.note_end(opening, message);
    }

    fn note_end(&self, opening: &Opening, text: String) {
        let is_success = opening.record.reason == Reason::WarmupSucceeded;
        let reason = if is_success { "WarmupCompleted" } else { "WarmupFailed" };
        let pod = opening.pod.clone();
        self.notes.send(Note { pod: pod.clone(), reason, text, is_warning: !is_success });
        let text = format!("condition {} is True: {}", proto::names::CONDITION, opening.record.reason);
        self.notes.send(Note { pod, reason: "ConditionUpdated", text, is_warning: false });
    }
}
