//! Pods of all classes in namespaces of all kinds: whoever gets in without a sidecar gets in with one.

use std::sync::Arc;

use anyhow::ensure;
use futures::future::try_join_all;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    control_plane::World,
    patience::{SOON, eventually},
    pods::{annotated, namespace},
    trials::trial,
};

use super::{comparable, create, limit, sidecar, unasked, untyped};

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial(
            "whoever a LimitRange or a quota lets in without a sidecar gets in with one",
            4 * SOON,
            world,
            let_in_alike,
        ),
        trial(
            "a quota that demands limits of CPU no longer refuses a warmed pod",
            SOON,
            world,
            quota_of_limits,
        ),
        trial("a quota is left to the pods that it was measured out for", SOON, world, quota_for_three),
    ]
}

fn range(kind: &str, rules: &Value) -> Value {
    let mut item = rules.clone();
    item["type"] = kind.into();
    json!({"kind": "LimitRange", "metadata": {"name": "range"}, "spec": {"limits": [item]}})
}

fn quota(hard: &Value, used: &Value) -> Value {
    let mut all = used.clone();
    for key in hard.as_object().into_iter().flatten().map(|(key, _)| key) {
        if all[key].is_null() {
            all[key] = "0".into();
        }
    }
    json!({"kind": "ResourceQuota", "metadata": {"name": "quota"},
           "spec": {"hard": hard}, "status": {"hard": hard, "used": all}})
}

fn namespaces() -> Vec<Vec<Value>> {
    let defaults = json!({"default": {"cpu": "500m", "memory": "512Mi"}, "defaultRequest": {"cpu": "100m", "memory": "128Mi"}});
    let mut with_ratio = defaults.clone();
    with_ratio["maxLimitRequestRatio"] = json!({"cpu": "5", "memory": "4"});
    let everything =
        json!({"requests.cpu": "40", "limits.cpu": "80", "requests.memory": "40Gi", "limits.memory": "80Gi"});
    vec![
        vec![range("Container", &defaults)],
        vec![range("Container", &with_ratio)],
        vec![range("Container", &json!({"min": {"cpu": "20m", "memory": "24Mi"}}))],
        vec![range("Container", &json!({"max": {"cpu": "2", "memory": "1Gi"}}))],
        vec![range("Container", &json!({"max": {"memory": "6Mi"}}))],
        vec![range("Container", &json!({"default": {"memory": "512Mi"}}))],
        vec![range("Container", &json!({"default": {"ephemeral-storage": "1Gi"}}))],
        vec![range("Container", &json!({"maxLimitRequestRatio": {"cpu": "1.5"}}))],
        vec![range("Pod", &json!({"max": {"cpu": "1", "memory": "256Mi"}}))],
        vec![range("Pod", &json!({"min": {"cpu": "100m", "memory": "128Mi"}}))],
        vec![range("Pod", &json!({"maxLimitRequestRatio": {"cpu": "2", "memory": "1"}}))],
        vec![quota(&everything, &json!({}))],
        vec![quota(&everything, &json!({"limits.memory": "81663Mi"}))],
        vec![quota(&json!({"cpu": "1", "memory": "1Gi"}), &json!({"cpu": "899m"}))],
        vec![quota(&json!({"pods": "5"}), &json!({"pods": "4"}))],
        vec![quota(&everything, &json!({})), range("Container", &with_ratio)],
    ]
}

fn pods() -> Vec<Value> {
    let both = |cpu: &str, memory: &str| json!({"cpu": cpu, "memory": memory});
    let resources = [
        json!({}),
        json!({"requests": {"cpu": "100m"}}),
        json!({"requests": both("100m", "128Mi")}),
        json!({"requests": both("100m", "128Mi"), "limits": both("200m", "256Mi")}),
        json!({"requests": both("500m", "128Mi"), "limits": both("1", "128Mi")}),
        json!({"limits": both("100m", "256Mi")}),
        json!({"limits": both("1", "256Mi")}),
        json!({"limits": both("1m", "5Mi")}),
        json!({"requests": both("0", "0"), "limits": both("0", "0")}),
    ];
    let of_container = resources.iter().enumerate().map(|(i, resources)| {
        let mut pod = annotated(&format!("web-{i}"), 8080, &json!({}));
        pod["spec"]["containers"][0]["resources"] = resources.clone();
        pod
    });
    let of_pod = [json!({}), json!({"requests": both("100m", "128Mi")})];
    let of_pod = of_pod.iter().enumerate().map(|(i, resources)| {
        let mut pod = annotated(&format!("whole-{i}"), 8080, &json!({}));
        pod["spec"]["resources"] = json!({"limits": both("1", "256Mi"), "requests": both("100m", "128Mi")});
        pod["spec"]["containers"][0]["resources"] = resources.clone();
        pod
    });
    of_container.chain(of_pod).collect()
}

