//! Keeps our certificate valid and the API server's trust in it, and makes the sidecars' template of both.

mod source;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use futures::{
    FutureExt, StreamExt,
    stream::{BoxStream, SelectAll, select_all},
};
use jiff::Timestamp;
use k8s_openapi::api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Service};
use kube::{Api, Client, core::PartialObjectMeta};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::{info, warn};

use self::source::Source;
use super::Stop;
use crate::{
    adapters::{
        admin::Pending,
        certificates::{self, Bundle, Credentials, Live, Served},
        metrics::Metrics,
        objects,
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
    client: Client,
    namespace: String,
    metrics: Metrics,
    source: Source,
    served: Served,
    /// Verifies what is served.
    bundle: Bundle,
    next: Option<Next>,
    template: watch::Sender<Arc<SidecarTemplate>>,
    has_own_address: bool,
    live: watch::Sender<Bundle>,
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
        let has_own_address = !template.report_address.is_empty();
        let mut source = Source::new(folder, client.clone(), namespace.clone());
        let now = Timestamp::now().as_second();
        source.refresh(now, false).await?;
        let credentials = source.due(None, now)?.context("there is no certificate")?;
        let report_address = if has_own_address {
            template.report_address.clone()
        } else {
            objects::report_address(&client, &namespace).await?
        };
        let report_ca = credentials.bundle.text().to_owned();
        let identity = Self {
            client,
            namespace,
            metrics,
            source,
            served: Served::new(credentials.serving),
            bundle: credentials.bundle,
            next: None,
            template: watch::channel(Arc::new(SidecarTemplate { report_address, report_ca, ..template })).0,
            has_own_address,
            live: watch::channel(Bundle::default()).0,
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
        self.live.subscribe()
    }

    /// Does what is due and heals what others break, until `stop`; `published` has happened once the API server was told
    /// whom to trust.
    pub(super) async fn keep(mut self, published: Pending, leads: watch::Receiver<bool>, stop: Stop) {
        let (mut changes, mut published, mut failures) = (self.changes(), Some(published), 0);
        let mut interval_ends = Instant::now();
        loop {
            let occasion = if Instant::now() < interval_ends { Occasion::Change } else { Occasion::Interval };
            if occasion == Occasion::Interval {
                interval_ends = Instant::now() + INTERVAL;
            }
            let leads = *leads.borrow();
            let is_well = self.look(occasion, leads).await;
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

    fn changes(&self) -> SelectAll<BoxStream<'static, ()>> {
        let configurations: Api<PartialObjectMeta<MutatingWebhookConfiguration>> =
            Api::all(self.client.clone());
        let services: Api<PartialObjectMeta<Service>> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut all = vec![
            self.source.changes(),
            objects::changes(configurations, certificates::CONFIGURATION).boxed(),
        ];
        if !self.has_own_address {
            all.push(objects::changes(services, objects::REPORT_SERVICE).boxed());
        }
        select_all(all)
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
        let published = self.publish(occasion).await;
        self.exchange(now);
        let addressed = self.readdress().await;
        let outcomes = [
            (self.source.name(), refreshed.and(taken_up)),
            ("ca_bundle", published),
            ("report_service", addressed),
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
            self.fill_template();
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

    /// Tells the API server and people whom to trust.
    async fn publish(&mut self, occasion: Occasion) -> anyhow::Result<()> {
        let trusted = self.trusted();
        if occasion == Occasion::Interval || self.next.is_some() {
            let published = certificates::publish_bundle(&self.client, &self.namespace, &trusted);
            // For people only: nothing of ours waits for it.
            if !matches!(timeout(TIMEOUT, published).await, Ok(Ok(()))) {
                warn!("cannot write ConfigMap kube-booster-ca, which shows people the CA");
            }
        }
        let mut live = in_time(certificates::read_configuration(&self.client)).await?;
        if is_to_be_written(&live, &trusted, occasion) {
            live = in_time(certificates::apply_bundle(&self.client, &trusted)).await?;
            info!("caBundle of the webhook configuration was written");
        }
        if let Some(next) = self.next.as_mut().filter(|next| live.bundle.contains(&next.credentials.bundle)) {
            next.trusted_since.get_or_insert_with(Instant::now);
        }
        self.live.send_if_modified(|known| {
            let is_new = *known != live.bundle;
            *known = live.bundle;
            is_new
        });
        Ok(())
    }

    /// Serves the next certificate, unless the API server may need the one before for a moment.
    fn exchange(&mut self, now: i64) {
        let live = self.live.borrow().clone();
        let is_current_of_use = live.contains(&self.bundle) && !self.served.current().validity().is_over(now);
        let is_ready = |next: &mut Next| {
            let is_settled = next.trusted_since.is_some_and(|since| since.elapsed() >= SETTLE);
            let is_trusted_already = self.bundle.contains(&next.credentials.bundle);
            let is_better = !is_current_of_use && live.contains(&next.credentials.bundle);
            is_settled || is_trusted_already || is_better
        };
        if let Some(Next { credentials, .. }) = self.next.take_if(is_ready) {
            info!(expires = credentials.serving.validity().until, "serving another certificate");
            self.served.exchange(credentials.serving);
            self.bundle = credentials.bundle;
            self.fill_template();
            self.measure();
        }
    }

    fn fill_template(&self) {
        let ca = self.trusted().text().to_owned();
        self.template.send_if_modified(|template| {
            let is_new = template.report_ca != ca;
            if is_new {
                *template = Arc::new(SidecarTemplate { report_ca: ca, ..(**template).clone() });
            }
            is_new
        });
    }

    /// Follows the Service to another address.
    async fn readdress(&self) -> anyhow::Result<()> {
        if self.has_own_address {
            return Ok(());
        }
        let address = in_time(objects::report_address(&self.client, &self.namespace)).await?;
        self.template.send_if_modified(|template| {
            let is_new = template.report_address != address;
            if is_new {
                info!(address, "Service kube-booster-reports has another address");
                *template = Arc::new(SidecarTemplate { report_address: address, ..(**template).clone() });
            }
            is_new
        });
        Ok(())
    }

    fn measure(&self) {
        self.metrics.certificate_expires("serving", self.served.current().validity().until);
        if let Ok(ca) = self.bundle.validity() {
            self.metrics.certificate_expires("ca", ca.until);
        }
    }
}

/// Whether caBundle is to be made `trusted`.
///
/// Others may have added to it, as `make generate-certs` does before it exchanges the files: that stays for the rest of
/// the interval. Where an injector was asked to write it, we do so only when it has not for a whole interval.
fn is_to_be_written(live: &Live, trusted: &Bundle, occasion: Occasion) -> bool {
    let is_lacking = !live.bundle.contains(trusted);
    match occasion {
        Occasion::Change => is_lacking && !live.is_injected,
        Occasion::Interval => is_lacking || (live.bundle != *trusted && !live.is_injected),
    }
}

async fn in_time<T, E>(call: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    Ok(timeout(TIMEOUT, call).await.context("the API server does not answer")??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::certificates::Authority;

    fn bundles() -> [Bundle; 2] {
        [(); 2].map(|()| Bundle::of_pem(Authority::generate(0).unwrap().certificate()))
    }

    #[test]
    fn a_ca_bundle_that_lacks_ours_is_written_at_once_and_one_that_has_more_in_a_while() {
        let [ours, other] = bundles();
        let is_written = |bundle: &Bundle, occasion| {
            is_to_be_written(&Live { bundle: bundle.clone(), is_injected: false }, &ours, occasion)
        };
        let both = ours.and(&other);
        for (bundle, on_change, at_interval) in [
            (&ours, false, false),
            (&other, true, true),
            (&both, false, true),
            (&Bundle::default(), true, true),
        ] {
            assert_eq!(is_written(bundle, Occasion::Change), on_change);
            assert_eq!(is_written(bundle, Occasion::Interval), at_interval);
        }
    }

    #[test]
    fn an_injector_has_the_first_word_on_what_it_was_asked_to_write() {
        let [ours, other] = bundles();
        let is_written = |bundle: &Bundle, occasion| {
            is_to_be_written(&Live { bundle: bundle.clone(), is_injected: true }, &ours, occasion)
        };
        assert!(!is_written(&other, Occasion::Change) && is_written(&other, Occasion::Interval));
        assert!(!is_written(&ours.and(&other), Occasion::Interval));
    }
}
