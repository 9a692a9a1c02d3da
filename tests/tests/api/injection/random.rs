//! Pods that nobody thought of.

use std::sync::Arc;

use anyhow::ensure;
use futures::{StreamExt, TryStreamExt, stream};
use kube::{Api, api::DynamicObject};
use libtest_mimic::Trial;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::{Value, json};
use tests::{control_plane::World, patience::SOON, pods::namespace, trials::trial};

use super::{comparable, create, pods::any_pod, sidecar, unasked, untyped};

const SAMPLE: usize = 60;
const AT_ONCE: usize = 8;

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    let name = "random pods are taken with an injection exactly when they are taken without";
    vec![trial(name, 2 * SOON, world, taken_alike)]
}

async fn taken_alike(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    namespace(&client, "random", json!({})).await?;
    let pods = untyped(&client, "random");
    // The same pods each time: a test that fails fails again.
    let mut runner = TestRunner::deterministic();
    let mut sample = Vec::new();
    for _ in 0..SAMPLE {
        let tree = any_pod().new_tree(&mut runner).map_err(|reason| anyhow::anyhow!("{reason}"))?;
        sample.push(tree.current());
    }
    let injected: Vec<bool> = stream::iter(sample.iter().map(|pod| compare(&pods, pod)))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let injected = injected.into_iter().filter(|injected| *injected).count();
    ensure!(injected >= SAMPLE / 4, "only {injected} of {SAMPLE} were injected");
    Ok(())
}

/// Whether `pod` was injected.
async fn compare(pods: &Api<DynamicObject>, pod: &Value) -> anyhow::Result<bool> {
    match (create(pods, &unasked(pod), true).await?, create(pods, pod, true).await?) {
        (Ok(without), Ok(with)) => {
            let is_injected = sidecar(&with).is_some();
            let (without, with) = (comparable(&without), comparable(&with));
            ensure!(without == with, "{pod} is stored as\n{without}\nand with injection as\n{with}");
            Ok(is_injected)
        }
        (Err(_), Err(_)) => Ok(false),
        (without, with) => anyhow::bail!("{pod}: without {:?}, with {:?}", without.err(), with.err()),
    }
}
