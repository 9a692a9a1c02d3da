//! The API server that we belong to.

use std::time::Duration;

use anyhow::{Context, bail};
use kube::Client;
use tokio::time::timeout;
use tracing::{info, warn};

/// Before another try when the API server does not answer at the start.
const PATIENCE: Duration = Duration::from_secs(2);
/// For one such try.
const PER_TRY: Duration = Duration::from_secs(15);
/// Native sidecars, match conditions and validating admission policies are there from this version on.
const FLOOR: (u32, u32) = (1, 30);

/// A client of an API server that is new enough.
pub(super) async fn connect() -> anyhow::Result<Client> {
    let client =
        Client::try_default().await.context("cannot find an API server; set KUBECONFIG, or run in a pod")?;
    let version = patiently(async || Ok(client.apiserver_version().await?)).await;
    check_version(&version.major, &version.minor)?;
    info!(version = version.git_version, "API server found");
    Ok(client)
}

fn check_version(major: &str, minor: &str) -> anyhow::Result<()> {
    // Some clouds write a minor of `30+`.
    let number = |text: &str| text.trim_end_matches('+').parse::<u32>().unwrap_or_default();
    if (number(major), number(minor)) < FLOOR {
        bail!(
            "kube-booster needs Kubernetes 1.30 or later, and this API server is {major}.{minor}; nothing was changed"
        );
    }
    Ok(())
}

/// Tries until it works: what is missing at the start is there in a moment, and a restart would not make it faster.
pub(super) async fn patiently<T, F: Future<Output = anyhow::Result<T>>>(mut attempt: impl FnMut() -> F) -> T {
    loop {
        let attempted = timeout(PER_TRY, attempt()).await.context("the API server does not answer");
        match attempted.and_then(|attempted| attempted) {
            Ok(value) => return value,
            Err(error) => warn!(error = format!("{error:#}"), "not ready yet; trying again"),
        }
        tokio::time::sleep(PATIENCE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_before_1_30_is_refused() {
        assert!(check_version("1", "29").is_err());
        assert!(check_version("1", "29+").is_err());
        assert!(check_version("1", "30").is_ok());
        assert!(check_version("1", "36+").is_ok());
        assert!(check_version("2", "0").is_ok());
        assert!(check_version("", "").is_err());
    }
}
