//! The parts of the control plane, each started with what it needs of the others.

use std::{collections::HashSet, sync::Arc};

use kube::Client;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::{mpsc, watch};

use super::{
    Options, Template,
    callers::Callers,
    cluster,
    gatekeeper::Gatekeeper,
    identity::{Identity, Setting},
    listen,
    rescue::{Audience, Rescue},
    scan::Scanner,
    selfcheck::SelfCheck,
    tasks::Tasks,
};
use crate::{
    adapters::{
        admin::Pending,
        caller, certificates, events, evictions, lease, limits,
        metrics::Metrics,
        performance::Performance,
        pods::{self, News},
        reports::{self, Call, MissedQuestion},
        server::{self, Door},
        webhook::{self, Tracking, Webhook},
    },
    ground::{injection::SidecarTemplate, limits::Limits, pauses::Barriers},
};

/// Calls and news that wait for the gatekeeper; a full queue of calls answers UNAVAILABLE.
const QUEUE: usize = 1_024;
/// People that wait for a list of missed pods.
const QUESTIONS: usize = 16;

/// A chain with its key.
type Certified = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What every part is made of.
pub(super) struct Launch<'l> {
    pub(super) options: &'l Options,
    pub(super) tasks: &'l mut Tasks,
    pub(super) client: Client,
    pub(super) metrics: &'l Metrics,
    pub(super) performance: &'l Performance,
}

