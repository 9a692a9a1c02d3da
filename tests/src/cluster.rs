//! A real cluster with one node, our images on it and our manifests deployed, as a user gets it by the Makefile.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{Client, Config, config::KubeConfigOptions, config::Kubeconfig};
use serde_json::Value;

use crate::programs;

/// Beside a demo cluster of the same machine.
const NAME: &str = "kbtest";

/// The cluster; it is taken away when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
}

impl Cluster {
    /// Brings the cluster up, or says why this machine permits none.
    pub fn start() -> anyhow::Result<Self> {
        // What an interrupted run may have left would be taken for ours.
        run(script("down"))?;
        run(script("up"))?;
        let cluster = Self { kubeconfig: PathBuf::from(output(script("kubeconfig"))?.trim()) };
        Ok(cluster)
    }

    /// Builds the images, loads them and deploys the product.
    pub fn deploy(&self) -> anyhow::Result<()> {
        self.make("images")?;
        self.make("cluster-load")?;
        self.make("deploy")
    }

    /// Calls a door of the Makefile for this cluster.
    pub fn make(&self, target: &str) -> anyhow::Result<()> {
        self.make_with(target, &[])
    }

    /// Calls a door of the Makefile with `variables`.
    pub fn make_with(&self, target: &str, variables: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut make = Command::new("make");
        make.args(["--no-print-directory", "--directory"]).arg(programs::checkout()).arg(target);
        make.env("KUBECONFIG", &self.kubeconfig).env("KB_CLUSTER", NAME);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_an_outer_build(name)) {
            make.env_remove(name);
        }
        make.envs(variables.iter().copied());
        run(make)
    }

    /// Brings an image archive to the node.
    pub fn load(&self, archive: &Path) -> anyhow::Result<()> {
        let mut load = script("load");
        load.arg(archive);
        run(load)
    }

    /// A client with all rights.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let config = Kubeconfig::read_from(&self.kubeconfig)?;
        Ok(Client::try_from(Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?)?)
    }

    /// Runs kubectl; gives its standard output.
    pub fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut kubectl = Command::new(programs::kubernetes("kubectl")?);
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        output(kubectl)
    }

    /// The answer of the app in a pod to `GET path`, through the API server.
    pub fn ask_app(&self, namespace: &str, pod: &str, path: &str) -> anyhow::Result<String> {
        let url = format!("/api/v1/namespaces/{namespace}/pods/{pod}:8080/proxy{path}");
        self.kubectl(&["get", "--raw", &url])
    }

    /// Gives an image of the node a second name.
    pub fn tag_image(&self, image: &str, name: &str) -> anyhow::Result<()> {
        run(ctr(&["images", "tag", "--force", image, name]))
    }

    /// Sends `signal` to the first process of a container of this cluster.
    pub fn signal(&self, container: &ContainerStatus, signal: &str) -> anyhow::Result<()> {
        let mut kill = Command::new("kill");
        kill.args(["-s", signal, &self.process(container)?.to_string()]);
        run(kill)
    }

    /// The process id, on this machine, of the first process of a container of this cluster.
    pub fn process(&self, container: &ContainerStatus) -> anyhow::Result<u32> {
        let id = container.container_id.as_deref().unwrap_or_default();
        let id = id.strip_prefix("containerd://").context("the container runs under containerd")?;
        let tasks = output(ctr(&["tasks", "list"]))?;
        let pid =
            tasks.lines().filter(|line| line.starts_with(id)).find_map(|line| line.split_whitespace().nth(1));
        Ok(pid.context("the container has a task")?.parse()?)
    }
}

/// containerd's own client, on the first node.
fn ctr(arguments: &[&str]) -> Command {
    let mut ctr = Command::new("ctr");
    let socket = format!("/run/kube-booster/{NAME}/node1/containerd.sock");
    ctr.args(["--address", &socket, "--namespace", "k8s.io"]).args(arguments);
    ctr
}

/// What make and cargo around a test lend it: with it, cargo would take the images' programs for stale.
fn is_of_an_outer_build(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_cargos = name.starts_with("CARGO") && name != "CARGO_HOME";
    is_cargos || ["LD_LIBRARY_PATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "RUSTUP_TOOLCHAIN"].contains(&&*name)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = run(script("down")) {
            eprintln!("the test's cluster is still there: {error:#}");
        }
    }
}

/// The status of container `name` of `pod`, init containers included.
#[must_use]
pub fn container_status<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let lists = [&status.init_container_statuses, &status.container_statuses];
    lists.into_iter().flatten().flatten().find(|container| container.name == name)
}

/// A pod of our demo app, annotated; small, so that it is cold but quickly there.
#[must_use]
pub fn shop(name: &str, image: &str, annotations: &Value) -> Value {
    let mut pod = crate::pods::annotated(name, 8080, annotations);
    pod["metadata"]["labels"] = serde_json::json!({"app": name});
    pod["spec"]["terminationGracePeriodSeconds"] = 5.into();
    let app = &mut pod["spec"]["containers"][0];
    app["image"] = image.into();
    app["args"] = serde_json::json!(["serve", "--products=200"]);
    app["readinessProbe"] =
        serde_json::json!({"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1});
    pod
}

fn script(verb: &str) -> Command {
    let mut command = Command::new(programs::checkout().join("hack/cluster.sh"));
    command.args([verb, "--name", NAME]);
    command
}

fn run(mut command: Command) -> anyhow::Result<()> {
    // What a person would read is the log of the test.
    let status = command.stdin(Stdio::null()).stdout(Stdio::inherit()).status()?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}

fn output(mut command: Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
