//! The webhook's configuration, which is taken away and brought back.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tests::patience::{SOON, eventually};

use super::creation::{Creator, Kind};

const NAME: &str = "zz-kube-booster";
/// News reach all parts of the API server within this.
const SETTLED: Duration = Duration::from_millis(200);

/// The configuration as it was found.
pub(crate) struct Webhook {
    configurations: Api<MutatingWebhookConfiguration>,
    found: MutatingWebhookConfiguration,
}

impl Webhook {
    pub(crate) async fn find(client: &Client) -> anyhow::Result<Self> {
        let configurations: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
        let found = configurations.get(NAME).await?;
        let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
        Ok(Self { configurations, found: MutatingWebhookConfiguration { metadata, ..found } })
    }

    /// Takes it away and waits until the API server calls nobody.
    pub(crate) async fn remove(&self, creator: &Creator) -> anyhow::Result<()> {
        self.configurations.delete(NAME, &DeleteParams::default()).await?;
        self.heard(creator, false).await.context("a webhook that is not called")
    }

    /// Brings it back and waits until the API server calls it.
    pub(crate) async fn restore(&self, creator: &Creator) -> anyhow::Result<()> {
        self.configurations.create(&PostParams::default(), &self.found).await?;
        self.heard(creator, true).await.context("a webhook that is called")
    }

    /// Waits until pods are injected, or are not any more.
    pub(crate) async fn heard(&self, creator: &Creator, is_called: bool) -> anyhow::Result<()> {
        eventually("news of the webhook", SOON, async || {
            let created = creator.try_out(Kind::Annotated).await?;
            Ok((created.is_injected == is_called).then_some(()))
        })
        .await?;
        tokio::time::sleep(SETTLED).await;
        Ok(())
    }
}

/// Has the API server call the webhook at this port of 127.0.0.1; whoever serves there writes its CA into it.
pub(crate) async fn call_at(client: &Client, port: u16) -> anyhow::Result<()> {
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let called = json!({"url": format!("https://127.0.0.1:{port}/mutate-v1-pod")});
    let patch = json!([{"op": "replace", "path": "/webhooks/0/clientConfig", "value": called}]);
    let patch = Patch::Json::<()>(serde_json::from_value(patch)?);
    configurations.patch(NAME, &PatchParams::default(), &patch).await?;
    Ok(())
}
