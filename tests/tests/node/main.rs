//! The whole path on a real node: API server, scheduler, kubelet, containers, Services.
//!
//! Where the machine permits no node, every test here is counted as ignored, and the reason is said; with
//! `KUBE_BOOSTER_REQUIRE_NODE=1` that is a failure. The tests share one cluster and run one after the other.

mod fallback;
mod faults;
mod parked;
mod replicas;
mod story;
mod uninstall;
mod upgrade;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};
use tests::cluster::Cluster;

/// The demo app, which `make images` builds under this name.
const IMAGE: &str = concat!("localhost/kube-booster/demo-app:", env!("CARGO_PKG_VERSION"));

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(None)).exit_code());
    }
    let cluster = match Cluster::start() {
        Ok(cluster) => Arc::new(cluster),
        Err(error) if std::env::var_os("KUBE_BOOSTER_REQUIRE_NODE").is_some() => return Err(error),
        Err(error) => {
            eprintln!("\nALL NODE TESTS ARE SKIPPED, because this machine permits no node: {error:#}\n");
            return Ok(libtest_mimic::run(&arguments, trials(None)).exit_code());
        }
    };
    cluster.deploy()?;
    let conclusion = libtest_mimic::run(&arguments, trials(Some(&cluster)));
    if conclusion.has_failed() {
        let ours = "--selector=app.kubernetes.io/name=kube-booster";
        let logs = ["--namespace", "kube-booster-system", "logs", ours, "--prefix", "--tail=200"];
        eprintln!("the control plane's log:\n{}", cluster.kubectl(&logs).unwrap_or_default());
    }
    drop(cluster);
    Ok(conclusion.exit_code())
}

/// All tests; ignored without a cluster. The last one takes the product away.
fn trials(cluster: Option<&Arc<Cluster>>) -> Vec<Trial> {
    let groups = [
        story::trials(cluster),
        faults::trials(cluster),
        parked::trials(cluster),
        replicas::trials(cluster),
        upgrade::trials(cluster),
        fallback::trials(cluster),
        uninstall::trials(cluster),
    ];
    groups.into_iter().flatten().collect()
}
