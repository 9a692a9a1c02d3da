//! The environment that a sidecar finds itself in.

use std::{collections::BTreeMap, fs, time::Duration};

use proto::{
    names::{PLAN_ENV, POD_UID_ENV, REPORT_ADDRESS_ENV, REPORT_CA_ENV, REPORT_SERVER_NAME_ENV, TOKEN_FILE},
    plan::{Limits, Plan, Probe, Request, Shape, Step, Until, VERSION},
};
use sidecar::{
    ground::{patience::Patience, settings::MOUNT_ENV},
    run::live,
};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::control_plane::{ControlPlane, SERVER_NAME};

pub(crate) const POD_UID: &str = "12345678-1234-1234-1234-123456789012";

/// A pod with its environment and its mounted folder.
pub(crate) struct Setting {
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) mount: TempDir,
}

impl Setting {
    pub(crate) fn new(plan: &Plan, control_plane: &ControlPlane) -> Self {
        Self::at(plan, &control_plane.address.to_string(), &control_plane.ca)
    }

    pub(crate) fn at(plan: &Plan, address: &str, ca: &str) -> Self {
        let mount = tempfile::tempdir().unwrap();
        fs::write(mount.path().join(TOKEN_FILE), "first\n").unwrap();
        let variables = [
            (PLAN_ENV, plan.to_json()),
            (POD_UID_ENV, POD_UID.to_owned()),
            (REPORT_ADDRESS_ENV, address.to_owned()),
            (REPORT_SERVER_NAME_ENV, SERVER_NAME.to_owned()),
            (REPORT_CA_ENV, ca.to_owned()),
            (MOUNT_ENV, mount.path().display().to_string()),
        ];
        Self { variables: variables.map(|(name, value)| (name.to_owned(), value)).into(), mount }
    }

    /// Lets the sidecar live until it parks.
    pub(crate) async fn live(&self) {
        self.live_with(&Patience::default()).await;
    }

    pub(crate) async fn live_with(&self, patience: &Patience) {
        let environment = |name: &str| self.variables.get(name).cloned();
        timeout(Duration::from_secs(20), live(&environment, patience))
            .await
            .expect("the sidecar parks in time");
    }
}

/// A plan of `count` requests to `/`, spread over `millis`, for an app that answers as soon as it takes connections.
pub(crate) fn plan(port: u16, count: u32, millis: u64) -> Plan {
    Plan {
        version: VERSION,
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        port,
        steps: vec![Step { requests: vec![Request::get("/")], count }],
        shape: Shape::Paced { duration_ms: millis, ramp_ms: 0 },
        until: Until::Count,
        limits: Limits::default(),
        wait: Probe::TcpSocket { port },
    }
}

/// A plan of `count` requests to `/` back to back, one at a time, within `millis`.
pub(crate) fn quick(port: u16, count: u32, millis: u64) -> Plan {
    Plan {
        shape: Shape::BackToBack { timeout_ms: millis },
        limits: Limits { concurrency: 1, ..Limits::default() },
        ..plan(port, count, 0)
    }
}

/// The wait by a probe of `/up`.
pub(crate) fn http_probe(port: u16) -> Probe {
    Probe::HttpGet {
        port,
        path: "/up".to_owned(),
        protocol: proto::plan::Protocol::Http,
        headers: vec![proto::plan::Header { name: "X-Probe".to_owned(), value: "yes".to_owned() }],
    }
}
