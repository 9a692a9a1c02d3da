//! The product goes away, and no pod stays held.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    cluster::{Cluster, shop},
    patience::{SOON, eventually},
    pods::{condition, create},
    trials::trial,
};

use crate::{
    IMAGE,
    story::{is_true, namespace, ready},
};

const LONG: Duration = Duration::from_secs(150);

pub(crate) fn trials(cluster: Option<&Arc<Cluster>>) -> Vec<Trial> {
    vec![trial("make undeploy releases every held pod and leaves nothing of ours", LONG, cluster, undeploy)]
}

async fn undeploy(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "undeploy").await?;
    // One that is being warmed, and one whose app never answers.
    let settings = json!({"warmup-requests": "100", "warmup-duration": "5m"});
    create(&pods, &shop("web", IMAGE, &settings)).await?;
    create(&pods, &shop("mute", IMAGE, &json!({"warmup-port": "1"}))).await?;
    for name in ["web", "mute"] {
        eventually("a held pod", LONG, async || {
            Ok(Some(pods.get(name).await?).filter(|pod| is_true(pod, "ContainersReady")))
        })
        .await?;
        ensure!(!is_true(&pods.get(name).await?, "kube-booster.io/warmup-ready"));
    }
    cluster.make("undeploy")?;
    for name in ["web", "mute"] {
        let pod = ready(&pods, name, SOON).await?;
        ensure!(condition(&pod).and_then(|condition| condition.reason.as_deref()) == Some("Released"));
    }
    let left = leftovers(&cluster)?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

/// Objects of any kind that bear our name or our label. Events are no objects of ours: they go by themselves.
fn leftovers(cluster: &Cluster) -> anyhow::Result<Vec<String>> {
    let kinds = cluster.kubectl(&["api-resources", "--verbs=list", "--output=name"])?;
    let kinds: Vec<&str> = kinds.lines().filter(|kind| !kind.starts_with("events")).collect();
    ensure!(kinds.len() > 40, "{kinds:?}");
    let kinds = kinds.join(",");
    let all = cluster.kubectl(&["get", &kinds, "--all-namespaces", "--output=name"])?;
    let labelled = "--selector=app.kubernetes.io/part-of=kube-booster";
    let labelled = cluster.kubectl(&["get", &kinds, "--all-namespaces", "--output=name", labelled])?;
    let named = all.lines().filter(|name| name.contains("kube-booster"));
    Ok(named.chain(labelled.lines()).map(str::to_owned).collect())
}
