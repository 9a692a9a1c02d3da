//! Keeps our certificate valid and the API server's trust in it, and makes the sidecars' template of both.

mod source;
mod template;
mod trust;

use std::time::Duration;

use anyhow::Context;
use futures::{FutureExt, StreamExt, stream::select_all};
use jiff::Timestamp;
use kube::Client;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::{info, warn};

use self::{source::Source, template::Template, trust::Trust};
use super::Stop;
use crate::{
    adapters::{
        admin::Pending,
        certificates::{Bundle, Credentials, Served},
        metrics::Metrics,
    },
    ground::injection::SidecarTemplate,
};

/// How often everything is looked at that may have changed without our hearing of it.
const INTERVAL: Duration = Duration::from_mins(1);
/// Between two looks, should others change things all the time.
const BREATH: Duration = Duration::from_secs(1);
/// Before another look after one that failed; doubled each time, up to the interval.
const RETRY: Duration = Duration::from_secs(1);
/// What the API servers may take until they trust what caBundle says.
const SETTLE: Duration = Duration::from_secs(4);
/// For one call of the API server.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What an identity is made of, beside what it reads.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) metrics: Metrics,
    /// Lacks the CA, and the address where it is to be that of the Service.
    pub(super) template: SidecarTemplate,
    /// Files to serve with, instead of a CA of our own.
    pub(super) folder: Option<std::path::PathBuf>,
}

pub(super) struct Identity {
    metrics: Metrics,
    source: Source,
    served: Served,
    /// Verifies what is served.
    bundle: Bundle,
    next: Option<Next>,
    template: Template,
    trust: Trust,
}

/// What will be served as soon as the API server trusts it.
struct Next {
    credentials: Credentials,
    trusted_since: Option<Instant>,
}

/// What a look is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// Something has changed.
    Change,
    /// It is time for one.
    Interval,
}

impl Identity {
    /// Reads or makes CA and certificate.
    pub(super) async fn establish(setting: Setting) -> anyhow::Result<Self> {
        let Setting { client, namespace, metrics, template, folder } = setting;
        let mut source = Source::new(folder, client.clone(), namespace.clone());
        let now = Timestamp::now().as_second();
        source.refresh(now, false).await?;
        let Credentials { serving, bundle } = source.due(None, now)?.context("there is no certificate")?;
        let template = SidecarTemplate { report_ca: bundle.text().to_owned(), ..template };
        let identity = Self {
            metrics,
            source,
            served: Served::new(serving),
            bundle,
            next: None,
            template: Template::new(client.clone(), namespace.clone(), template).await?,
            trust: Trust::new(client, namespace),
        };
        identity.measure();
        Ok(identity)
    }

    pub(super) fn served(&self) -> Served {
        self.served.clone()
    }

    pub(super) fn template(&self) -> super::Template {
        self.template.subscribe()
    }

    /// What the API server was last seen to trust.
    pub(super) fn live(&self) -> watch::Receiver<Bundle> {
        self.trust.live()
    }

    /// Does what is due and heals what others break, until `stop`; `published` has happened once the API server was told
    /// whom to trust.
    pub(super) async fn keep(mut self, published: Pending, leads: watch::Receiver<bool>, stop: Stop) {
        let (mut published, mut failures, mut interval_ends) = (Some(published), 0, Instant::now());
        let own = [self.source.changes(), self.trust.changes()];
        let mut changes = select_all(own.into_iter().chain(self.template.changes()));
        loop {
            let occasion = if Instant::now() < interval_ends { Occasion::Change } else { Occasion::Interval };
            if occasion == Occasion::Interval {
                interval_ends = Instant::now() + INTERVAL;
            }
            let leads = *leads.borrow();
            let look = self.look(occasion, leads);
            let Some(is_well) = stop.run_until_cancelled(look).await else { return };
            failures = if is_well { 0 } else { failures + 1 };
            published.take_if(|_| is_well);
            let next_look = self.next_look(interval_ends, failures);
            tokio::select! {
                () = stop.cancelled() => return,
                Some(()) = changes.next() => {}
                () = sleep_until(next_look) => {}
            }
            if stop.run_until_cancelled(sleep(BREATH)).await.is_none() {
                return;
            }
            // One look answers all that happened until now.
            while changes.next().now_or_never().flatten().is_some() {}
        }
    }

