//! What a sidecar costs its node once its work is done.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    cluster::{Cluster, container_status, shop},
    patience::{SOON, eventually},
    pods::{create, opened},
    sidecar::container,
    trials::trial,
    usage::{mapped, threads},
};

use crate::{IMAGE, story::namespace};

const LONG: Duration = Duration::from_secs(150);
/// The program that the sidecar becomes, as the kernel shortens names.
const PARKED: &str = "kube-booster-pa\n";
const MOST_RESIDENT: u64 = 64 << 10;

pub(crate) fn trials(cluster: Option<&Arc<Cluster>>) -> Vec<Trial> {
    vec![trial("a parked sidecar runs within its limit and holds next to nothing", LONG, cluster, parked)]
}

async fn parked(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "parked").await?;
    let settings = json!({"warmup-requests": "4", "warmup-duration": "1s"});
    create(&pods, &shop("web", IMAGE, &settings)).await?;
    opened(&pods, "web", LONG).await?;
    let pod = pods.get("web").await?;
    let resources = serde_json::to_value(&container(&pod)?.resources)?;
    let defaults = json!({"requests": {"cpu": "1m", "memory": "2Mi"}, "limits": {"memory": "16Mi"}});
    ensure!(resources == defaults, "{resources}");
    let status = container_status(&pod, "kube-booster-warmup").context("the sidecar has a status")?;
    ensure!(status.restart_count == 0, "{status:?}");
    let pid = cluster.process(status)?;
    let name = format!("/proc/{pid}/comm");
    let is_parked = async || Ok((fs::read_to_string(&name)? == PARKED).then_some(()));
    eventually("a sidecar that is parked", SOON, is_parked).await?;
    let (mapped, threads) = (mapped(pid)?, threads(pid)?);
    ensure!(mapped.resident <= MOST_RESIDENT && threads == 1, "{mapped:?}, {threads} threads");
    Ok(())
}
