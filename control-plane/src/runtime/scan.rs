//! The leader's look at all pods: who was missed, skipped or hardly warmed, and which gates nobody watches.

mod question;

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use kube::Client;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use super::{Template, go_duration};
use crate::{
    adapters::{
        census::{self, Asked, PAGE},
        events::{self, Note},
        evictions::{self, Evicted},
        metrics::Metrics,
        pods::News,
        reach,
        reports::MissedQuestion,
    },
    ground::{
        limits::Limits,
        observed::{Observed, PodRef},
        pauses::Barriers,
        scan::{self, Finding, NotWarmed, Page},
    },
};

/// From the moment at which a replica leads to its first look.
const SOON: Duration = Duration::from_secs(5);
/// Events of one look; what is left is said after the next.
const MAX_EVENTS: usize = 100;
/// What the author of a workload is told whose pods are warmed by `/` alone.
const ONLY_ROOT: &str = "only / is warmed, because kube-booster.io/warmup-endpoint does not say what users ask for: name \
    all their paths there, since requests to one path leave the others cold; name / to hear no more of this";
/// Looks without a newly missed pod before one is evicted.
const CALM: u32 = 2;

/// Flags of the leader's scan.
#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// How often the leader looks at all pods for those that were missed, and for gates that nobody watches
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = interval)]
    pub(super) scan_interval: Duration,
    /// Evict missed pods, one after a scan at most, so that their controllers make them again; needs the right to it
    #[arg(long)]
    pub(super) evict_missed_pods: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = go_duration(text)?;
    if interval < Duration::from_secs(1) {
        return Err("use a duration of 1s or more".to_owned());
    }
    Ok(interval)
}

pub(super) struct Scanner {
    pub(super) client: Client,
    pub(super) own_namespace: String,
    pub(super) interval: Duration,
    /// Evicts, where that is wanted.
    pub(super) evictor: Option<Client>,
    pub(super) template: Template,
    pub(super) limits: watch::Receiver<Limits>,
    pub(super) barriers: watch::Receiver<Arc<Barriers>>,
    pub(super) metrics: Metrics,
    pub(super) news: mpsc::Sender<News>,
    /// The names of the Events that are still true; each is said once.
    pub(super) said: HashSet<String>,
    /// UIDs of the pods that could not be evicted in this round.
    pub(super) refused: HashSet<Box<str>>,
}

/// What a look at all pods has found.
#[derive(Default)]
struct Found {
    missed: Vec<NotWarmed>,
    skipped: Vec<NotWarmed>,
    strays: Vec<Observed>,
    /// One pod for each controller.
    narrow: HashMap<Box<str>, PodRef>,
}

impl Scanner {
    /// Looks at all pods while this replica `leads`, and answers questions in any case.
    pub(super) async fn run(
        mut self,
        mut leads: watch::Receiver<bool>,
        mut questions: mpsc::Receiver<MissedQuestion>,
    ) {
        let mut next = Instant::now() + SOON.min(self.interval);
        let mut can_change = true;
        loop {
            let leads_now = *leads.borrow_and_update();
            tokio::select! {
                changed = leads.changed(), if can_change => {
                    can_change = changed.is_ok();
                    next = Instant::now() + SOON.min(self.interval);
                    if !*leads.borrow() {
                        self.retire().await;
                    }
                }
                Some(question) = questions.recv() => self.answer(question).await,
                () = sleep_until(next), if leads_now => {
                    if let Err(error) = self.scan(&leads).await {
                        warn!(error = format!("{error:#}"), "the scan of all pods broke off");
                    }
                    next = Instant::now() + self.interval;
                }
            }
        }
    }

    /// Leaves pods and numbers to the next leader.
    async fn retire(&mut self) {
        self.said.clear();
        self.metrics.missed_pods([]);
        let _ = self.news.send(News::Strays(Vec::new())).await;
    }

    async fn scan(&mut self, leads: &watch::Receiver<bool>) -> anyhow::Result<()> {
        let start = Instant::now();
        let namespaces = reach::namespaces(&self.client, &self.own_namespace).await;
        let Found { missed, skipped, strays, narrow } =
            self.look_at_all(namespaces.as_ref().unwrap_or(&HashSet::new())).await?;
        if !*leads.borrow() {
            return Ok(());
        }
        let (missed_pods, skipped_pods, stray_pods) = (missed.len(), skipped.len(), strays.len());
        self.news.send(News::Strays(strays)).await.context("nobody opens gates any more")?;
        // Gates are opened even where it is not known who was missed.
        namespaces.context("cannot say which pods were missed")?;
        if missed_pods + skipped_pods + stray_pods > 0 {
            info!(took = ?start.elapsed(), missed_pods, skipped_pods, stray_pods, "all pods were looked at");
        }
        self.metrics.missed_pods(missed.iter().map(|missed| &*missed.pod.namespace));
        self.say(notes(&missed, &skipped, narrow)).await;
        if *leads.borrow() {
            self.evict_one(&missed).await;
        }
        Ok(())
    }

