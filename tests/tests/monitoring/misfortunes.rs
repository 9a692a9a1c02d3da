//! What goes wrong on a bad day, each thing as it does in a cluster.

use std::{collections::BTreeSet, net::Ipv4Addr};

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use jiff::{Timestamp, ToSpan};
use kube::api::{Patch, PatchParams};
use proto::{names, v1::WatchReportsRequest};
use serde_json::json;
use tests::{
    app::App,
    control_plane::service_account_token,
    patience::{SOON, eventually},
    pods::{annotated, containers_ready, create, namespace, opened},
    prometheus::now,
    reports::{good_report, people, submit, with_token},
    sidecar::container,
    webhook::{Caller, post, usual},
};
use tokio::io::AsyncWriteExt;

use super::stage::Stage;

/// Enough for the alert on warm-ups that fail.
const FAILURES: usize = 8;
/// Enough for the alert on gates that open without a warm-up.
const SILENT: usize = 4;

impl Stage {
    /// An app that answers every warm-up with an error.
    pub(crate) async fn sick_app(&self) -> anyhow::Result<()> {
        let pods = namespace(&self.world.api.client().await?, "sick", json!({})).await?;
        let app = App::answering(500).await?;
        let settings = json!({"warmup-requests": "20", "warmup-duration": "2s"});
        let names: Vec<String> = (0..FAILURES).map(|number| format!("web-{number}")).collect();
        try_join_all(names.iter().map(|name| self.warm_at(&pods, name, app.port(), &settings))).await?;
        Ok(())
    }

    /// Sidecars of which nobody hears.
    pub(crate) async fn silent_sidecars(&self) -> anyhow::Result<()> {
        let pods = namespace(&self.world.api.client().await?, "silent", json!({})).await?;
        let ready = Timestamp::now().checked_sub(60.seconds())?;
        for name in (0..SILENT).map(|number| format!("web-{number}")) {
            create(&pods, &annotated(&name, 8080, &json!({"warmup-duration": "1s"}))).await?;
            containers_ready(&pods, &name, ready).await?;
            opened(&pods, &name, SOON).await?;
        }
        Ok(())
    }

