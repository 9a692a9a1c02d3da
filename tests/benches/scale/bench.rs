//! What is measured: an API server, one control plane, simulated nodes and the pods that wait on them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use proto::names;
use serde_json::json;
use tests::{
    api_server::ApiServer,
    control_plane::World,
    daemon::Daemon,
    pods::{condition, containers_ready, namespace},
    reports::published_ca,
    shipped::ControlPlane,
};
use tokio::time::Instant;

use super::{
    creation::{Created, Creator, Kind, OTHERS, WAITING},
    figures::Figures,
    kwok,
    sidecar::Contact,
    sizes::Sizes,
    webhook::{Webhook, call_at},
};

/// As it ships, but that no gate opens by its deadline while the benchmark runs.
const ARGUMENTS: [&str; 1] = ["--report-grace-period=10m"];
/// Calls of the API server at once where nothing is measured.
const HANDS: usize = 16;

/// A pod that waits, with the token that its sidecar would find.
#[derive(Debug, Clone)]
pub(crate) struct WaitingPod {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) token: Arc<str>,
}

/// Everything that a part of the benchmark needs.
pub(crate) struct Bench {
    pub(crate) sizes: Sizes,
    pub(crate) figures: Figures,
    pub(crate) client: Client,
    pub(crate) creator: Creator,
    pub(crate) webhook: Webhook,
    pub(crate) contact: Contact,
    pub(crate) pods: Vec<WaitingPod>,
    // Dropped in this order: the API server last.
    pub(crate) control_plane: ControlPlane,
    kwok: Option<PathBuf>,
    kubelets: Option<Daemon>,
    pub(crate) api: Arc<ApiServer>,
    start: Instant,
}

impl Bench {
    /// Starts everything; without `kwok` the benchmark plays the kubelets itself.
    pub(crate) async fn start(sizes: Sizes, kwok: Option<PathBuf>) -> anyhow::Result<Self> {
        let start = Instant::now();
        let api = World::without_control_plane(&[]).await?.api;
        let client = api.client().await?;
        let mut control_plane = ControlPlane::new(&api, "control-plane", &ARGUMENTS).await?;
        call_at(&client, control_plane.ports().webhook).await?;
        control_plane.start().await?;
        for name in [WAITING, OTHERS] {
            namespace(&client, name, json!({})).await?;
        }
        kwok::create_nodes(&client, sizes.nodes).await?;
        let contact = Contact { port: control_plane.ports().report, ca: published_ca(&client).await?.into() };
        Ok(Self {
            sizes,
            figures: Figures::default(),
            creator: Creator::new(client.clone(), sizes.nodes).await?,
            webhook: Webhook::find(&client).await?,
            contact,
            pods: Vec::new(),
            control_plane,
            kwok,
            kubelets: None,
            client,
            api,
            start,
        })
    }

    /// Tells people how far it is.
    pub(crate) fn say(&self, what: &str) {
        let seconds = self.start.elapsed().as_secs();
        eprintln!("{:3}:{:02}  {what}", seconds / 60, seconds % 60);
    }

    /// The process that is measured.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.control_plane.pid()
    }

    /// Keeps pods that were created by the way.
    pub(crate) fn keep(&mut self, created: impl IntoIterator<Item = Created>) {
        self.pods.extend(created.into_iter().map(|Created { name, uid, .. }| WaitingPod {
            name,
            uid,
            token: "".into(),
        }));
    }

    /// Creates as many pods as lack to `count` waiting ones.
    pub(crate) async fn fill(&mut self, count: usize) -> anyhow::Result<()> {
        let lacking = count.saturating_sub(self.pods.len());
        let created = create(&self.creator, lacking, HANDS).await?;
        self.keep(created);
        Ok(())
    }

    /// Lets the nodes run the pods; until [`Self::stop_kubelets`] they follow what becomes of the gates.
    pub(crate) async fn start_kubelets(&mut self) -> anyhow::Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), WAITING);
        if let Some(program) = &self.kwok {
            let kubelets = self.kubelets.insert(kwok::start(program, &self.api)?);
            return kwok::all_run(&pods, kubelets).await;
        }
        for pod in &self.pods {
            containers_ready(&pods, &pod.name, Timestamp::now()).await?;
        }
        Ok(())
    }

    /// They would disturb what is measured.
    pub(crate) fn stop_kubelets(&mut self) {
        self.kubelets = None;
    }

    /// Gives each pod a token as the kubelet would; returns how long it took.
    pub(crate) async fn make_tokens(&mut self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), WAITING);
        let without = self.pods.iter_mut().filter(|pod| pod.token.is_empty());
        let made = stream::iter(without).map(async |pod| {
            pod.token = token(&accounts, pod).await?.into();
            anyhow::Ok(())
        });
        made.buffer_unordered(HANDS).try_collect::<()>().await?;
        Ok(start.elapsed())
    }

    /// Closes the gates of the first `count` pods again and forgets their reports, as if they had just started.
    pub(crate) async fn close_gates(&self, count: usize) -> anyhow::Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), WAITING);
        let closed = json!({
            "metadata": {"annotations": {names::REPORT_ANNOTATION: ""}},
            "status": {"conditions": [{"type": names::CONDITION, "status": "False"}]},
        });
        let (closed, params) = (Patch::Strategic(closed), PatchParams::default());
        let patches = self.pods[..count]
            .iter()
            .map(|pod| pods.patch_subresource("status", &pod.name, &params, &closed));
        stream::iter(patches).buffer_unordered(HANDS).map_ok(drop).try_collect::<()>().await?;
        // The watch brings it to the control plane.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    /// Waiting pods whose gate a report has opened, as the API server has them.
    pub(crate) async fn opened(&self) -> anyhow::Result<usize> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), WAITING);
        let (mut page, mut opened) = (ListParams::default().limit(500), 0);
        loop {
            let listed = pods.list(&page).await?;
            opened += listed.items.iter().filter(|pod| is_opened_by_report(pod)).count();
            match listed.metadata.continue_ {
                Some(token) if !token.is_empty() => page = page.continue_token(&token),
                _ => return Ok(opened),
            }
        }
    }
}

fn is_opened_by_report(pod: &Pod) -> bool {
    condition(pod).is_some_and(|condition| {
        condition.status == "True" && condition.reason.as_deref() == Some("WarmupSucceeded")
    })
}

/// Creates `count` annotated pods, `hands` at a time; all of them must have been injected.
pub(crate) async fn create(creator: &Creator, count: usize, hands: usize) -> anyhow::Result<Vec<Created>> {
    let all = (0..count).map(|_| creator.create(Kind::Annotated, WAITING));
    let created: Vec<Created> = stream::iter(all).buffer_unordered(hands).try_collect().await?;
    ensure!(created.iter().all(|created| created.is_injected), "the webhook missed a pod");
    Ok(created)
}

async fn token(accounts: &Api<ServiceAccount>, pod: &WaitingPod) -> anyhow::Result<String> {
    let request = serde_json::from_value(json!({"metadata": {}, "spec": {
        "audiences": [names::TOKEN_AUDIENCE], "expirationSeconds": 3600,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid},
    }}))?;
    let made = accounts.create_token_request("default", &PostParams::default(), &request).await?;
    Ok(made.status.context("a token has a status")?.token)
}
