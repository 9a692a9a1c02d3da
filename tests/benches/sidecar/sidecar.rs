//! The sidecar's program, started as a container is.

use std::{
    fs,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use proto::{
    names::{PLAN_ENV, POD_UID_ENV, REPORT_ADDRESS_ENV, REPORT_CA_ENV, REPORT_SERVER_NAME_ENV, TOKEN_FILE},
    plan::{Limits, Plan, Probe, Protocol, Request, Shape, Step, Until, VERSION},
};
use sidecar::ground::settings::MOUNT_ENV;
use tempfile::TempDir;
use tests::patience::{SOON, eventually};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{
    app::PROBED,
    desk::{Desk, SERVER_NAME},
    recorder::now,
};

/// The program that it becomes in the end, as the kernel shortens names.
const PARKED: &str = "kube-booster-pa\n";

/// A running sidecar; it is killed when this is dropped.
pub(crate) struct Sidecar {
    process: Child,
    /// Nanoseconds of the machine's clock, before the process was made.
    pub(crate) started: u64,
    _mount: TempDir,
}

/// `count` requests within `duration`, to an app whose probe is asked.
pub(crate) fn plan(port: u16, count: u32, duration: Duration) -> Plan {
    Plan {
        version: VERSION,
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        port,
        steps: vec![Step { requests: vec![Request::get("/")], count }],
        shape: Shape::Paced {
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            ramp_ms: 0,
        },
        until: Until::Count,
        limits: Limits::default(),
        wait: Probe::HttpGet { port, path: PROBED.to_owned(), protocol: Protocol::Http, headers: Vec::new() },
    }
}

impl Sidecar {
    /// Starts `program` with `plan`; its report goes to `desk`.
    pub(crate) fn start(program: &Path, plan: &Plan, desk: &Desk) -> anyhow::Result<Self> {
        let mount = tempfile::tempdir()?;
        fs::write(mount.path().join(TOKEN_FILE), "token")?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .env(PLAN_ENV, plan.to_json())
            .env(POD_UID_ENV, "12345678-1234-1234-1234-123456789012")
            .env(REPORT_ADDRESS_ENV, desk.address.to_string())
            .env(REPORT_SERVER_NAME_ENV, SERVER_NAME)
            .env(REPORT_CA_ENV, &desk.ca)
            .env(MOUNT_ENV, mount.path())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let started = now();
        let process = command.spawn().with_context(|| format!("{} does not start", program.display()))?;
        desk.expect(process.id().context("it runs")?);
        Ok(Self { process, started, _mount: mount })
    }

    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().context("the sidecar has ended by itself")
    }

    /// Waits until it is the waiting program.
    pub(crate) async fn parked(&self) -> anyhow::Result<()> {
        let name = format!("/proc/{}/comm", self.pid()?);
        eventually("a sidecar that is parked", SOON, async || {
            Ok((fs::read_to_string(&name)? == PARKED).then_some(()))
        })
        .await
    }

    /// Ends it as the kubelet does; says how it did, and after how long.
    pub(crate) async fn terminate(mut self) -> anyhow::Result<(ExitStatus, Duration)> {
        let start = now();
        kill(Pid::from_raw(self.pid()?.try_into()?), Signal::SIGTERM)?;
        let status = timeout(SOON, self.process.wait()).await??;
        Ok((status, Duration::from_nanos(now() - start)))
    }
}
