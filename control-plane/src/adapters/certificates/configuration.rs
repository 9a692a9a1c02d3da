//! What the API server trusts when it calls the webhook.

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use proto::names::{self, WEBHOOK, WEBHOOK_CONFIGURATION as CONFIGURATION};
use serde_json::json;

use super::bundle::Bundle;

/// What cert-manager's injector reads: it writes caBundle where one of its annotations is.
const INJECTOR: &str = "cert-manager.io/inject-";

/// The configuration as it is.
#[derive(Debug)]
pub struct Live {
    /// Its caBundle.
    pub bundle: Bundle,
    /// Whether somebody else was asked to write it.
    pub is_injected: bool,
}

/// Why caBundle is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The API server did not answer as hoped.
    #[error("cannot read or write MutatingWebhookConfiguration {CONFIGURATION}")]
    Api(#[from] kube::Error),
    /// There is none: it comes with the manifests.
    #[error("there is no MutatingWebhookConfiguration {CONFIGURATION}; apply the manifests again")]
    Missing,
}

/// Reads the configuration.
pub async fn read(client: &Client) -> Result<Live, BundleError> {
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    configurations.get_opt(CONFIGURATION).await?.as_ref().map(live).ok_or(BundleError::Missing)
}

/// Applies `bundle` as caBundle, and nothing else, to a configuration that is there.
pub async fn apply(client: &Client, bundle: &Bundle) -> Result<Live, BundleError> {
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let body = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": CONFIGURATION},
        "webhooks": [{"name": WEBHOOK, "clientConfig": {"caBundle": BASE64_STANDARD.encode(bundle.text())}}],
    });
    let params = PatchParams::apply(names::FIELD_MANAGER).force();
    Ok(live(&configurations.patch(CONFIGURATION, &params, &Patch::Apply(body)).await?))
}

fn live(configuration: &MutatingWebhookConfiguration) -> Live {
    let ours = configuration.webhooks.iter().flatten().find(|webhook| webhook.name == WEBHOOK);
    let ca = ours.and_then(|webhook| webhook.client_config.ca_bundle.as_ref());
    let text = String::from_utf8_lossy(ca.map(|ca| ca.0.as_slice()).unwrap_or_default());
    let annotations = configuration.metadata.annotations.as_ref();
    let is_injected =
        annotations.is_some_and(|annotations| annotations.keys().any(|key| key.starts_with(INJECTOR)));
    Live { bundle: Bundle::of_pem(&text), is_injected }
}
