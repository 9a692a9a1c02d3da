//! The manifests and their overlays, as kustomize renders them.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    api_server::ApiServer,
    control_plane::{NAMESPACE, service_account_token},
    patience::{SOON, eventually},
    pods::{annotated, create, namespace},
    programs,
    trials::alone,
};

const OTHER: &str = "warm-ups";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        alone(
            "make undeploy finds every object of the manifests and of their overlays",
            SOON,
            undeploy_finds_all,
        ),
        alone("an overlay puts everything into another namespace", SOON, renamed),
        alone("the fence of an install in another namespace fences", 2 * SOON, fenced_elsewhere),
    ]
}

fn overlay(name: &str) -> PathBuf {
    programs::checkout().join("manifests/overlays").join(name)
}

fn rendered(folder: &PathBuf) -> anyhow::Result<String> {
    let output = Command::new(programs::kubernetes("kubectl")?).arg("kustomize").arg(folder).output()?;
    ensure!(output.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn objects(folder: &PathBuf) -> anyhow::Result<Vec<Value>> {
    Ok(serde_saphyr::from_multiple(&rendered(folder)?)?)
}

/// Base and overlays.
fn all_folders() -> anyhow::Result<Vec<PathBuf>> {
    let overlays =
        fs::read_dir(overlay(""))?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(!overlays.is_empty(), "there are overlays");
    Ok([vec![programs::checkout().join("manifests/base")], overlays].concat())
}

/// The kinds that hack/undeploy.sh deletes outside our namespace, as kubectl takes them: plural, in lower case.
fn kinds_of_undeploy() -> anyhow::Result<BTreeSet<String>> {
    let script = fs::read_to_string(programs::checkout().join("hack/undeploy.sh"))?;
    let lists = script
        .lines()
        .filter_map(|line| line.strip_prefix("elsewhere")?.trim_start_matches('+').strip_prefix('='));
    let kinds = lists.flat_map(|list| list.split(',')).filter(|kind| !kind.is_empty());
    Ok(kinds
        .map(str::to_owned)
        .chain(["namespaces".to_owned(), "mutatingwebhookconfigurations".to_owned()])
        .collect())
}

fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    kind.strip_suffix('y').map_or_else(|| format!("{kind}s"), |stem| format!("{stem}ies"))
}

async fn undeploy_finds_all() -> anyhow::Result<()> {
    let kinds = kinds_of_undeploy()?;
    for folder in all_folders()? {
        let objects = objects(&folder)?;
        let own = objects.iter().find(|object| object["kind"] == "Namespace").context("a namespace")?;
        let own = own["metadata"]["name"].as_str().context("its name")?;
        for object in &objects {
            let (kind, name) = (object["kind"].as_str().unwrap_or_default(), &object["metadata"]["name"]);
            if object["metadata"]["namespace"] == own {
                continue;
            }
            let what = format!("{}: {kind} {name}", folder.display());
            let label = &object["metadata"]["labels"]["app.kubernetes.io/part-of"];
            ensure!(label == "kube-booster", "{what} would stay after make undeploy: it lacks our label");
            ensure!(
                kinds.contains(&plural(kind)),
                "{what} would stay after make undeploy: the script knows no such kind"
            );
        }
    }
    Ok(())
}

async fn renamed() -> anyhow::Result<()> {
    let folder = overlay("another-namespace");
    let text = rendered(&folder)?;
    let left: Vec<&str> = text.lines().filter(|line| line.contains(NAMESPACE)).collect();
    ensure!(left.is_empty(), "manifests/components/namespace misses {left:#?}");
    let base = objects(&programs::checkout().join("manifests/base"))?;
    let renamed = objects(&folder)?;
    let names = |objects: &[Value]| -> Vec<String> {
        let names = objects.iter().filter(|object| object["kind"] != "Namespace");
        names.map(|object| format!("{} {}", object["kind"], object["metadata"]["name"])).collect()
    };
    ensure!(names(&base) == names(&renamed), "the overlay has other objects than the base");
    for object in base.iter().filter(|object| object["metadata"]["namespace"].is_string()) {
        let same = |other: &&Value| {
            other["kind"] == object["kind"] && other["metadata"]["name"] == object["metadata"]["name"]
        };
        let namespace = renamed.iter().find(same).map(|other| &other["metadata"]["namespace"]);
        ensure!(namespace.is_some_and(|namespace| namespace == OTHER), "{object}: {namespace:?}");
    }
    Ok(())
}

async fn fenced_elsewhere() -> anyhow::Result<()> {
    let api = ApiServer::start().await?;
    let folder = overlay("another-namespace").display().to_string();
    api.kubectl(&["apply", "--server-side", "--kustomize", &folder])?;
    let client = api.client().await?;
    let webhook =
        ["get", "mutatingwebhookconfiguration", "zz-kube-booster", "--output=jsonpath={.webhooks[0]}"];
    let webhook: Value = serde_json::from_str(&api.kubectl(&webhook)?)?;
    ensure!(webhook["clientConfig"]["service"]["namespace"] == OTHER, "{webhook}");
    let not_called_for = &webhook["namespaceSelector"]["matchExpressions"][0]["values"];
    ensure!(*not_called_for == json!(["kube-system", OTHER]), "{webhook}");

    let pods = namespace(&client, "fenced-elsewhere", json!({})).await?;
    create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let token = service_account_token(&client, OTHER, "kube-booster", None).await?;
    let config: Kubeconfig = serde_json::from_str(&api.kubeconfig_for(&token)?)?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    let ours: Api<Pod> = Api::namespaced(Client::try_from(config)?, "fenced-elsewhere");
    let mut attempts = 0;
    let refused = eventually("a fence in force", SOON, async || {
        // One that got through changed the label: only another value is a change again.
        attempts += 1;
        let label = Patch::Merge(json!({"metadata": {"labels": {"app": attempts.to_string()}}}));
        let answer = ours.patch_status("web", &PatchParams::default(), &label).await;
        Ok(answer
            .err()
            .map(|error| error.to_string())
            .filter(|error| error.contains("'kube-booster-pod-status'")))
    });
    refused.await?;
    let condition = json!({"apiVersion": "v1", "kind": "Pod",
        "status": {"conditions": [{"type": "kube-booster.io/warmup-ready", "status": "True"}]}});
    ours.patch_status("web", &PatchParams::apply("kube-booster").force(), &Patch::Apply(condition)).await?;
    Ok(())
}
