//! Helps pods whose sidecar does not run: exchanges its image, and pauses injection where that happened.

use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use kube::Client;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};
use tracing::{info, warn};

use crate::{
    adapters::{
        events::{self, Announcement, Note, Notes},
        exchanges,
        metrics::Metrics,
    },
    ground::{
        annotations::GoDuration,
        fallbacks::{Due, Failure, Fallbacks, Sign},
        observed::{Observed, PodRef, Trouble},
        pauses::{Barriers, Change, Pauses, Proof, Scope},
        warmups::Outcome,
    },
};

/// Patches under way at once; half of what the gates may have.
const WORKERS: usize = 4;

/// Flags of the rescue.
#[derive(Debug, Args)]
pub(super) struct FallbackArgs {
    /// Image that takes the sidecar's place in pods where that cannot run: one that all nodes have, such as their pause
    /// image, with a numeric user; without one such pods wait
    #[arg(long, default_value = "", value_name = "IMAGE")]
    pub(super) fallback_image: String,
}

/// Who is told of pauses.
pub(super) struct Audience {
    pub(super) metrics: Metrics,
    pub(super) notes: Notes,
    /// Our own namespace.
    pub(super) namespace: String,
}

/// A pod that will not be warmed, because its sidecar does not run.
pub(super) type GivenUp = (PodRef, Trouble);

pub(super) struct Rescue {
    fallbacks: Fallbacks,
    pauses: Pauses,
    barriers: watch::Sender<Arc<Barriers>>,
    client: Client,
    audience: Audience,
    exchanges: JoinSet<(Failure, Outcome)>,
}

impl Rescue {
    /// `sidecar_image` is what pods are injected with; the webhook learns by `barriers` where injection is paused.
    pub(super) fn new(
        args: &FallbackArgs,
        sidecar_image: &str,
        client: Client,
        barriers: watch::Sender<Arc<Barriers>>,
        audience: Audience,
    ) -> Self {
        let image = Some(args.fallback_image.as_str()).filter(|image| !image.is_empty());
        if image.is_none() {
            warn!("no --fallback-image: a pod whose sidecar cannot be pulled waits until it can");
        }
        Self {
            fallbacks: Fallbacks::new(image.map(Into::into)),
            pauses: Pauses::new(sidecar_image),
            barriers,
            client,
            audience,
            exchanges: JoinSet::new(),
        }
    }

    /// Takes news of a pod. Says whether its gate opens without a warm-up.
    pub(super) fn hear(&mut self, observed: &Observed, now: Timestamp) -> Option<GivenUp> {
        match self.fallbacks.apply(observed, now)? {
            Sign::Exchanged(trouble) => Some((observed.pod.clone(), trouble)),
            Sign::Works(started) => {
                let proof = Proof {
                    namespace: &observed.pod.namespace,
                    node: observed.node.as_deref(),
                    image: observed.sidecar.as_ref().map_or("", |sidecar| &sidecar.image),
                    started,
                };
                let changes = self.pauses.work(&proof);
                self.publish(&changes);
                None
            }
        }
    }

    /// Forgets a pod.
    pub(super) fn forget(&mut self, uid: &str) {
        self.fallbacks.delete(uid);
    }

    /// A list of all pods begins.
    pub(super) fn list_begins(&mut self) {
        self.fallbacks.reset();
    }

    /// A list of all pods is complete.
    pub(super) fn list_ends(&mut self) {
        self.fallbacks.reset_done();
    }

