//! Where a control plane of a test listens.

use crate::{api_server::free_port, control_plane::http_get};

/// Ports on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// The webhook's.
    pub webhook: u16,
    /// The report server's.
    pub report: u16,
    /// The metrics'.
    pub metrics: u16,
    /// That of `/healthz` and `/readyz`.
    pub health: u16,
}

impl Ports {
    /// Ports that were free a moment ago.
    pub fn free() -> anyhow::Result<Self> {
        Ok(Self { webhook: free_port()?, report: free_port()?, metrics: free_port()?, health: free_port()? })
    }

    /// The flags that make a control plane listen there.
    #[must_use]
    pub fn arguments(self) -> [String; 4] {
        [
            format!("--webhook-port={}", self.webhook),
            format!("--report-port={}", self.report),
            format!("--metrics-bind-address=127.0.0.1:{}", self.metrics),
            format!("--health-probe-bind-address=127.0.0.1:{}", self.health),
        ]
    }

    /// The flag that has sidecars report there.
    #[must_use]
    pub fn report_address(self) -> String {
        format!("--report-address=127.0.0.1:{}", self.report)
    }

    /// Whether the control plane there wants to be sent to.
    pub async fn is_ready(self) -> bool {
        http_get(self.health, "/readyz").await.is_ok_and(|answer| answer.ends_with("ok\n"))
    }
}
