//! The one owner of all warm-ups: what it hears of pods, of sidecars and of the clock becomes openings.

mod explanations;
mod reporters;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use clap::{ArgAction, Args};
use jiff::Timestamp;
use kube::Client;
use proto::report::{Reason, Report};
use tokio::{
    sync::{mpsc, oneshot},
    task::{self, JoinError, JoinSet},
    time::timeout,
};
use tracing::{info, warn};

use self::{
    explanations::Explanations,
    reporters::{Reporters, Visit},
};
use super::{
    Stop, go_duration,
    rescue::{GivenUp, Rescue},
};
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
        annotations::GoDuration,
        condition::Opening,
        holding::Why,
        observed::{Planned, PodRef},
        warmups::{Active, Begun, Opened, Outcome, Recorded, Warmups},
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
    /// Whether the condition of a held pod says why (False, with a reason): one more write to each pod
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub(super) waiting_condition: bool,
}

/// Time for sidecars whose report found nobody: their longest pause between two tries, and the report itself.
const AFTER_START: Duration = Duration::from_secs(15);
/// For the applies under way when the control plane stops.
const DRAIN: Duration = Duration::from_secs(10);

pub(super) struct Gatekeeper {
    warmups: Warmups,
    rescue: Rescue,
    client: Client,
    metrics: Metrics,
    notes: Notes,
    reporters: Reporters,
    applies: JoinSet<Outcome>,
    /// Which pod an apply is about.
    under_way: HashMap<task::Id, Box<str>>,
    explanations: Explanations,
    synced: Option<Pending>,
}

impl Gatekeeper {
    /// Readiness waits for `synced` until all pods have been listed once.
    pub(super) fn new(
        args: &GatekeeperArgs,
        rescue: Rescue,
        client: Client,
        (metrics, notes): (Metrics, Notes),
        synced: Pending,
    ) -> Self {
        let now = Timestamp::now();
        Self {
            warmups: Warmups::new(args.report_grace_period, now.checked_add(AFTER_START).unwrap_or(now)),
            explanations: Explanations::new(args.waiting_condition, client.clone()),
            rescue,
            client,
            metrics,
            notes,
            reporters: Reporters::new(Instant::now()),
            applies: JoinSet::new(),
            under_way: HashMap::new(),
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
            self.reporters.look_at(&self.warmups, Instant::now());
            let nap = self.nap();
            tokio::select! {
                Some(news) = news.recv() => self.hear(news),
                Some(call) = calls.recv() => self.answer(call),
                Some(ended) = self.applies.join_next_with_id() => self.settle(ended),
                Some(ended) = self.explanations.ended() => self.explanations.settle(ended, &mut self.warmups),
                ended = self.rescue.ended() => {
                    let given_up = self.rescue.settle(ended);
                    self.give_up(given_up);
                }
                () = tokio::time::sleep(nap) => {}
                () = stop.cancelled() => break,
            }
        }
        let drain = async {
            while let Some(ended) = self.applies.join_next_with_id().await {
                self.settle(ended);
            }
        };
        if timeout(DRAIN, drain).await.is_err() {
            warn!("stopped while gates were being opened; the next control plane opens them");
        }
    }

    fn nap(&self) -> Duration {
        if self.synced.is_some() || self.applies.len() >= WORKERS {
            return LONGEST_NAP;
        }
        let until =
            |due: Timestamp| Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default();
        let due = self.warmups.next_due().into_iter().chain(self.rescue.next_due()).min();
        due.map_or(LONGEST_NAP, until).min(LONGEST_NAP)
    }

    fn start_applies(&mut self) {
        // Before the first list is complete, nothing is known of what waits.
        if self.synced.is_none() {
            self.rescue.act(Timestamp::now());
        }
        while self.synced.is_none() && self.applies.len() < WORKERS {
            let Some(opening) = self.warmups.next(Timestamp::now()) else {
                // Only what opens no gate is left to do.
                return self.explanations.start(&mut self.warmups);
            };
            let (client, uid) = (self.client.clone(), opening.pod.uid.clone());
            let apply = self.applies.spawn(async move { conditions::apply(&client, &opening).await });
            self.under_way.insert(apply.id(), uid);
        }
    }