    /// When [`Self::act`] has something to do.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let exchange = self.fallbacks.next_due().filter(|_| self.exchanges.len() < WORKERS);
        exchange.into_iter().chain(self.pauses.next_due()).min()
    }

    /// Does what is due.
    pub(super) fn act(&mut self, now: Timestamp) {
        if let Some(changes) = self.pauses.tick(now) {
            self.announce(&changes);
            self.show();
        }
        while self.exchanges.len() < WORKERS && self.fallbacks.next_due().is_some_and(|due| due <= now) {
            if let Some(due) = self.fallbacks.next(now) {
                self.help(due, now);
            }
        }
    }

    fn help(&mut self, Due { failure, is_new, exchange }: Due, now: Timestamp) {
        if is_new {
            let Failure { pod, node, image, trouble, .. } = &failure;
            let node = node.as_deref().unwrap_or_default();
            warn!(%pod, node, %image, cause = trouble.cause.label(), "{trouble}");
            let changes = self.pauses.fail(&failure, now);
            self.publish(&changes);
        }
        let Some(exchange) = exchange else {
            self.audience.metrics.count_exchange(failure.trouble.cause, "no_image");
            let text = format!("held: {}; kube-booster has no --fallback-image for it", failure.trouble);
            self.note(&failure, text);
            return;
        };
        let client = self.client.clone();
        self.exchanges.spawn(async move { (failure, exchanges::make(&client, &exchange).await) });
    }

    /// The next exchange that ends; never, while none is under way.
    pub(super) async fn ended(&mut self) -> Result<(Failure, Outcome), JoinError> {
        match self.exchanges.join_next().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    /// Takes how an exchange ended. Says whether the pod's gate opens without a warm-up.
    pub(super) fn settle(&mut self, ended: Result<(Failure, Outcome), JoinError>) -> Option<GivenUp> {
        let (failure, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                warn!(%error, "an exchange broke off");
                return None;
            }
        };
        let Failure { pod, trouble, is_open, .. } = &failure;
        self.fallbacks.ended(&pod.uid, &outcome, Timestamp::now());
        let result = match outcome {
            Outcome::Applied { .. } => "exchanged",
            Outcome::Gone | Outcome::Conflict => return None,
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
        };
        self.audience.metrics.count_exchange(trouble.cause, result);
        if !matches!(outcome, Outcome::Applied { .. }) {
            return None;
        }
        info!(%pod, uid = %pod.uid, "the sidecar has the fallback image now");
        if *is_open {
            // Otherwise the opening of the gate says it.
            self.note(&failure, format!("{trouble}, and has the fallback image now"));
        }
        Some((failure.pod, failure.trouble))
    }

    fn note(&self, failure: &Failure, text: String) {
        let pod = failure.pod.clone();
        self.audience.notes.send(Note { pod, reason: "WarmupFailed", text, is_warning: true });
    }

    fn publish(&self, changes: &[Change]) {
        if !changes.is_empty() {
            self.announce(changes);
            self.show();
        }
    }

    fn show(&self) {
        let barriers = self.pauses.barriers();
        self.audience.metrics.injection_paused(&barriers);
        self.barriers.send_replace(Arc::new(barriers));
    }

    fn announce(&self, changes: &[Change]) {
        for change in changes {
            let (scope, reason, text, is_warning) = told(change);
            if is_warning {
                warn!(%scope, "{text}");
            } else {
                info!(%scope, "{text}");
            }
            let about = match scope {
                Scope::Namespace(name) => events::namespace(name),
                Scope::Everywhere => events::own_deployment(&self.audience.namespace),
            };
            self.audience.notes.announce(Announcement { about, reason, text, is_warning });
        }
    }
}

fn told(change: &Change) -> (&Scope, &'static str, String, bool) {
    match change {
        Change::Paused(scope, wait) => {
            let why = match scope {
                Scope::Namespace(_) => "a sidecar did not run",
                Scope::Everywhere => {
                    "the sidecar's image cannot be pulled in several namespaces and on several nodes"
                }
            };
            let wait = GoDuration(*wait);
            let text =
                format!("pods of {scope} are not injected for {wait}, because {why}; then one is tried");
            (scope, "InjectionPaused", text, true)
        }
        Change::Resumed(scope) => {
            (scope, "InjectionResumed", format!("pods of {scope} are injected again"), false)
        }
    }
}
