//! Programs that send requests at a rate: ours, and others to compare with.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::{
    desk::{Desk, Received},
    sidecar::{Sidecar, plan},
};

/// What vegeta writes.
const RESULTS: &str = "results";

/// Where the programs are.
#[derive(Debug, Clone)]
pub(crate) struct Generators {
    pub(crate) sidecar: PathBuf,
    pub(crate) vegeta: Option<PathBuf>,
    pub(crate) oha: Option<PathBuf>,
}

/// `count` requests to `port` at `rate` per second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) port: u16,
    pub(crate) rate: u32,
    pub(crate) count: u32,
}

impl Load {
    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs(1) * self.count / self.rate
    }
}

impl Generators {
    /// Warms the app and hands over what came of it; the sidecar is parked then, and ends.
    pub(crate) async fn warm(&self, load: Load, desk: &mut Desk) -> anyhow::Result<Received> {
        let plan = plan(load.port, load.count, load.duration());
        let sidecar = Sidecar::start(&self.sidecar, &plan, desk)?;
        let received = desk.receive().await?;
        let (status, _) = sidecar.terminate().await?;
        ensure!(status.success(), "the sidecar ended with {status}");
        Ok(received)
    }
}

/// vegeta's attack, as it is without any tuning; its results go to file `results` of `folder`.
pub(crate) fn attack(vegeta: &Path, load: Load, folder: &Path) -> anyhow::Result<Command> {
    let targets = folder.join("targets");
    fs::write(&targets, format!("GET http://127.0.0.1:{}/\n", load.port))?;
    let mut attack = Command::new(vegeta);
    attack.args(["attack", &format!("-rate={}/1s", load.rate)]);
    attack.arg(format!("-duration={}ms", load.duration().as_millis()));
    attack.arg(format!("-targets={}", targets.display()));
    attack.arg(format!("-output={}", folder.join(RESULTS).display()));
    attack.stdin(Stdio::null()).kill_on_drop(true);
    Ok(attack)
}

/// The latency that vegeta reports of the results in `folder` for 99 of 100 requests, in seconds.
pub(crate) async fn attack_p99(vegeta: &Path, folder: &Path) -> anyhow::Result<f64> {
    let results = folder.join(RESULTS);
    let output = Command::new(vegeta).args(["report", "-type=json"]).arg(results).output().await?;
    ensure!(output.status.success(), "vegeta reports nothing: {}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let nanos = report["latencies"]["99th"].as_f64().context("vegeta reports a p99")?;
    Ok(nanos / 1e9)
}

/// oha, as it is without any tuning.
pub(crate) fn ohayou(oha: &Path, load: Load) -> Command {
    let mut command = Command::new(oha);
    command.args(["--no-tui", "-q", &load.rate.to_string(), "-n", &load.count.to_string()]);
    command.arg(format!("http://127.0.0.1:{}/", load.port));
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs `command` to its end.
pub(crate) async fn done(mut command: Command) -> anyhow::Result<()> {
    let status = command.status().await.with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
