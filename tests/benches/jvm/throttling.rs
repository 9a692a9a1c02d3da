//! How long a CPU limit kept a pod from running, as the kernel counts it.

use std::{fs, path::Path, time::Duration};

use anyhow::Context;
use k8s_openapi::api::core::v1::Pod;
use tests::cluster::{Cluster, container_status};

/// Of the container `app`, since its start; `None` where the kernel does not tell.
pub(crate) fn of(cluster: &Cluster, pod: &Pod) -> anyhow::Result<Option<Duration>> {
    let status = container_status(pod, "app").context("the app has a status")?;
    let pid = cluster.process(status)?;
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let files = groups.lines().filter_map(file);
    let mut counts = files.filter_map(|file| throttled(&fs::read_to_string(file).ok()?));
    Ok(counts.next())
}

/// `4:cpu,cpuacct:/path` of cgroup v1, `0::/path` of v2.
fn file(line: &str) -> Option<String> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let root = Path::new("/sys/fs/cgroup");
    let mount = if controllers.is_empty() { root.to_owned() } else { root.join(controllers) };
    let is_cpu = controllers.is_empty() || controllers.split(',').any(|name| name == "cpu");
    is_cpu.then(|| format!("{}{path}/cpu.stat", mount.display()))
}

fn throttled(stat: &str) -> Option<Duration> {
    stat.lines().find_map(|line| {
        let nanos = || Some(Duration::from_nanos(line.strip_prefix("throttled_time ")?.parse().ok()?));
        let micros = || Some(Duration::from_micros(line.strip_prefix("throttled_usec ")?.parse().ok()?));
        nanos().or_else(micros)
    })
}
