//! What every new sidecar is told of us.

use std::sync::Arc;

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, core::PartialObjectMeta};
use tokio::sync::watch;
use tracing::info;

use super::in_time;
use crate::{
    adapters::{certificates::Bundle, changes, report_service},
    ground::injection::SidecarTemplate,
};

/// The template, kept up to date.
pub(super) struct Template {
    client: Client,
    namespace: String,
    follows_service: bool,
    current: watch::Sender<Arc<SidecarTemplate>>,
}

impl Template {
    /// `template`, with the Service's address where it has none.
    pub(super) async fn new(
        client: Client,
        namespace: String,
        mut template: SidecarTemplate,
    ) -> anyhow::Result<Self> {
        let follows_service = template.report_address.is_empty();
        if follows_service {
            template.report_address = report_service::address(&client, &namespace).await?;
        }
        Ok(Self { client, namespace, follows_service, current: watch::channel(Arc::new(template)).0 })
    }

    pub(super) fn subscribe(&self) -> crate::runtime::Template {
        self.current.subscribe()
    }

    /// Says so each time that the Service has changed, where it matters.
    pub(super) fn changes(&self) -> Option<BoxStream<'static, ()>> {
        let services: Api<PartialObjectMeta<Service>> = Api::namespaced(self.client.clone(), &self.namespace);
        self.follows_service.then(|| changes::of(services, report_service::NAME).boxed())
    }

    /// Lets new sidecars trust `trusted`.
    pub(super) fn trust(&self, trusted: &Bundle) {
        if self.current.borrow().report_ca != trusted.text() {
            let report_ca = trusted.text().to_owned();
            self.exchange(|template| SidecarTemplate { report_ca, ..template });
        }
    }

    /// Follows the Service to another address.
    pub(super) async fn readdress(&self) -> anyhow::Result<()> {
        if !self.follows_service {
            return Ok(());
        }
        let report_address = in_time(report_service::address(&self.client, &self.namespace)).await?;
        if self.current.borrow().report_address != report_address {
            info!(report_address, "Service kube-booster-reports has another address");
            self.exchange(|template| SidecarTemplate { report_address, ..template });
        }
        Ok(())
    }

    fn exchange(&self, with: impl FnOnce(SidecarTemplate) -> SidecarTemplate) {
        self.current.send_modify(|template| *template = Arc::new(with((**template).clone())));
    }
}