/// One pod in one namespace: how it fares differently with a sidecar, or what became of it.
async fn difference(
    pods: &kube::Api<kube::api::DynamicObject>,
    pod: &Value,
) -> anyhow::Result<Result<&'static str, String>> {
    let (without, with) = (create(pods, &unasked(pod), true).await?, create(pods, pod, true).await?);
    Ok(match (without, with) {
        (Ok(without), Ok(with)) if comparable(&without) == comparable(&with) => {
            Ok(if sidecar(&with).is_some() { "injected" } else { "left alone" })
        }
        (Ok(without), Ok(with)) => Err(format!("{}\nbecomes\n{}", comparable(&without), comparable(&with))),
        (Ok(_), Err(refusal)) => Err(format!("refused because of us: {refusal}")),
        (Err(_), _) => Ok("refused anyway"),
    })
}

async fn let_in_alike(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let mut became = std::collections::BTreeMap::new();
    for (i, objects) in namespaces().iter().enumerate() {
        let name = format!("limits-{i}");
        namespace(&client, &name, json!({})).await?;
        try_join_all(objects.iter().map(|object| limit(&client, &name, object))).await?;
        let namespaced = untyped(&client, &name);
        for pod in pods() {
            let mut last = String::new();
            let alike = eventually("a pod that fares alike", SOON / 2, async || {
                match difference(&namespaced, &pod).await? {
                    Ok(what) => return Ok(Some(what)),
                    Err(difference) => last = difference,
                }
                Ok(None)
            });
            let what = alike.await.map_err(|error| anyhow::anyhow!("{error}: {last}\n{objects:?}\n{pod}"))?;
            *became.entry(what).or_insert(0) += 1;
        }
    }
    let at_least = |what: &str, count: i32| became.get(what).is_some_and(|found| *found >= count);
    ensure!(at_least("injected", 60) && at_least("refused anyway", 20), "{became:?}");
    Ok(())
}

async fn quota_of_limits(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    namespace(&client, "quota-of-limits", json!({})).await?;
    limit(&client, "quota-of-limits", &quota(&json!({"limits.cpu": "4"}), &json!({}))).await?;
    let mut pod = annotated("web", 8080, &json!({}));
    pod["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "200m"}});
    let stored = eventually("a warmed pod", SOON, async || {
        Ok(create(&untyped(&client, "quota-of-limits"), &pod, true).await?.ok())
    });
    let stored = stored.await?;
    let limit = sidecar(&stored).map(|sidecar| &sidecar["resources"]["limits"]["cpu"]);
    ensure!(limit == Some(&json!("100m")), "{limit:?}");
    Ok(())
}

/// A quota for three pods of 100m takes three, none of them with a sidecar, and not a fourth.
async fn quota_for_three(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    namespace(&client, "quota-for-three", json!({})).await?;
    limit(&client, "quota-for-three", &quota(&json!({"requests.cpu": "300m"}), &json!({}))).await?;
    let pods = untyped(&client, "quota-for-three");
    let pod = |i: i32| {
        let mut pod = annotated(&format!("web-{i}"), 8080, &json!({}));
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "100m".into();
        pod
    };
    let heard = eventually("a pod that is left alone", SOON, async || {
        let stored = create(&pods, &pod(0), true).await?;
        Ok(stored.ok().filter(|stored| sidecar(stored).is_none()))
    });
    heard.await?;
    for i in 0..3 {
        let stored = create(&pods, &pod(i), false).await?;
        ensure!(stored.as_ref().is_ok_and(|stored| sidecar(stored).is_none()), "{i}: {stored:?}");
    }
    let fourth = create(&pods, &pod(3), true).await?;
    ensure!(fourth.as_ref().is_err_and(|refusal| refusal.contains("exceeded quota")), "{fourth:?}");
    Ok(())
}
