//! Two replicas: one may go, also while pods are created.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams};
use libtest_mimic::Trial;
use tests::{
    cluster::Cluster,
    creations::{Creations, Load, create_during},
    patience::eventually,
    trials::trial,
};

use crate::story::namespace;

const LONG: Duration = Duration::from_mins(4);
/// The API server is connected to either replica.
const RESTARTS: u32 = 3;
const SYSTEM: [&str; 2] = ["--namespace", "kube-booster-system"];

pub(crate) fn trials(cluster: Option<&Arc<Cluster>>) -> Vec<Trial> {
    vec![trial(
        "rolling restarts while a thousand pods and more are created leave none of them untouched",
        LONG,
        cluster,
        rolling_restart,
    )]
}

async fn rolling_restart(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "rolling-restart").await?;
    let load = Load { pods: 1_000, clients: 4, pause: Duration::from_millis(20) };
    let restart = async {
        for _ in 0..RESTARTS {
            kubectl(&cluster, &["rollout", "restart", "deployment/kube-booster"]).await?;
            kubectl(&cluster, &["rollout", "status", "deployment/kube-booster", "--timeout=120s"]).await?;
            gone(&cluster).await?;
        }
        Ok(())
    };
    let made = create_during(&cluster.client().await?, "rolling-restart", load, restart).await?;
    let Creations { created, untouched, duration, .. } = &made;
    let (median, longest) = (made.quantile(0.5), made.quantile(1.0));
    println!(
        "{created} pods in {duration:?}, each in {median:?} (longest {longest:?}); untouched: {untouched:?}"
    );
    // Before anything is judged: thousands of held pods would keep an uninstallation busy.
    pods.delete_collection(&DeleteParams::default().grace_period(0), &ListParams::default()).await?;
    ensure!(*created >= 1_000 && untouched.is_empty(), "{} of {created} untouched", untouched.len());
    Ok(())
}

/// Waits until none of the replicas that were asked to end is there any more.
async fn gone(cluster: &Cluster) -> anyhow::Result<()> {
    let ours: Api<Pod> = Api::namespaced(cluster.client().await?, "kube-booster-system");
    eventually("two replicas, none of them ending", Duration::from_mins(1), async || {
        let replicas = ours.list(&ListParams::default()).await?.items;
        let is_ending = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
        Ok((replicas.len() == 2 && !replicas.iter().any(is_ending)).then_some(()))
    })
    .await
}

/// Beside the creations, which the same thread drives.
async fn kubectl(cluster: &Arc<Cluster>, arguments: &[&str]) -> anyhow::Result<()> {
    let arguments: Vec<String> = SYSTEM.iter().chain(arguments).map(ToString::to_string).collect();
    let cluster = Arc::clone(cluster);
    tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        cluster.kubectl(&arguments).map(drop)
    })
    .await?
}
