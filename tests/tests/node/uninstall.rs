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
    create(&pods, &shop("web", IMAGE, &json!({"warmup-requests": "100", "warmup-duration": "5m"}))).await?;
    eventually("a held pod", LONG, async || {
        Ok(Some(pods.get("web").await?).filter(|pod| is_true(pod, "ContainersReady")))
    })
    .await?;
    ensure!(condition(&pods.get("web").await?).is_none());
    cluster.make("undeploy")?;
    let pod = ready(&pods, "web", SOON).await?;
    ensure!(condition(&pod).and_then(|condition| condition.reason.as_deref()) == Some("Released"));
    let kinds = "namespaces,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,\
                 validatingadmissionpolicies,validatingadmissionpolicybindings";
    let left = cluster.kubectl(&["get", kinds, "--output=name"])?;
    let left: Vec<_> = left.lines().filter(|name| name.contains("kube-booster")).collect();
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}
