//! The golden pods of the control plane's tests, through the real webhook.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, ensure};
use control_plane::ground::annotations::Quantity;
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    control_plane::World,
    patience::{SOON, eventually},
    pods::namespace,
    programs::checkout,
    trials::trial,
};

use super::{comparable, create, limit, sidecar, unasked, untyped};

/// Pods that are created at once.
const AT_ONCE: usize = 8;

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial(
            "every golden pod is stored with and without an injection, which adds what is listed",
            3 * SOON,
            world,
            stored_alike,
        ),
        trial(
            "golden pods in namespaces with limits of their own are stored as well",
            3 * SOON,
            world,
            stored_under_limits,
        ),
    ]
}

struct Golden {
    name: String,
    pod: Value,
    decided: Value,
    namespace: Option<Vec<Value>>,
}

fn folder() -> PathBuf {
    checkout().join("control-plane/tests/golden")
}

fn read(file: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

fn all() -> anyhow::Result<Vec<Golden>> {
    let mut all = Vec::new();
    for file in fs::read_dir(folder())? {
        let file = file?.file_name().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix(".pod.json") else { continue };
        let of = |part: &str| folder().join(format!("{name}.{part}.json"));
        let objects = of("namespace");
        all.push(Golden {
            name: name.to_owned(),
            pod: read(&of("pod"))?,
            decided: read(&of("patch"))?,
            namespace: objects
                .is_file()
                .then(|| read(&objects))
                .transpose()?
                .map(|objects| objects.as_array().cloned().unwrap_or_default()),
        });
    }
    Ok(all)
}

impl Golden {
    fn is_injected(&self) -> bool {
        self.decided["decision"] == "injected"
    }

    /// What the webhook is to make of the sidecar's resources; the API server may complete them.
    fn resources(&self) -> Value {
        let operations = self.decided["patch"].as_array().into_iter().flatten();
        let values = operations.map(|operation| &operation["value"]);
        let containers = values.map(|value| if value.is_array() { &value[0] } else { value });
        let mut ours = containers.filter(|container| container["name"] == "kube-booster-warmup");
        ours.find(|container| container["env"].is_array())
            .map_or(json!({}), |container| container["resources"].clone())
    }

    /// How `stored` is not what was decided.
    fn check(&self, stored: &Value) -> anyhow::Result<()> {
        let brought = sidecar(&self.pod).is_some();
        let found = sidecar(stored);
        ensure!(found.is_some() == (self.is_injected() || brought), "{}: not as decided", self.name);
        for (part, amounts) in self.resources().as_object().into_iter().flatten() {
            for (resource, amount) in amounts.as_object().into_iter().flatten() {
                let found = found.map(|container| &container["resources"][part][resource]);
                // The API server writes amounts in its own way.
                let read = |text: &Value| text.as_str()?.parse::<Quantity>().ok();
                ensure!(
                    found.and_then(read) == read(amount),
                    "{}: {part} of {resource} are {found:?}, not {amount}",
                    self.name
                );
            }
        }
        Ok(())
    }

    async fn compare(&self, pods: &Api<DynamicObject>) -> anyhow::Result<()> {
        let without = create(pods, &unasked(&self.pod), true).await?;
        let with = create(pods, &self.pod, false).await?;
        match (without, with) {
            (Ok(without), Ok(with)) => {
                self.check(&with)?;
                let (mut with, mut without) = (comparable(&with), comparable(&without));
                if sidecar(&self.pod).is_some() {
                    // What it brings along may have made the pod another class than its own containers do.
                    (with["status"], without["status"]) = (Value::Null, Value::Null);
                }
                ensure!(with == without, "{}: with injection\n{with}\nwithout\n{without}", self.name);
                Ok(())
            }
            (Err(_), Err(_)) if !self.is_injected() => Ok(()),
            // Half of a copied injection is no valid pod, and is made whole.
            (Err(_), Ok(with)) if sidecar(&self.pod).is_some() => self.check(&with),
            (without, with) => {
                let (without, with) = (without.err(), with.err());
                anyhow::bail!("{}: refused without: {without:?}, with: {with:?}", self.name)
            }
        }
    }
}

async fn stored_alike(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    namespace(&client, "golden", json!({})).await?;
    let pods = untyped(&client, "golden");
    let plain: Vec<_> = all()?.into_iter().filter(|golden| golden.namespace.is_none()).collect();
    ensure!(plain.iter().filter(|golden| golden.is_injected()).count() >= 90);
    stream::iter(plain.iter().map(|golden| golden.compare(&pods)))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await
}

async fn stored_under_limits(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let limited: Vec<_> = all()?.into_iter().filter(|golden| golden.namespace.is_some()).collect();
    ensure!(limited.len() >= 15);
    for golden in &limited {
        namespace(&client, &golden.name, json!({})).await?;
        for object in golden.namespace.iter().flatten() {
            if object["kind"] == "Namespace" {
                let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
                let labels = Patch::Merge(json!({"metadata": {"labels": object["metadata"]["labels"]}}));
                namespaces.patch(&golden.name, &PatchParams::default(), &labels).await?;
            } else {
                limit(&client, &golden.name, object).await?;
            }
        }
    }
    for golden in &limited {
        let pods = untyped(&client, &golden.name);
        // The API server and the control plane hear of limits a moment later.
        let mut last = anyhow::Ok(());
        let heard = eventually("limits that everybody has heard of", SOON, async || {
            let stored = create(&pods, &golden.pod, true).await?;
            last = stored.map_err(anyhow::Error::msg).and_then(|stored| golden.check(&stored));
            Ok(last.is_ok().then_some(()))
        });
        if heard.await.is_err() {
            last.with_context(|| golden.name.clone())?;
        }
        golden.compare(&pods).await?;
    }
    Ok(())
}
