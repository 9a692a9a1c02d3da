//! What the API server trusts when it calls the webhook.

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use proto::names;
use serde_json::json;

/// Name of our configuration; it sorts late, so that other webhooks' annotations are there when ours is matched.
const CONFIGURATION: &str = "zz-kube-booster";
const WEBHOOK: &str = "mutate-pods.kube-booster.io";

/// Applies `ca` (PEM) as caBundle, and nothing else, to the webhook configuration.
pub async fn apply(client: &Client, ca: &str) -> Result<(), kube::Error> {
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    // An apply would create what is not there, and a configuration without rules calls nobody.
    configurations.get_metadata(CONFIGURATION).await?;
    let body = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": CONFIGURATION},
        "webhooks": [{"name": WEBHOOK, "clientConfig": {"caBundle": BASE64_STANDARD.encode(ca)}}],
    });
    let params = PatchParams::apply(names::FIELD_MANAGER).force();
    configurations.patch_metadata(CONFIGURATION, &params, &Patch::Apply(body)).await?;
    Ok(())
}
