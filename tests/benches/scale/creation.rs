//! Creates pods through the API server and takes the time.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::Context;
use axum::http::Request;
use kube::Client;
use proto::names;
use serde::Deserialize;
use serde_json::{Value, json};
use tests::{
    patience::{SOON, eventually},
    pods::annotated,
};
use tokio::time::Instant;

use super::kwok::node;

/// What is in all namespaces of the benchmark: pods that wait, and those that only cost the API server their creation.
pub(crate) const WAITING: &str = "bench-waiting";
pub(crate) const OTHERS: &str = "bench-others";

/// Stand for what differs from pod to pod.
const NAME: &str = "@name";
const NODE: &str = "@node";

/// What is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A pod that asks for a warm-up.
    Annotated,
    /// The same without the annotations.
    Unannotated,
    /// The same as the webhook would make it.
    ReadyMade,
}

/// A pod that was created.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) took: Duration,
    pub(crate) is_injected: bool,
}

/// Creates pods, each with a name of its own.
pub(crate) struct Creator {
    client: Client,
    nodes: usize,
    count: AtomicUsize,
    ready_made: String,
}

#[derive(Deserialize)]
struct Stored {
    metadata: StoredMetadata,
}

#[derive(Deserialize)]
struct StoredMetadata {
    name: String,
    uid: String,
}

impl Creator {
    /// For `nodes` nodes; the webhook must be there.
    pub(crate) async fn new(client: Client, nodes: usize) -> anyhow::Result<Self> {
        let mut creator = Self { client, nodes, count: AtomicUsize::new(0), ready_made: String::new() };
        let ready_made = eventually("a webhook that is called", SOON, async || {
            let text = creator.post(WAITING, "?dryRun=All", creator.body(Kind::Annotated, WAITING)).await?;
            Ok(ready_made(&serde_json::from_str(&text)?))
        });
        creator.ready_made = ready_made.await?.to_string();
        Ok(creator)
    }

    /// Creates a pod of this kind; the nodes run those in [`WAITING`] only.
    pub(crate) async fn create(&self, kind: Kind, namespace: &str) -> anyhow::Result<Created> {
        self.timed(namespace, "", self.body(kind, namespace)).await
    }

    /// Has the API server do all but store it.
    pub(crate) async fn try_out(&self, kind: Kind) -> anyhow::Result<Created> {
        self.timed(OTHERS, "?dryRun=All", self.body(kind, OTHERS)).await
    }

    async fn timed(&self, namespace: &str, query: &str, body: String) -> anyhow::Result<Created> {
        let start = Instant::now();
        let text = self.post(namespace, query, body).await?;
        let took = start.elapsed();
        let Stored { metadata: StoredMetadata { name, uid } } = serde_json::from_str(&text)?;
        let is_injected =
            text.contains(names::SIDECAR_CONTAINER) && text.contains(r#""readinessGates":[{"conditionType""#);
        Ok(Created { name, uid, took, is_injected })
    }

    async fn post(&self, namespace: &str, query: &str, body: String) -> anyhow::Result<String> {
        let request = Request::post(format!("/api/v1/namespaces/{namespace}/pods{query}"))
            .header("content-type", "application/json")
            .body(body.into_bytes())?;
        self.client.request_text(request).await.context("cannot create a pod")
    }

    fn body(&self, kind: Kind, namespace: &str) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let template = match kind {
            Kind::Annotated => annotated_pod().to_string(),
            Kind::Unannotated => unannotated_pod().to_string(),
            Kind::ReadyMade => self.ready_made.clone(),
        };
        let node = if namespace == WAITING { node(number % self.nodes) } else { "nowhere".to_owned() };
        template.replace(NAME, &format!("web-{number:05}")).replace(NODE, &node)
    }
}

fn annotated_pod() -> Value {
    let mut pod = annotated(NAME, 8080, &json!({"warmup-requests": "300", "warmup-duration": "5m"}));
    pod["spec"]["nodeName"] = NODE.into();
    pod
}

fn unannotated_pod() -> Value {
    let mut pod = annotated_pod();
    pod["metadata"]["annotations"] = json!({});
    pod
}

/// The annotated pod with all that injection added to `stored`, but for the label by which it would be watched.
/// `None` where nothing was injected.
fn ready_made(stored: &Value) -> Option<Value> {
    let mut pod = annotated_pod();
    pod["metadata"]["annotations"] = stored["metadata"]["annotations"].clone();
    pod["metadata"]["labels"] = json!({names::INJECTED_LABEL: "copy"});
    pod["spec"]["readinessGates"] = stored["spec"]["readinessGates"].clone();
    pod["spec"]["initContainers"] = stored["spec"]["initContainers"].clone();
    // The API server mounts its own into every container by itself.
    let mounts = pod["spec"]["initContainers"][0]["volumeMounts"].as_array_mut()?;
    mounts.retain(|mount| mount["name"] == names::SIDECAR_VOLUME);
    let volumes = stored["spec"]["volumes"].as_array()?;
    pod["spec"]["volumes"] = json!([volumes.iter().find(|volume| volume["name"] == names::SIDECAR_VOLUME)?]);
    Some(pod)
}
