//! The product is deployed over itself: nothing changes without need, and nothing under way is lost.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use futures::future::{join_all, try_join_all};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    cluster::{Cluster, shop},
    patience::{SOON, eventually},
    pods::{create, delete, opened},
    trials::trial,
};

use crate::{
    IMAGE,
    story::{is_true, namespace, ready},
};

const LONG: Duration = Duration::from_secs(150);
const CONTROL_PLANE: &str = concat!("localhost/kube-booster/control-plane:", env!("CARGO_PKG_VERSION"));
/// The same program under the name of another release.
const NEXT: &str = "localhost/kube-booster/control-plane:next";

pub(crate) fn trials(cluster: Option<&Arc<Cluster>>) -> Vec<Trial> {
    vec![
        trial("make deploy a second time changes nothing", LONG, cluster, twice),
        trial("an upgrade while pods are warmed loses no warm-up", LONG, cluster, upgrade),
    ]
}

/// Everything that the manifests hold, and our pods: by kind and name, what every change would count up.
fn versions(cluster: &Cluster) -> anyhow::Result<BTreeMap<String, Value>> {
    let kinds = "namespaces,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingadmissionpolicies,\
                 validatingadmissionpolicybindings,serviceaccounts,roles,rolebindings,services,deployments,\
                 networkpolicies,poddisruptionbudgets";
    let list = |kinds: &str, selector: &str| {
        let arguments = ["get", kinds, "--all-namespaces", "--output=json", "--selector", selector];
        anyhow::Ok(serde_json::from_str::<Value>(&cluster.kubectl(&arguments)?)?)
    };
    let lists = [
        list(kinds, "app.kubernetes.io/part-of=kube-booster")?,
        list("pods", "app.kubernetes.io/name=kube-booster")?,
    ];
    let objects = lists.iter().filter_map(|list| list["items"].as_array()).flatten();
    Ok(objects
        .map(|object| {
            let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
            // Where there is a generation, it counts the changes of what somebody wants; a resourceVersion counts those
            // of a status, too. Restarts are in the status of a pod.
            let restarts = &object["status"]["containerStatuses"][0]["restartCount"];
            let counted = match &object["metadata"]["generation"] {
                Value::Null => object["metadata"]["resourceVersion"].clone(),
                generation => json!([generation, restarts]),
            };
            (name, counted)
        })
        .collect())
}

async fn twice(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let before = versions(&cluster)?;
    ensure!(before.len() > 12, "{before:?}");
    cluster.make("deploy")?;
    let after = versions(&cluster)?;
    ensure!(before == after, "before: {before:#?}, after: {after:#?}");
    Ok(())
}

async fn upgrade(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let pods = namespace(&cluster, "upgrade").await?;
    let settings = json!({"warmup-requests": "100", "warmup-duration": "10s"});
    let names: Vec<_> = (0..8).map(|i| format!("web-{i}")).collect();
    let manifests: Vec<_> = names.iter().map(|name| shop(name, IMAGE, &settings)).collect();
    try_join_all(manifests.iter().map(|pod| create(&pods, pod))).await?;
    for name in &names {
        eventually("a warm-up under way", LONG, async || {
            Ok(Some(pods.get(name).await?).filter(|pod| is_true(pod, "ContainersReady")))
        })
        .await?;
    }
    cluster.tag_image(CONTROL_PLANE, NEXT)?;
    cluster.make_with("deploy", &[("IMG", NEXT)])?;
    let image = "--output=jsonpath={.items[*].spec.containers[0].image}";
    let selector = "--selector=app.kubernetes.io/name=kube-booster";
    let running = cluster.kubectl(&["--namespace", "kube-booster-system", "get", "pods", selector, image])?;
    ensure!(running.contains(NEXT), "{running}");
    for opened in join_all(names.iter().map(|name| opened(&pods, name, LONG))).await {
        let (condition, record) = opened?;
        ensure!(condition.reason.as_deref() == Some("WarmupSucceeded"), "{condition:?}");
        ensure!(record.report.request_count == 100, "{record:?}");
    }
    for name in &names {
        ready(&pods, name, SOON).await.with_context(|| name.clone())?;
    }
    try_join_all(names.iter().map(|name| delete(&pods, name))).await?;
    Ok(())
}