    fn next_look(&self, interval_ends: Instant, failures: u32) -> Instant {
        let retry = RETRY * 2_u32.saturating_pow(failures.min(10));
        let retry = (failures > 0).then(|| Instant::now() + retry);
        let settled = self.next.as_ref().and_then(|next| next.trusted_since).map(|since| since + SETTLE);
        [retry, settled].into_iter().flatten().fold(interval_ends, Instant::min)
    }

    /// Reads everything and puts right what is not; says whether all of that went well.
    async fn look(&mut self, occasion: Occasion, leads: bool) -> bool {
        let now = Timestamp::now().as_second();
        let refreshed = self.source.refresh(now, leads).await;
        let taken_up = self.take_up(now);
        let trusted = self.trusted();
        self.template.trust(&trusted);
        if occasion == Occasion::Interval || self.next.is_some() {
            self.trust.show(&trusted).await;
        }
        let published = self.trust.publish(&trusted, occasion).await;
        self.exchange(now);
        let outcomes = [
            (self.source.name(), refreshed.and(taken_up)),
            ("ca_bundle", published),
            ("report_service", self.template.readdress().await),
        ];
        let mut is_well = true;
        for (what, outcome) in outcomes {
            if let Err(error) = outcome {
                is_well = false;
                self.metrics.certificate_failed(what);
                warn!(what, error = format!("{error:#}"), "certificates are kept as they were");
            }
        }
        is_well
    }

    /// Makes what is due the next to be served, and trusted from now on.
    fn take_up(&mut self, now: i64) -> anyhow::Result<()> {
        let current = self.served.current();
        let newest = match &self.next {
            Some(Next { credentials, .. }) => (&credentials.serving, &credentials.bundle),
            None => (&current, &self.bundle),
        };
        if let Some(credentials) = self.source.due(Some(newest), now)? {
            self.next = Some(Next { credentials, trusted_since: None });
        }
        Ok(())
    }

    /// Whom clients are to trust: while one certificate follows another, both of them.
    fn trusted(&self) -> Bundle {
        match &self.next {
            Some(next) => next.credentials.bundle.and(&self.bundle),
            None => self.bundle.clone(),
        }
    }

    /// Serves the next certificate, unless the API server may need the one before for a moment.
    fn exchange(&mut self, now: i64) {
        let live = self.trust.live().borrow().clone();
        let is_current_of_use = live.contains(&self.bundle) && !self.served.current().validity().is_over(now);
        let is_ready = |next: &mut Next| {
            let is_trusted = live.contains(&next.credentials.bundle);
            if is_trusted {
                next.trusted_since.get_or_insert_with(Instant::now);
            }
            let is_settled = next.trusted_since.is_some_and(|since| since.elapsed() >= SETTLE);
            let was_trusted_before = self.bundle.contains(&next.credentials.bundle);
            is_settled || was_trusted_before || is_trusted && !is_current_of_use
        };
        if let Some(Next { credentials, .. }) = self.next.take_if(is_ready) {
            info!(expires = credentials.serving.validity().until, "serving another certificate");
            self.served.exchange(credentials.serving);
            self.bundle = credentials.bundle;
            self.template.trust(&self.bundle);
            self.measure();
        }
    }

    fn measure(&self) {
        self.metrics.certificate_expires("serving", self.served.current().validity().until);
        if let Ok(ca) = self.bundle.validity() {
            self.metrics.certificate_expires("ca", ca.until);
        }
    }
}

async fn in_time<T, E>(call: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    Ok(timeout(TIMEOUT, call).await.context("the API server does not answer")??)
}