    fn hear(&mut self, news: News) {
        let now = Timestamp::now();
        match news {
            News::ListBegins => {
                self.warmups.reset();
                self.rescue.list_begins();
            }
            News::ListEnds => {
                self.rescue.list_ends();
                for ended in self.warmups.reset_done() {
                    self.count_end(Some(&ended));
                }
                if self.synced.take().is_some() {
                    info!(waiting = self.warmups.waiting(), "all pods are known");
                }
            }
            News::Applied(mut observed) => {
                let given_up = self.rescue.hear(&observed, now);
                // Thousands of pods are kept, and nobody else looks at it.
                observed.sidecar = None;
                let ended = self.warmups.apply(*observed, now);
                self.count_end(ended.as_ref());
                self.give_up(given_up);
            }
            News::Deleted(uid) => {
                self.rescue.forget(&uid);
                let ended = self.warmups.delete(&uid);
                self.count_end(ended.as_ref());
                self.reporters.forget(&uid);
            }
            News::Strays(found) => {
                for ended in self.warmups.strays(found, now) {
                    self.count_end(Some(&ended));
                }
            }
        }
    }

    fn give_up(&mut self, given_up: Option<GivenUp>) {
        if let Some((pod, trouble)) = given_up {
            self.warmups.give_up(&pod.uid, trouble, Timestamp::now());
        }
    }

    fn count_end(&self, ended: Option<&Active>) {
        if let Some(Active { namespace, node }) = ended {
            self.metrics.warmup_ended(namespace, node.as_deref());
        }
    }

    fn answer(&mut self, call: Call) {
        match call {
            Call::Begin { pod, waiting_for: Some(what), answer } => {
                let begun = self.warmups.still_waits(&pod);
                if begun == Begun::Again {
                    self.explanations.ask(&pod, Why::WaitingForApp, &what);
                    self.notes.send(Note { pod, reason: "WarmupWaiting", text: what, is_warning: true });
                }
                let _ = answer.send(begun);
            }
            Call::Begin { pod, waiting_for: None, answer } => {
                let begun = self.warmups.begin(&pod);
                if let Begun::First(active) = &begun {
                    self.metrics.warmup_began(&active.namespace, active.node.as_deref());
                    let text = start_text(self.warmups.planned(&pod));
                    self.explanations.ask(&pod, Why::WarmingUp, &text);
                    self.notes.send(Note { pod, reason: "WarmupStarted", text, is_warning: false });
                }
                let _ = answer.send(begun);
            }
            Call::Report { pod, report, answer } => self.record(&pod, *report, answer),
        }
    }

    fn record(&mut self, pod: &PodRef, report: Report, answer: oneshot::Sender<Settled>) {
        let now = Timestamp::now();
        let recorded = self.warmups.record(pod, report, now);
        let settled = match recorded {
            Recorded::Accepted | Recorded::Opening => {
                let is_first = recorded == Recorded::Accepted;
                let deadline = self.warmups.deadline(pod, now);
                let deadline =
                    deadline.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
                let visit = Visit { uid: &pod.uid, is_first, deadline };
                return self.reporters.wait(visit, answer, Instant::now());
            }
            Recorded::AlreadyOpen => Settled::NotRecorded,
            Recorded::Unknown => Settled::Later(recorded),
        };
        let _ = answer.send(settled);
    }

    fn settle(&mut self, ended: Result<(task::Id, Outcome), JoinError>) {
        let (id, outcome) = ended.unwrap_or_else(|error| {
            warn!(%error, "an apply broke off");
            (error.id(), Outcome::Failed)
        });
        let Some(uid) = self.under_way.remove(&id) else { return };
        match outcome {
            Outcome::Refused => self.metrics.gate_not_opened("refused"),
            Outcome::Failed => self.metrics.gate_not_opened("failed"),
            Outcome::Applied { .. } | Outcome::Gone | Outcome::Conflict => {}
        }
        let now = Timestamp::now();
        let opened = match &outcome {
            Outcome::Applied { resource_version } => {
                self.warmups.applied(&uid, resource_version.as_deref(), now)
            }
            other => {
                let ended = self.warmups.not_applied(&uid, other, now);
                self.count_end(ended.as_ref());
                None
            }
        };
        self.reporters.settle(&uid, opened.is_some());
        if let Some(opened) = opened {
            self.tell(&opened);
        }
    }

    fn tell(&self, Opened { opening, ended }: &Opened) {
        let (pod, reason) = (&opening.pod, opening.record.reason);
        self.metrics.gate_opened(&pod.namespace, reason, &opening.record.report);
        self.count_end(ended.as_ref());
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

/// Why the pod is held, and for how long.
fn start_text(planned: Option<Planned>) -> String {
    let Some(Planned { requests, duration }) = planned else {
        return "the app answers and is warmed".to_owned();
    };
    let duration = GoDuration(duration);
    format!(
        "the app answers; held out of Services until {requests} warm-up requests were sent over {duration}"
    )
}
