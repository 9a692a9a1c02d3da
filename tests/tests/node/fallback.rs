//! Sidecars that cannot run: their apps do all the same.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use libtest_mimic::Trial;
use proto::names;
use serde_json::{Value, json};
use tests::{
    cluster::{Cluster, container_status, shop},
    patience::eventually,
    pods::{condition, create, delete, opened},
    programs::checkout,
    sidecar::container,
    trials::trial,
};

use crate::{
    IMAGE,
    story::{namespace, ready},
};

const LONG: Duration = Duration::from_secs(150);
/// Ten seconds from the first error, what the kubelet takes for two crashes, and a machine that is shared.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn trials(cluster: Option<&Arc<Cluster>>) -> Vec<Trial> {
    vec![trial(
        "an app runs although its sidecar's image is missing, of another architecture, or crashes",
        LONG,
        cluster,
        broken_images,
    )]
}

async fn broken_images(cluster: Arc<Cluster>) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let foreign = folder.path().join("foreign");
    std::fs::write(&foreign, foreign_program())?;
    make_image(&cluster, folder.path(), "foreign", &foreign, "/foreign")?;
    make_image(&cluster, folder.path(), "crashing", &demo_program()?, "/crashing no-such-verb")?;
    let broken = [("missing", "cannot be pulled"), ("foreign", ""), ("crashing", "ends again and again")];
    try_join_all(broken.map(|(name, why)| runs_all_the_same(&cluster, name, why))).await?;
    is_tried_again(&Api::namespaced(cluster.client().await?, "missing")).await
}

/// The head of a program for a machine that this one is not.
fn foreign_program() -> Vec<u8> {
    let machine = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.resize(64, 0);
    (program[16], program[18], program[20], program[52]) = (2, machine, 1, 64);
    program
}

/// The demo app's program, as the images hold it.
fn demo_program() -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("IMAGE_BUILD_DIR").map_or(checkout().join("target/static"), PathBuf::from);
    let programs = std::fs::read_dir(folder)?.flatten();
    let mut programs = programs.map(|target| target.path().join("release/kube-booster-demo"));
    programs.find(|program| program.is_file()).context("the images were made of a program")
}

fn image(name: &str) -> String {
    format!("localhost/kube-booster/{name}:1")
}

/// Brings an image of one program to the node.
fn make_image(
    cluster: &Cluster,
    folder: &Path,
    name: &str,
    program: &Path,
    command: &str,
) -> anyhow::Result<()> {
    let archive = folder.join(format!("{name}.tar"));
    let file = format!("{}=/{name}", program.display());
    let made = Command::new(checkout().join("hack/image.py"))
        .args([&image(name), &archive.display().to_string()])
        .args(["--file", &file, "--entrypoint", command, "--user", "65532"])
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    cluster.load(&archive)
}

async fn runs_all_the_same(cluster: &Cluster, name: &str, why: &str) -> anyhow::Result<()> {
    let pods = namespace(cluster, name).await?;
    // Gated until its sidecar has the image that cannot run.
    let mut pod = shop("web", IMAGE, &json!({}));
    pod["spec"]["schedulingGates"] = json!([{"name": "example.com/not-yet"}]);
    container(&create(&pods, &pod).await?)?;
    let change = async |change: Value| {
        let patch = Patch::<()>::Json(serde_json::from_value(change)?);
        anyhow::Ok(pods.patch("web", &PatchParams::default(), &patch).await?)
    };
    change(json!([{"op": "replace", "path": "/spec/initContainers/0/image", "value": image(name)}])).await?;
    let start = Instant::now();
    change(json!([{"op": "remove", "path": "/spec/schedulingGates"}])).await?;

    let pod = ready(&pods, "web", PATIENCE).await?;
    let condition = condition(&pod).context("a condition")?;
    ensure!(condition.reason.as_deref() == Some("SidecarUnavailable"), "{condition:?}");
    let message = condition.message.as_deref().unwrap_or_default();
    eprintln!("{name}: Ready after {:.1?}, {message}", start.elapsed());
    ensure!(message.contains(why), "{message}");
    let sidecar = container_status(&pod, names::SIDECAR_CONTAINER).context("a status")?;
    ensure!(sidecar.state.as_ref().is_some_and(|state| state.running.is_some()), "{sidecar:?}");
    let injected = container(&create(&pods, &shop("next", IMAGE, &json!({}))).await?).is_ok();
    delete(&pods, "next").await?;
    ensure!(!injected, "injection is not paused in namespace {name}");
    Ok(())
}

/// One pod is let in after a while, and as its sidecar works, all that follow.
async fn is_tried_again(pods: &Api<Pod>) -> anyhow::Result<()> {
    let quick = json!({"warmup-requests": "2", "warmup-duration": "200ms"});
    eventually("a pod that is injected again", PATIENCE, async || {
        let is_injected = container(&create(pods, &shop("probe", IMAGE, &quick)).await?).is_ok();
        if !is_injected {
            delete(pods, "probe").await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(is_injected.then_some(()))
    })
    .await?;
    let (condition, _) = opened(pods, "probe", PATIENCE).await?;
    ensure!(condition.reason.as_deref() == Some("WarmupSucceeded"), "{condition:?}");
    eventually("a second one", PATIENCE, async || {
        let is_injected = container(&create(pods, &shop("after", IMAGE, &quick)).await?).is_ok();
        delete(pods, "after").await?;
        Ok(is_injected.then_some(()))
    })
    .await
}