impl Launch<'_> {
    pub(super) async fn identity(&self) -> Identity {
        let options = self.options;
        let report_address = options.reports.report_address.map(|address| address.to_string());
        let setting = Setting {
            client: self.client.clone(),
            namespace: options.namespace.clone(),
            metrics: self.metrics.clone(),
            template: SidecarTemplate {
                image: options.webhook.sidecar_image.clone(),
                report_address: report_address.unwrap_or_default(),
                report_server_name: certificates::report_server_name(&options.namespace),
                report_ca: String::new(),
            },
            folder: options.certificates.cert_dir.clone(),
        };
        cluster::patiently(|| Identity::establish(setting.clone())).await
    }

    pub(super) fn limits(&mut self, synced: Pending) -> watch::Receiver<Limits> {
        let (sender, limits) = watch::channel(Limits::default());
        self.tasks.spawn_until_stop("watch of limits", limits::watch(self.client.clone(), sender, synced));
        limits
    }

    pub(super) async fn webhook(
        &mut self,
        identity: &Identity,
        callers: Callers,
        limits: watch::Receiver<Limits>,
        barriers: watch::Receiver<Arc<Barriers>>,
    ) -> anyhow::Result<()> {
        let listener = listen::on_all(self.options.webhook.webhook_port).await?;
        let (template, metrics) = (identity.template(), self.metrics.clone());
        let own_namespace = self.options.namespace.as_str().into();
        let webhook = Webhook { template, limits, barriers, metrics, own_namespace };
        let slots = self.options.webhook.webhook_max_concurrency;
        let router = match self.tracking() {
            Some(tracking) => webhook::tracked_router(webhook, slots, tracking),
            None => webhook::router(webhook, slots),
        };
        let (served, tls) = (identity.served(), callers.tls(&identity.served()));
        let door = Door {
            name: "webhook",
            limits: server::WEBHOOK,
            tls: Some(tls.subscribe()),
            metrics: self.metrics.clone(),
            leaving: self.tasks.retire(),
        };
        let stop = self.tasks.stop();
        self.tasks.spawn("webhook server", server::serve(listener, door, router, stop.clone()));
        self.tasks.spawn("CA of callers", callers.keep(served, tls, stop));
        Ok(())
    }

    fn tracking(&self) -> Option<Tracking> {
        let slow = self.options.performance.webhook_slow_request_threshold;
        let tracked = self.performance.tracked()?;
        Some(Tracking::new(tracked.tracker, tracked.tasks, slow, self.metrics.clone()))
    }

    /// Where the report server hands calls to the gatekeeper.
    pub(super) fn calls() -> (mpsc::Sender<Call>, mpsc::Receiver<Call>) {
        mpsc::channel(QUEUE)
    }

    pub(super) async fn reports(
        &mut self,
        identity: &Identity,
        calls: mpsc::Sender<Call>,
    ) -> anyhow::Result<mpsc::Receiver<MissedQuestion>> {
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let listener = listen::on_all(self.options.reports.report_port).await?;
        let tls = server::tls(Arc::new(identity.served()), None, &[b"h2"]);
        let (metrics, stop) = (self.metrics.clone(), self.tasks.stop());
        let (router, keys) = reports::router(self.client.clone(), calls, questions, metrics, stop).await?;
        self.tasks.spawn_until_stop("the cluster's keys", keys);
        let door = Door {
            name: "reports",
            limits: server::REPORTS,
            tls: Some(watch::Sender::new(tls).subscribe()),
            metrics: self.metrics.clone(),
            leaving: self.tasks.retire(),
        };
        self.tasks.spawn("report server", server::serve(listener, door, router, self.tasks.stop()));
        Ok(asked)
    }

    pub(super) fn gatekeeper(
        &mut self,
        calls: mpsc::Receiver<Call>,
        barriers: watch::Sender<Arc<Barriers>>,
        synced: Pending,
    ) -> mpsc::Sender<News> {
        let (notes, recorder) = events::recorder(self.client.clone());
        let (news, heard) = mpsc::channel(QUEUE);
        let (options, client, metrics) = (self.options, self.client.clone(), self.metrics.clone());
        let namespace = options.namespace.clone();
        let audience = Audience { metrics: metrics.clone(), notes: notes.clone(), namespace };
        let image = &options.webhook.sidecar_image;
        let rescue = Rescue::new(&options.fallback, image, client.clone(), barriers, audience);
        let gatekeeper = Gatekeeper::new(&options.gatekeeper, rescue, client, (metrics, notes), synced);
        self.tasks.spawn_until_stop("watch of pods", pods::watch(self.client.clone(), news.clone()));
        // Ends with the last note, after the gatekeeper.
        self.tasks.spawn("recorder of Events", recorder);
        self.tasks.spawn("gatekeeper", gatekeeper.run(heard, calls, self.tasks.stop()));
        news
    }

    /// Whether this replica leads, from now on.
    pub(super) fn election(&mut self) -> watch::Receiver<bool> {
        let (told, leads) = watch::channel(false);
        let place = (self.client.clone(), self.options.namespace.clone());
        let election =
            lease::lead(self.options.lease, place, told, self.metrics.clone(), self.tasks.retire());
        self.tasks.spawn("election of the leader", election);
        leads
    }

    pub(super) async fn scan(
        &mut self,
        (template, limits, barriers): (Template, watch::Receiver<Limits>, watch::Receiver<Arc<Barriers>>),
        news: mpsc::Sender<News>,
        leads: watch::Receiver<bool>,
        questions: mpsc::Receiver<MissedQuestion>,
    ) -> anyhow::Result<()> {
        let evicts = self.options.scan.evict_missed_pods;
        let scanner = Scanner {
            client: self.client.clone(),
            own_namespace: self.options.namespace.clone(),
            interval: self.options.scan.scan_interval,
            evictor: if evicts { Some(evictions::client().await?) } else { None },
            template,
            limits,
            barriers,
            metrics: self.metrics.clone(),
            news,
            said: HashSet::new(),
            refused: HashSet::new(),
        };
        self.tasks.spawn_until_stop("scan of all pods", scanner.run(leads, questions));
        Ok(())
    }

    pub(super) fn self_check(&mut self, identity: &Identity, own: Certified, passed: Pending) {
        let webhook = caller::Webhook {
            port: self.options.webhook.webhook_port,
            path: webhook::PATH,
            user_agent: webhook::SELF_CHECK,
            server_name: certificates::webhook_server_name(&self.options.namespace),
            namespace: self.options.namespace.clone(),
            own: Arc::new(own),
        };
        let check = SelfCheck { webhook, live: identity.live(), metrics: self.metrics.clone() };
        self.tasks.spawn_until_stop("self-check", check.run(passed));
    }

    pub(super) fn certificates(
        &mut self,
        identity: Identity,
        published: Pending,
        leads: watch::Receiver<bool>,
    ) {
        self.tasks.spawn("certificates", identity.keep(published, leads, self.tasks.stop()));
    }
}
