//! Metrics, liveness and readiness, in clear text.

use std::{
    collections::BTreeSet,
    net::{Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use clap::Args;

use super::metrics::Metrics;

/// Flags of the ports for operators.
#[derive(Debug, Args)]
pub struct AdminArgs {
    /// Where Prometheus finds /metrics
    #[arg(long, default_value = ":8080", value_name = "ADDRESS", value_parser = bind_address)]
    pub metrics_bind_address: SocketAddr,
    /// Where the kubelet finds /healthz and /readyz
    #[arg(long, default_value = ":8081", value_name = "ADDRESS", value_parser = bind_address)]
    pub health_probe_bind_address: SocketAddr,
}

/// `host:port`, or `:port` for all addresses.
fn bind_address(text: &str) -> Result<SocketAddr, String> {
    let any = |port: &str| port.parse().map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    let address = match text.strip_prefix(':') {
        Some(port) => any(port).ok(),
        None => text.parse().ok(),
    };
    address.ok_or_else(|| "use an address such as :8080 or 127.0.0.1:8080".to_owned())
}

/// What has yet to happen before we are ready.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeSet<&'static str>>>);

/// Something that readiness waits for; it has happened when this is dropped.
#[derive(Debug)]
pub struct Pending {
    readiness: Readiness,
    what: &'static str,
}

impl Readiness {
    /// Makes readiness wait for `what`.
    #[must_use]
    pub fn wait_for(&self, what: &'static str) -> Pending {
        self.pending().insert(what);
        Pending { readiness: self.clone(), what }
    }

    /// Whether nothing is waited for.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.pending().is_empty()
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, BTreeSet<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// What it makes wait.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.readiness.pending().remove(self.what);
    }
}

/// `/metrics`
pub fn metrics_router(metrics: Metrics) -> Router {
    let answer = move || {
        let text = metrics.encode();
        async { ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text) }
    };
    Router::new().route("/metrics", get(answer))
}

/// `/healthz` and `/readyz`
pub fn health_router(readiness: Readiness) -> Router {
    let ready = move || {
        let pending: Vec<_> = readiness.pending().iter().copied().collect();
        async move {
            match pending.as_slice() {
                [] => (StatusCode::OK, "ok\n".to_owned()).into_response(),
                waiting => (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", waiting.join(", ")))
                    .into_response(),
            }
        }
    };
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn get(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap())
    }

    #[tokio::test]
    async fn readiness_names_what_it_waits_for() {
        let readiness = Readiness::default();
        let router = health_router(readiness.clone());
        let (pods, certificate) = (readiness.wait_for("pods"), readiness.wait_for("certificate"));
        let waiting = (StatusCode::SERVICE_UNAVAILABLE, "waiting for certificate, pods\n".to_owned());
        assert_eq!(get(&router, "/readyz").await, waiting);
        assert_eq!(get(&router, "/healthz").await.0, StatusCode::OK);
        drop((pods, certificate));
        assert_eq!(get(&router, "/readyz").await, (StatusCode::OK, "ok\n".to_owned()));
    }

    #[test]
    fn addresses_are_go_style_or_whole() {
        assert_eq!(bind_address(":8080").unwrap().to_string(), "[::]:8080");
        assert_eq!(bind_address("127.0.0.1:1").unwrap().to_string(), "127.0.0.1:1");
        assert!(bind_address("8080").is_err() && bind_address(":http").is_err());
    }
}
