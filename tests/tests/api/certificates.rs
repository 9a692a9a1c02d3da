//! Certificates that nobody has to think about. Each test has a pair of API server and control plane of its own.

mod files;
mod healing;
mod rotation;
mod trust;

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::{
    admissionregistration::v1::MutatingWebhookConfiguration,
    core::v1::{Pod, Secret},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    control_plane::{NAMESPACE, World},
    pods::annotated,
    sidecar::container,
};

/// What is broken heals within this time.
const HEALED: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_mins(2);
const CONFIGURATION: &str = "zz-kube-booster";
const SECRET: &str = "kube-booster-ca";

pub(crate) fn trials() -> Vec<Trial> {
    [healing::trials(), rotation::trials(), files::trials(), trust::trials()].into_iter().flatten().collect()
}

pub(crate) fn undisturbed() -> Vec<Trial> {
    healing::undisturbed()
}

fn secrets(client: &Client) -> Api<Secret> {
    Api::namespaced(client.clone(), NAMESPACE)
}

/// Text `key` of the CA's Secret; empty where there is none.
async fn secret_text(client: &Client, key: &str) -> anyhow::Result<String> {
    let data = secrets(client).get_opt(SECRET).await?.and_then(|secret| secret.data).unwrap_or_default();
    Ok(String::from_utf8(data.get(key).map(|bytes| bytes.0.clone()).unwrap_or_default())?)
}

/// Makes the CA's Secret hold `texts` and nothing else.
async fn put_secret(client: &Client, texts: &[(&str, &str)]) -> anyhow::Result<()> {
    let data: std::collections::BTreeMap<_, _> = texts.iter().copied().collect();
    let mut secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": SECRET}, "stringData": data}))?;
    match secrets(client).get_opt(SECRET).await? {
        Some(found) => {
            secret.metadata.resource_version = found.metadata.resource_version;
            secrets(client).replace(SECRET, &PostParams::default(), &secret).await?;
        }
        None => {
            secrets(client).create(&PostParams::default(), &secret).await?;
        }
    }
    Ok(())
}

fn configurations(client: &Client) -> Api<MutatingWebhookConfiguration> {
    Api::all(client.clone())
}

/// What the API server trusts.
async fn ca_bundle(client: &Client) -> anyhow::Result<String> {
    let webhooks = configurations(client).get(CONFIGURATION).await?.webhooks.unwrap_or_default();
    let ca = webhooks.into_iter().next().and_then(|webhook| webhook.client_config.ca_bundle);
    Ok(String::from_utf8(ca.map(|ca| ca.0).unwrap_or_default())?)
}

/// Makes the API server trust `text` instead.
async fn put_ca_bundle(client: &Client, text: &str) -> anyhow::Result<()> {
    let value = k8s_openapi::ByteString(text.as_bytes().to_vec());
    let patch = json!([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": value}]);
    let patch = Patch::Json::<()>(serde_json::from_value(patch)?);
    configurations(client).patch(CONFIGURATION, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Whether a pod that nobody creates would be injected.
async fn is_injected(pods: &Api<Pod>) -> anyhow::Result<bool> {
    let pod = serde_json::from_value(annotated("nobody", 8080, &json!({})))?;
    let answer = pods.create(&PostParams { dry_run: true, ..PostParams::default() }, &pod).await?;
    Ok(container(&answer).is_ok())
}

/// What becomes of `work`, unless one pod is not injected meanwhile.
async fn injected_all_the_while<T>(
    pods: &Api<Pod>,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let asking = async {
        let mut asked = 0;
        loop {
            ensure!(is_injected(pods).await?, "a pod was not injected, after {asked} that were");
            asked += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        done = work => done,
        broken = asking => broken,
    }
}

/// The value of `metric`, with its labels.
async fn metric(world: &World, metric: &str) -> anyhow::Result<i64> {
    let text = world.metrics().await?;
    let value = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("{metric} is missing"))?.parse()?)
}

const SERVING_EXPIRES: &str = r#"kube_booster_certificate_expiry_timestamp_seconds{certificate="serving"}"#;
const CA_EXPIRES: &str = r#"kube_booster_certificate_expiry_timestamp_seconds{certificate="ca"}"#;
