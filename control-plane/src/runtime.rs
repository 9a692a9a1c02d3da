//! The floor that puts the others together: starts the servers, joins them by bounded channels, stops them in order.

mod callers;
mod cluster;
mod descriptors;
mod gatekeeper;
mod identity;
mod launch;
mod listen;
mod rescue;
mod scan;
mod selfcheck;
mod start;
mod tasks;

use std::{sync::Arc, time::Duration};

use clap::Parser;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    adapters::{
        admin::AdminArgs, certificates::CertificateArgs, lease::LeaseArgs, logs::LogArgs,
        performance::PerformanceArgs, reports::ReportArgs, webhook::WebhookArgs,
    },
    ground::{annotations::GoDuration, injection::SidecarTemplate},
};

pub use start::run;

/// Holds annotated pods out of their Services until they are warm.
#[derive(Debug, Parser)]
#[command(name = "kube-booster-control-plane", version)]
pub struct Options {
    #[command(flatten)]
    webhook: WebhookArgs,
    #[command(flatten)]
    performance: PerformanceArgs,
    #[command(flatten)]
    reports: ReportArgs,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    certificates: CertificateArgs,
    #[command(flatten)]
    gatekeeper: gatekeeper::GatekeeperArgs,
    #[command(flatten)]
    lease: LeaseArgs,
    #[command(flatten)]
    scan: scan::ScanArgs,
    #[command(flatten)]
    fallback: rescue::FallbackArgs,
    /// The flags of the log
    #[command(flatten)]
    pub logs: LogArgs,
    /// Our own namespace
    #[arg(long, env = "POD_NAMESPACE", default_value = "kube-booster-system", value_name = "NAMESPACE")]
    namespace: String,
}

fn go_duration(text: &str) -> Result<Duration, String> {
    let GoDuration(duration) =
        text.parse().map_err(|error| format!("{error}; use one such as 30s or 1m30s"))?;
    Ok(duration)
}

type Template = watch::Receiver<Arc<SidecarTemplate>>;

/// Cancelled when the process is to stop.
type Stop = CancellationToken;