    async fn look_at_all(&self, namespaces: &HashSet<String>) -> anyhow::Result<Found> {
        let (mut found, mut asked) = (Found::default(), Asked { limit: PAGE, ..Asked::default() });
        loop {
            let text = census::page(&self.client, &asked).await?;
            let page: Page<'_> = serde_json::from_str(&text).context("cannot read the list of pods")?;
            for finding in self.findings(&page, namespaces) {
                match finding {
                    Finding::Missed(missed) => found.missed.push(missed),
                    Finding::Skipped(skipped) => found.skipped.push(skipped),
                    Finding::Stray(observed) => found.strays.push(*observed),
                    Finding::Narrow { pod, controller } => {
                        found.narrow.entry(controller).or_insert(pod);
                    }
                }
            }
            match page.next() {
                Some(token) => token.clone_into(&mut asked.token),
                None => return Ok(found),
            }
        }
    }

    fn findings(&self, page: &Page<'_>, namespaces: &HashSet<String>) -> Vec<Finding> {
        let (template, limits) = (self.template.borrow().clone(), self.limits.borrow());
        let barriers = Arc::clone(&self.barriers.borrow());
        let findings = page
            .findings(Timestamp::now(), (&template, &limits, &barriers), |name| namespaces.contains(name));
        findings.collect()
    }

    /// Tells the authors, each once.
    async fn say(&mut self, notes: impl IntoIterator<Item = (String, Note)>) {
        let (mut still_said, mut left) = (HashSet::new(), MAX_EVENTS);
        for (name, note) in notes {
            if self.said.contains(&name) || still_said.contains(&name) {
                still_said.insert(name);
                continue;
            }
            if left == 0 {
                continue;
            }
            left -= 1;
            match events::say_once(&self.client, &name, &note).await {
                Ok(()) => {
                    still_said.insert(name);
                }
                Err(error) => {
                    warn!(pod = %note.pod, reason = note.reason, %error, "cannot record an Event yet");
                }
            }
        }
        self.said = still_said;
    }

    /// A refusal waits for the next turn, after all others.
    async fn evict_one(&mut self, missed: &[NotWarmed]) {
        let Some(evictor) = &self.evictor else { return };
        let candidates = scan::to_evict(missed, Timestamp::now(), self.interval * CALM);
        if candidates.iter().all(|missed| self.refused.contains(&missed.pod.uid)) {
            self.refused.clear();
        }
        let next = candidates.into_iter().find(|missed| !self.refused.contains(&missed.pod.uid));
        let Some(NotWarmed { pod, .. }) = next else { return };
        let evicted = evictions::evict(evictor, pod).await;
        self.metrics.count_eviction(evicted.label());
        if matches!(evicted, Evicted::Refused | Evicted::Failed) {
            self.refused.insert(pod.uid.clone());
        }
    }
}

/// What there is to say, each under the name of its Event.
fn notes(
    missed: &[NotWarmed],
    skipped: &[NotWarmed],
    narrow: HashMap<Box<str>, PodRef>,
) -> impl Iterator<Item = (String, Note)> {
    let note = |reason, pod: PodRef, text: String| Note { pod, reason, text, is_warning: true };
    let of = move |reason, found: &NotWarmed| note(reason, found.pod.clone(), found.why.clone());
    let missed = missed.iter().map(move |missed| (missed_event(missed), of("InjectionMissed", missed)));
    let skipped =
        skipped.iter().map(move |skipped| (skipped_event(skipped), of("InjectionSkipped", skipped)));
    let narrow = narrow.into_iter().map(move |(controller, pod)| {
        (format!("kube-booster-only-root.{controller}"), note("OnlyRootWarmed", pod, ONLY_ROOT.to_owned()))
    });
    missed.chain(skipped).chain(narrow)
}

/// The same for all replicas, so that the API server refuses what another one has said.
fn missed_event(missed: &NotWarmed) -> String {
    format!("kube-booster-missed.{}", missed.pod.uid)
}

/// One for all pods of a controller, until there is something else to say.
fn skipped_event(skipped: &NotWarmed) -> String {
    let mut why = DefaultHasher::new();
    skipped.why.hash(&mut why);
    let uid = skipped.controller.as_ref().unwrap_or(&skipped.pod.uid);
    format!("kube-booster-skipped.{uid}.{:016x}", why.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::observed::PodRef;

    #[test]
    fn an_event_is_the_same_for_all_pods_of_a_controller_and_for_all_replicas() {
        let pod = |uid: &str, controller: Option<&str>, why: &str| NotWarmed {
            pod: PodRef { namespace: "shop".into(), name: "web".into(), uid: uid.into() },
            created: Timestamp::UNIX_EPOCH,
            controller: controller.map(Into::into),
            why: why.to_owned(),
        };
        let name = |uid, controller, why| skipped_event(&pod(uid, controller, why));
        assert_eq!(name("u1", Some("r1"), "bad"), name("u2", Some("r1"), "bad"));
        assert_ne!(name("u1", Some("r1"), "bad"), name("u1", Some("r1"), "worse"));
        assert_ne!(name("u1", None, "bad"), name("u2", None, "bad"));
        assert_eq!(missed_event(&pod("u1", Some("r1"), "")), "kube-booster-missed.u1");
    }

    #[test]
    fn a_scan_interval_below_a_second_is_refused() {
        assert_eq!(interval("1m"), Ok(Duration::from_mins(1)));
        assert!(interval("0s").is_err() && interval("999ms").is_err() && interval("1").is_err());
    }
}