    /// A sidecar whose image nobody can pull.
    pub(crate) async fn missing_image(&self) -> anyhow::Result<()> {
        let pods = namespace(&self.world.api.client().await?, "missing-image", json!({})).await?;
        create(&pods, &annotated("web", 8080, &json!({}))).await?;
        let status = json!({"status": {"initContainerStatuses": [{
            "name": names::SIDECAR_CONTAINER, "image": "localhost/sidecar:1", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}},
        }]}});
        pods.patch_status("web", &PatchParams::default(), &Patch::Strategic(status)).await?;
        opened(&pods, "web", SOON).await?;
        Ok(())
    }

    /// A wrong annotation, and callers of both servers who should not call.
    pub(crate) async fn strangers(&self) -> anyhow::Result<()> {
        let client = self.world.api.client().await?;
        let pods = namespace(&client, "strangers", json!({})).await?;
        let pod = create(&pods, &annotated("web", 8080, &json!({"warmup-requests": "none"}))).await?;
        ensure!(container(&pod).is_err(), "a pod with a wrong annotation is left alone");

        let caller = Caller::new(&self.world, Ipv4Addr::LOCALHOST).await?;
        let (status, _) = post(&mut caller.connect_tls().await?, "text/plain", b"hello").await?;
        ensure!(status == 415, "{status}");
        self.world.connect_to_webhook().await?.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
        let refused = submit(&self.world, "made-up", &good_report()).await?;
        ensure!(refused.is_err(), "a made-up token was taken");
        Ok(())
    }

    /// Usual reviews, one after the other.
    pub(crate) async fn reviews(&self, count: usize) -> anyhow::Result<()> {
        let caller = Caller::new(&self.world, Ipv4Addr::LOCALHOST).await?;
        let mut connection = caller.connect_tls().await?;
        for _ in 0..count {
            let (status, answer) = post(&mut connection, "application/json", &usual()).await?;
            ensure!(status == 200, "{status}: {answer}");
        }
        Ok(())
    }

    /// Somebody who watches reports for some scrapes.
    pub(crate) async fn watcher(&self) -> anyhow::Result<()> {
        let kubectl = |arguments: &[&str]| {
            self.world.api.kubectl(&[&["--namespace=shop", "create"], arguments].concat())
        };
        kubectl(&["serviceaccount", "viewer"])?;
        let role = "--clusterrole=kube-booster-report-viewer";
        kubectl(&["rolebinding", "viewer", role, "--serviceaccount=shop:viewer"])?;
        let client = self.world.api.client().await?;
        let token = service_account_token(&client, "shop", "viewer", Some(names::TOKEN_AUDIENCE)).await?;
        let asked = WatchReportsRequest { namespace: "shop".to_owned(), label_selector: String::new() };
        let answer = people(&self.world).await?.watch_reports(with_token(asked, &token)?).await?;
        let mut stream = answer.into_inner();
        stream.message().await?.context("a first event")?;
        eventually("a watcher that Prometheus has seen", SOON, async || {
            Ok(self.is_moved("kube_booster_report_watchers").await?.then_some(()))
        })
        .await
    }

    /// The control plane ends, a pod is created meanwhile, and it comes back; gives the alerts of the time between.
    pub(crate) async fn outage(&mut self) -> anyhow::Result<BTreeSet<String>> {
        let pods = namespace(&self.world.api.client().await?, "outage", json!({})).await?;
        self.world.terminate_control_plane().await?;
        // A first one may begin the API server's count, and a second one has it rise.
        for name in ["first", "second"] {
            let pod = create(&pods, &annotated(name, 8080, &json!({}))).await?;
            ensure!(container(&pod).is_err(), "there was nobody to inject a sidecar");
            eventually("a scrape of the API server", SOON, async || {
                Ok((self.count("apiserver_admission_webhook_fail_open_count").await? > 0.0).then_some(()))
            })
            .await?;
        }
        let wanted = ["KubeBoosterDown", "KubeBoosterReplicaDown", "KubeBoosterWebhookBypassed"];
        let alerts = self.until_alerted(&wanted).await?;
        self.world.start_control_plane().await?;
        eventually("a pod that is missed", SOON, async || {
            let missed =
                self.world.metric(r#"kube_booster_pods_missed_injection{namespace="outage"}"#).await?;
            Ok((missed > 0.0).then_some(()))
        })
        .await?;
        Ok(alerts)
    }

    /// Waits until all of `wanted` are pending or firing; gives all that are.
    pub(crate) async fn until_alerted(&self, wanted: &[&str]) -> anyhow::Result<BTreeSet<String>> {
        eventually("alerts", SOON, async || {
            let alerts = self.alerts().await?;
            Ok(wanted.iter().all(|name| alerts.contains(*name)).then_some(alerts))
        })
        .await
        .with_context(|| format!("wanted: {wanted:?}"))
    }

    /// Whether Prometheus has seen `metric` with a value other than 0.
    pub(crate) async fn is_moved(&self, metric: &str) -> anyhow::Result<bool> {
        let expression = format!("{metric}{{job=\"kube-booster\"}}");
        let series = self.local.range(&expression, (self.since, now()), 1.0).await?;
        Ok(series.iter().flat_map(|series| &series.points).any(|(_, value)| *value != 0.0))
    }

    /// The sum of `metric` as Prometheus has seen it last.
    async fn count(&self, metric: &str) -> anyhow::Result<f64> {
        let series = self.local.range(&format!("sum({metric})"), (now() - 5.0, now()), 1.0).await?;
        Ok(series.first().and_then(|series| series.points.last()).map_or(0.0, |(_, value)| *value))
    }
}
