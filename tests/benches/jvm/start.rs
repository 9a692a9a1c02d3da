//! One start of an app, with users at its door.

use std::{fmt, time::Duration};

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
    runtime::wait::{Condition, await_condition, conditions},
};
use proto::report::{EndedBy, Report};
use serde_json::{Value, json};
use tests::{
    cluster::Cluster,
    patience::{SOON, eventually},
    pods::record,
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    app::{PATHS, Scene, Warmth},
    throttling,
    visits::{LASTING, Visits},
};

const NAMESPACE: &str = "bench";
const USERS_IMAGE: &str = concat!("localhost/kube-booster/demo-app:", env!("CARGO_PKG_VERSION"));
/// Requests a second, whatever becomes of those before.
pub(crate) const RATE: u32 = 100;
/// For a start to its last user.
const LONG: Duration = Duration::from_mins(3);
/// Between two starts, for the machine to come to rest.
const REST: Duration = Duration::from_secs(2);

/// What came of one start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    /// From the pod's creation until it was Ready
    pub(crate) ready: Duration,
    pub(crate) visits: Visits,
    pub(crate) report: Option<Report>,
    /// How long a CPU limit kept the app from running while users came
    pub(crate) throttled: Option<Duration>,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ready, visits, report, .. } = self;
        write!(f, "ready after {:.1} s, ", ready.as_secs_f64())?;
        if let Some(report) = report {
            let how = if report.ended_by == EndedBy::Stable { "stable" } else { "not stable" };
            write!(
                f,
                "{how} after {} requests in {:.1} s, ",
                report.request_count,
                report.elapsed().as_secs_f64()
            )?;
        }
        let (first, steady) = (visits.quantile(0.0..1.0, 99), visits.steady_p99());
        write!(f, "p99 {:.1} ms, later {:.1} ms: × {:.1}", 1e3 * first, 1e3 * steady, visits.ratio())
    }
}

/// Where the starts take place.
pub(crate) struct Stage<'c> {
    cluster: &'c Cluster,
    pods: Api<Pod>,
    services: Api<Service>,
}

impl<'c> Stage<'c> {
    pub(crate) async fn set(cluster: &'c Cluster) -> anyhow::Result<Self> {
        cluster.kubectl(&["create", "namespace", NAMESPACE])?;
        let account = ["--namespace", NAMESPACE, "get", "serviceaccount", "default"];
        eventually("a default ServiceAccount", SOON, async || Ok(cluster.kubectl(&account).ok())).await?;
        let client = cluster.client().await?;
        Ok(Self {
            cluster,
            pods: Api::namespaced(client.clone(), NAMESPACE),
            services: Api::namespaced(client, NAMESPACE),
        })
    }

    /// Users wait before the pod is made, so that the very first one that it takes is measured.
    pub(crate) async fn start(&self, scene: Scene, warmth: Warmth, round: usize) -> anyhow::Result<Start> {
        let name = format!("{}-{}-{round}", scene.name(), warmth.name());
        let users = format!("users-{name}");
        let address = self.serve(&name).await?;
        self.create(&users_at(&users, &address)).await?;
        self.until(&users, conditions::is_pod_running()).await?;

        let begin = Instant::now();
        let created = self.create(&app(&name, scene, warmth)).await?;
        let gates = created.spec.and_then(|spec| spec.readiness_gates).unwrap_or_default();
        ensure!(gates.is_empty() == (warmth == Warmth::Unwarmed), "{name} is not injected as it should be");
        self.until(&name, is_ready).await?;
        let ready = begin.elapsed();
        let before = throttling::of(self.cluster, &self.pods.get(&name).await?)?;
        self.until(&users, has_ended).await?;

        let log = self.cluster.kubectl(&["--namespace", NAMESPACE, "logs", &users])?;
        let visits = Visits::read(&log).context(log)?;
        let pod = self.pods.get(&name).await?;
        let ended = throttling::of(self.cluster, &pod)?;
        let throttled = ended.zip(before).map(|(ended, before)| ended.saturating_sub(before));
        for pod in [&name, &users] {
            self.pods.delete(pod, &DeleteParams::default().grace_period(0)).await?;
            self.until(pod, |pod: Option<&Pod>| pod.is_none()).await?;
        }
        sleep(REST).await;
        Ok(Start { ready, visits, report: record(&pod).map(|record| record.report), throttled })
    }

    /// The address of a Service for pods with this label.
    async fn serve(&self, app: &str) -> anyhow::Result<String> {
        let service = json!({
            "metadata": {"name": app},
            "spec": {"selector": {"app": app}, "ports": [{"port": 80, "targetPort": "http"}]},
        });
        let made = self.services.create(&PostParams::default(), &serde_json::from_value(service)?).await?;
        made.spec.and_then(|spec| spec.cluster_ip).context("a Service has an address")
    }

    async fn create(&self, pod: &Value) -> anyhow::Result<Pod> {
        Ok(self.pods.create(&PostParams::default(), &serde_json::from_value(pod.clone())?).await?)
    }

    async fn until(&self, pod: &str, is_met: impl Condition<Pod>) -> anyhow::Result<()> {
        let met = timeout(LONG, await_condition(self.pods.clone(), pod, is_met)).await;
        met.with_context(|| format!("pod {pod}: not within {LONG:?}"))??;
        Ok(())
    }
}

fn is_ready(pod: Option<&Pod>) -> bool {
    let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn has_ended(pod: Option<&Pod>) -> bool {
    let phase = pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn app(name: &str, scene: Scene, warmth: Warmth) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": name}, "annotations": warmth.annotations()},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [scene.container()]},
    })
}

/// By address, so that no name has to be looked up.
fn users_at(name: &str, address: &str) -> Value {
    let arguments = [
        "users".to_owned(),
        format!("--url=http://{address}"),
        format!("--rate={RATE}"),
        format!("--duration={LASTING}s"),
        format!("--paths={}", PATHS.join(",")),
        "--each".to_owned(),
    ];
    json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"restartPolicy": "Never", "containers": [{
            "name": "users", "image": USERS_IMAGE, "args": arguments, "resources": {"requests": {"cpu": "100m"}},
        }]},
    })
}
