//! A control plane that works, and the Prometheus that looks at it as the manifests say.

use std::{collections::BTreeSet, process::Command};

use anyhow::Context;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::{Value, json};
use tests::{
    api_server::{ADMIN_TOKEN, free_port},
    control_plane::World,
    daemon::Daemon,
    monitoring::{GLOBAL_RULES, RULES, groups, object},
    patience::{SOON, eventually},
    pods::{annotated, create, namespace, opened},
    programs,
    prometheus::{Prometheus, now},
    sidecar::Sidecar,
};
use tokio::net::TcpStream;

/// What the control plane exchanges images for.
const FALLBACK: &str = "--fallback-image=localhost/pause:1";
/// The namespaces of the pods that are warmed.
const NAMESPACES: [&str; 2] = ["shop", "search"];

/// All that runs.
pub(crate) struct Stage {
    pub(crate) world: World,
    /// Scrapes the control plane and the API server, with the rules of one cluster.
    pub(crate) local: Prometheus,
    /// Federates from that one, with the rules over all clusters.
    pub(crate) global: Prometheus,
    /// Seconds since 1970.
    pub(crate) since: f64,
}

/// Has reviews tracked, each of them slow, and memory given back all the time.
const TRACKED: [&str; 4] = [
    "--enable-webhook-performance-tracking",
    "--webhook-slow-request-threshold=0s",
    "--webhook-gc-threshold=1MB",
    "--webhook-gc-min-interval=1s",
];

impl Stage {
    pub(crate) async fn set() -> anyhow::Result<Self> {
        let world =
            World::start(&[&[FALLBACK, "--leader-elect", "--scan-interval=1s"], &TRACKED[..]].concat())
                .await?;
        let groups_here = RULES.into_iter().map(groups).collect::<anyhow::Result<Vec<_>>>()?.concat();
        let local = Prometheus::start(cluster(&world)?, &groups_here).await?;
        let global = Prometheus::start(federation(&local), &groups(GLOBAL_RULES)?).await?;
        let stage = Self { world, local, global, since: now() };
        eventually("targets that answer", SOON, async || {
            Ok((stage.local.is_fed().await? && stage.global.is_fed().await?).then_some(()))
        })
        .await
        .with_context(|| stage.local.log() + &stage.global.log())?;
        for name in NAMESPACES {
            namespace(&stage.world.api.client().await?, name, json!({})).await?;
        }
        Ok(stage)
    }

    /// The Prometheus that dashboard `name` is for.
    pub(crate) fn prometheus_of(&self, dashboard: &str) -> &Prometheus {
        if dashboard.starts_with("global/") { &self.global } else { &self.local }
    }

    /// Warms two new pods in each namespace; `wave` tells them from those before.
    pub(crate) async fn warm(&self, wave: usize) -> anyhow::Result<()> {
        let client = self.world.api.client().await?;
        let pods = NAMESPACES.into_iter().flat_map(|namespace| [(namespace, 1), (namespace, 2)]);
        let warmed = pods.map(|(namespace, number)| {
            let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
            async move { self.warm_shop(&pods, &format!("web-{wave}-{number}")).await }
        });
        try_join_all(warmed).await?;
        Ok(())
    }

    async fn warm_shop(&self, pods: &Api<Pod>, name: &str) -> anyhow::Result<()> {
        let port = free_port()?;
        let mut shop = Command::new(programs::own("kube-booster-demo")?);
        shop.arg("serve").arg(format!("--port={port}")).args(["--products=200", "--workers=1"]);
        let _shop = Daemon::start(&shop, &self.world.api.folder().join("shop.log"))?;
        eventually("a shop that listens", SOON, async || {
            Ok(TcpStream::connect(("127.0.0.1", port)).await.ok())
        })
        .await?;
        let settings = json!({"warmup-requests": "120", "warmup-duration": "2s", "warmup-endpoint": "/ /search?q=shoes"});
        self.warm_at(pods, name, port, &settings).await
    }

    /// Creates a pod whose app is at `port`, runs its sidecar, and waits until the gate is open.
    pub(crate) async fn warm_at(
        &self,
        pods: &Api<Pod>,
        name: &str,
        port: u16,
        settings: &Value,
    ) -> anyhow::Result<()> {
        let pod = create(pods, &annotated(name, port, settings)).await?;
        let _sidecar = Sidecar::of(&self.world.api.client().await?, &pod).await?;
        opened(pods, name, SOON).await?;
        Ok(())
    }

    /// The alerts that are pending or firing.
    pub(crate) async fn alerts(&self) -> anyhow::Result<BTreeSet<String>> {
        let rules = self.local.rules().await?;
        let alerts = rules.iter().filter(|rule| rule["type"] == "alerting" && rule["state"] != "inactive");
        Ok(alerts.filter_map(|rule| rule["name"].as_str().map(str::to_owned)).collect())
    }
}

/// What the Prometheus Operator makes of our `PodMonitor`, more often; the API server as everybody scrapes it.
fn cluster(world: &World) -> anyhow::Result<Value> {
    let monitor = object("pod-monitor.yaml")?;
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    let deployment = std::fs::read_to_string(programs::checkout().join("manifests/base/deployment.yaml"))?;
    let deployment: Value = serde_saphyr::from_str(&deployment)?;
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let job_label = monitor["spec"]["jobLabel"].as_str().context("the monitor names a label for the job")?;
    Ok(json!({
        "global": {"scrape_interval": "1s", "external_labels": {"cluster": "here"}},
        "scrape_configs": [
            {
                "job_name": "kube-booster", "metrics_path": endpoint["path"],
                "honor_labels": endpoint["honorLabels"],
                "static_configs": [{
                    "targets": [format!("127.0.0.1:{}", world.ports.metrics)],
                    "labels": {"job": labels[job_label], "namespace": "kube-booster-system",
                        "pod": "kube-booster-0", "container": "control-plane", "endpoint": endpoint["port"]},
                }],
            },
            {
                "job_name": "apiserver", "scheme": "https", "scrape_interval": "3s", "scrape_timeout": "3s",
                "authorization": {"credentials": ADMIN_TOKEN},
                "tls_config": {"ca_file": world.api.folder().join("ca.crt")},
                "static_configs": [{"targets": [format!("127.0.0.1:{}", world.api.port())]}],
                "metric_relabel_configs": [{"source_labels": ["__name__"], "action": "keep",
                    "regex": "apiserver_admission_webhook_fail_open_count"}],
            },
        ],
    }))
}

/// As a Prometheus over all clusters asks one of them for what it has recorded.
fn federation(local: &Prometheus) -> Value {
    json!({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{
            "job_name": "federation", "metrics_path": "/federate", "honor_labels": true,
            "params": {"match[]": ["{__name__=~\"cluster.*:.+:.+\"}"]},
            "static_configs": [{"targets": [format!("127.0.0.1:{}", local.port())]}],
        }],
    })
}
