//! Evicts pods, as far as their disruption budgets allow it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, Config, api::PostParams, core::Status};
use serde_json::json;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::ground::observed::PodRef;

/// For one eviction.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What became of an eviction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evicted {
    /// The pod goes; its controller makes another one.
    Accepted,
    /// A disruption budget does not allow it now.
    Refused,
    /// It was gone before.
    Gone,
    /// Not allowed, or not answered.
    Failed,
}

impl Evicted {
    /// The label of the counter.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Gone => "gone",
            Self::Failed => "failed",
        }
    }
}

/// A client that takes a refusal for an answer; the usual one asks again by itself for longer than we wait.
pub async fn client() -> kube::Result<Client> {
    let mut config = Config::infer().await.map_err(kube::Error::InferConfig)?;
    config.default_retry = false;
    Client::try_from(config)
}

/// Evicts `pod`, this one and no other of its name.
pub async fn evict(client: &Client, pod: &PodRef) -> Evicted {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace);
    let body = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": &*pod.name, "namespace": &*pod.namespace},
        "deleteOptions": {"preconditions": {"uid": &*pod.uid}},
    });
    let params = PostParams::default();
    let call = pods.create_subresource::<_, Status>("eviction", &pod.name, &params, &body);
    let evicted = match timeout(TIMEOUT, call).await {
        Ok(Ok(_)) => Evicted::Accepted,
        Ok(Err(kube::Error::Api(status))) if status.code == 429 => Evicted::Refused,
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Evicted::Gone,
        Ok(Err(error)) => {
            warn!(%pod, %error, "cannot evict a pod that was missed");
            return Evicted::Failed;
        }
        Err(_) => Evicted::Failed,
    };
    info!(%pod, outcome = evicted.label(), "evicting a pod that was missed");
    evicted
}
