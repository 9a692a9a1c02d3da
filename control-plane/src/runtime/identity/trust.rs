//! Whom the API server and people trust for our certificates.

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::{Api, Client, core::PartialObjectMeta};
use proto::names;
use tokio::{sync::watch, time::timeout};
use tracing::{info, warn};

use super::{Occasion, TIMEOUT, in_time};
use crate::adapters::{
    certificates::{self, Bundle, Live},
    changes,
};

/// What the API server trusts, kept as it is needed.
pub(super) struct Trust {
    client: Client,
    namespace: String,
    live: watch::Sender<Bundle>,
}

impl Trust {
    pub(super) fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace, live: watch::channel(Bundle::default()).0 }
    }

    /// What the API server was last seen to trust.
    pub(super) fn live(&self) -> watch::Receiver<Bundle> {
        self.live.subscribe()
    }

    /// Says so each time that the webhook configuration has changed.
    pub(super) fn changes(&self) -> BoxStream<'static, ()> {
        let configurations: Api<PartialObjectMeta<MutatingWebhookConfiguration>> =
            Api::all(self.client.clone());
        changes::of(configurations, names::WEBHOOK_CONFIGURATION).boxed()
    }

    /// Tells the API server to trust `trusted`.
    pub(super) async fn publish(&self, trusted: &Bundle, occasion: Occasion) -> anyhow::Result<()> {
        let live = in_time(certificates::read_configuration(&self.client)).await?;
        let wanted = wanted(&live, trusted, occasion);
        self.note(live.bundle);
        if let Some(wanted) = wanted {
            let live = in_time(certificates::apply_bundle(&self.client, &wanted)).await?;
            info!("caBundle of the webhook configuration was written");
            self.note(live.bundle);
        }
        Ok(())
    }

    fn note(&self, live: Bundle) {
        self.live.send_if_modified(|known| {
            let is_new = *known != live;
            *known = live;
            is_new
        });
    }

    /// Shows `trusted` to people; nothing of ours waits for it.
    pub(super) async fn show(&self, trusted: &Bundle) {
        let shown = certificates::publish_bundle(&self.client, &self.namespace, trusted);
        if !matches!(timeout(TIMEOUT, shown).await, Ok(Ok(()))) {
            warn!("cannot write ConfigMap kube-booster-ca, which shows people the CA");
        }
    }
}

/// What caBundle is to become, if it is to be written at all, so that `trusted` is in it.
///
/// What others have in it stays for the rest of the interval: it may be that of a replica which is just being replaced by one
/// with other certificates. Where an injector was asked to write it, we do so only when it has not for a whole interval.
fn wanted(live: &Live, trusted: &Bundle, occasion: Occasion) -> Option<Bundle> {
    let is_lacking = !live.bundle.contains(trusted);
    match occasion {
        Occasion::Change if live.is_injected => None,
        Occasion::Change | Occasion::Interval if is_lacking => Some(trusted.and(&live.bundle)),
        Occasion::Interval if live.bundle != *trusted && !live.is_injected => Some(trusted.clone()),
        Occasion::Change | Occasion::Interval => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::certificates::Authority;

    fn bundles() -> [Bundle; 2] {
        [(); 2].map(|()| Bundle::of_pem(Authority::generate(0).unwrap().certificate()))
    }

    fn wanted_for(bundle: &Bundle, is_injected: bool, ours: &Bundle, occasion: Occasion) -> Option<Bundle> {
        wanted(&Live { bundle: bundle.clone(), is_injected }, ours, occasion)
    }

    #[test]
    fn a_ca_bundle_gets_ours_at_once_and_loses_others_in_a_while() {
        let [ours, other] = bundles();
        let (both, nothing) = (ours.and(&other), Bundle::default());
        for (live, on_change, at_interval) in [
            (&ours, None, None),
            (&nothing, Some(&ours), Some(&ours)),
            (&other, Some(&both), Some(&both)),
            (&both, None, Some(&ours)),
        ] {
            assert!(wanted_for(live, false, &ours, Occasion::Change).as_ref() == on_change);
            assert!(wanted_for(live, false, &ours, Occasion::Interval).as_ref() == at_interval);
        }
    }

    #[test]
    fn an_injector_has_the_first_word_on_what_it_was_asked_to_write() {
        let [ours, other] = bundles();
        let both = ours.and(&other);
        assert!(wanted_for(&other, true, &ours, Occasion::Change).is_none());
        assert!(wanted_for(&other, true, &ours, Occasion::Interval).as_ref() == Some(&both));
        assert!(wanted_for(&both, true, &ours, Occasion::Interval).is_none());
    }
}
