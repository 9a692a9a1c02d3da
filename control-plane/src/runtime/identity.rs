//! Keeps our certificate valid and the API server's trust in it, and makes the sidecars' template of both.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use jiff::Timestamp;
use kube::Client;
use tokio::{sync::watch, time::timeout};
use tracing::{info, warn};

use super::Stop;
use crate::{
    adapters::{
        certificates::{self, Authority, CertificateArgs, Served, Serving},
        metrics::Metrics,
    },
    ground::injection::SidecarTemplate,
};

/// How often files, expiry and the API server's trust are looked at.
const INTERVAL: Duration = Duration::from_mins(1);

/// For one call of the API server.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where certificates come from.
enum Source {
    Files(std::path::PathBuf),
    Own(Box<Authority>),
}

pub(super) struct Identity {
    source: Source,
    client: Client,
    namespace: String,
    metrics: Metrics,
    served: Served,
    ca: String,
    template: watch::Sender<Arc<SidecarTemplate>>,
}

impl Identity {
    /// Reads or makes CA and certificate. `template` lacks only the CA.
    pub(super) async fn establish(
        args: &CertificateArgs,
        client: Client,
        namespace: &str,
        metrics: Metrics,
        template: SidecarTemplate,
    ) -> anyhow::Result<Self> {
        let source = match &args.cert_dir {
            Some(folder) => Source::Files(folder.clone()),
            None => Source::Own(Box::new(certificates::obtain_authority(&client, namespace).await?)),
        };
        let (serving, ca) = serving(&source, namespace).await?;
        metrics.certificate_expires(serving.expires());
        let template = SidecarTemplate { report_ca: ca.clone(), ..template };
        Ok(Self {
            source,
            client,
            namespace: namespace.to_owned(),
            metrics,
            served: Served::new(serving),
            ca,
            template: watch::channel(Arc::new(template)).0,
        })
    }

    pub(super) fn served(&self) -> Served {
        self.served.clone()
    }

    pub(super) fn template(&self) -> super::Template {
        self.template.subscribe()
    }

    /// Tells people and the API server whom to trust.
    pub(super) async fn register(&self) -> anyhow::Result<()> {
        let bundle = timeout(TIMEOUT, certificates::apply_bundle(&self.client, &self.ca)).await;
        bundle
            .context("the API server does not answer")
            .and_then(|applied| Ok(applied?))
            .context("cannot write caBundle of MutatingWebhookConfiguration zz-kube-booster")?;
        // For people only: nothing of ours waits for it.
        let published = certificates::publish_ca(&self.client, &self.namespace, &self.ca);
        if !matches!(timeout(TIMEOUT, published).await, Ok(Ok(()))) {
            warn!("cannot write ConfigMap kube-booster-ca, which shows people the CA");
        }
        Ok(())
    }

    /// Renews what is due and registers again, until `stop`.
    pub(super) async fn keep(mut self, stop: Stop) {
        while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
            if let Err(error) = self.refresh().await {
                warn!(error = format!("{error:#}"), "certificates could not be refreshed");
            }
        }
    }

    async fn refresh(&mut self) -> anyhow::Result<()> {
        let now = Timestamp::now().as_second();
        if matches!(self.source, Source::Files(_)) || self.served.current().is_due(now) {
            let (serving, ca) = serving(&self.source, &self.namespace).await?;
            self.exchange(serving, ca);
        }
        self.register().await
    }

    fn exchange(&mut self, serving: Serving, ca: String) {
        if serving.chain() != self.served.current().chain() {
            info!(expires = serving.expires(), "serving another certificate");
            self.metrics.certificate_expires(serving.expires());
            self.served.exchange(serving);
        }
        if ca != self.ca {
            self.ca.clone_from(&ca);
            self.template.send_modify(|template| {
                *template = Arc::new(SidecarTemplate { report_ca: ca, ..(**template).clone() });
            });
        }
    }
}

async fn serving(source: &Source, namespace: &str) -> anyhow::Result<(Serving, String)> {
    match source {
        Source::Files(folder) => Ok(certificates::read_files(folder).await?),
        Source::Own(authority) => {
            Ok((authority.issue(certificates::serving_names(namespace))?, authority.certificate().to_owned()))
        }
    }
}
