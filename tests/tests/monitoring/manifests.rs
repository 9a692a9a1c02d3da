//! The objects of `manifests/monitoring` and of the overlay that scales, on an API server that knows their kinds.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use tests::{api_server::ApiServer, patience::SOON, programs::checkout, trials::alone};

/// Where the kinds are defined: module, folder, and the files' names.
const KINDS: [(&str, &str, &[&str]); 2] = [
    (
        "github.com/prometheus-operator/prometheus-operator",
        "example/prometheus-operator-crd",
        &["monitoring.coreos.com_podmonitors.yaml", "monitoring.coreos.com_prometheusrules.yaml"],
    ),
    ("k8s.io/autoscaler/vertical-pod-autoscaler", "deploy", &["vpa-v1-crd-gen.yaml"]),
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![alone("an API server takes all objects for monitoring and scaling", 6 * SOON, taken)]
}

/// The folder of a Go module, downloaded where it is missing.
fn module(name: &str) -> anyhow::Result<PathBuf> {
    // Where its own archive puts it, which not everybody has on the PATH.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/go/bin";
    let mut go = Command::new("go");
    go.env("PATH", path);
    go.arg("-C").arg(checkout().join("hack/monitoring")).args(["mod", "download", "-json", name]);
    go.env("GOFLAGS", "-mod=readonly").env("GOTOOLCHAIN", "local").env("GOWORK", "off");
    let output = go.output().context("cannot run go")?;
    ensure!(output.status.success(), "go mod download {name}: {}", String::from_utf8_lossy(&output.stdout));
    let said: Value = serde_json::from_slice(&output.stdout)?;
    Ok(said["Dir"].as_str().context("a module has a folder")?.into())
}

async fn taken() -> anyhow::Result<()> {
    let api = ApiServer::start().await?;
    for (name, folder, files) in KINDS {
        let folder = module(name)?.join(folder);
        for file in files {
            api.kubectl(&["apply", "--server-side", "--filename", &folder.join(file).display().to_string()])?;
        }
    }
    let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"];
    api.kubectl(&established)?;
    let manifests = checkout().join("manifests");
    let apply = |arguments: &[&str]| {
        api.kubectl(&[&["apply", "--server-side", "--validate=strict"], arguments].concat())
    };
    for folder in ["overlays/autoscale", "monitoring", "monitoring/global"] {
        let path = manifests.join(folder).display().to_string();
        println!("{}", apply(&["--kustomize", &path])?);
    }
    let sample = manifests.join("monitoring/vertical-pod-autoscaler.yaml");
    println!("{}", apply(&["--filename", &sample.display().to_string()])?);

    let dashboards =
        ["--namespace=kube-booster-system", "get", "configmaps", "--selector=grafana_dashboard=1"];
    let dashboards = api.kubectl(&[&dashboards[..], &["--output=json"]].concat())?;
    let dashboards: Value = serde_json::from_str(&dashboards)?;
    let files = dashboards["items"].as_array().context("ConfigMaps")?.iter();
    let files: Vec<&Value> =
        files.flat_map(|map| map["data"].as_object().into_iter().flat_map(|data| data.values())).collect();
    ensure!(files.len() == 2, "{} dashboards", files.len());
    // Kept when a Deployment is applied again: the autoscaler alone says how many.
    let deployment =
        ["--namespace=kube-booster-system", "get", "deployment", "kube-booster", "--output=json"];
    let deployment: Value =
        serde_json::from_str(&api.kubectl(&[&deployment[..], &["--show-managed-fields"]].concat())?)?;
    let managers = deployment["metadata"]["managedFields"].as_array().context("managers")?;
    ensure!(
        managers.iter().all(|manager| manager["fieldsV1"]["f:spec"]["f:replicas"].is_null()),
        "the overlay says how many replicas there are"
    );
    Ok(())
}
