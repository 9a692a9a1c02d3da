//! A client of the report server.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use proto::{
    report::{EndedBy, Report},
    v1::{
        SubmitReportRequest, SubmitReportResponse, report_service_client::ReportServiceClient,
        warmup_service_client::WarmupServiceClient,
    },
};
use tonic::{
    Request, Response, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    control_plane::{NAMESPACE, World},
    patience::{SOON, eventually},
};

/// The CA that the control plane publishes for people, soon after it is ready.
pub async fn published_ca(client: &Client) -> anyhow::Result<String> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    eventually("the CA is published", SOON, async || {
        let map = maps.get_opt("kube-booster-ca").await?;
        Ok(map.and_then(|map| map.data?.remove("ca.crt")))
    })
    .await
}

/// Where the report server of `world` is, verified by the published CA.
pub async fn endpoint(world: &World) -> anyhow::Result<Endpoint> {
    let ca = published_ca(&world.api.client().await?).await?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name("localhost");
    let endpoint = Channel::from_shared(format!("https://127.0.0.1:{}", world.ports.report))?;
    Ok(endpoint.tls_config(tls)?)
}

/// A channel to the report server of `world`.
pub async fn channel(world: &World) -> anyhow::Result<Channel> {
    Ok(endpoint(world).await?.connect().await?)
}

/// A client for people.
pub async fn people(world: &World) -> anyhow::Result<ReportServiceClient<Channel>> {
    Ok(ReportServiceClient::new(channel(world).await?))
}

/// A client for sidecars.
pub async fn sidecars(world: &World) -> anyhow::Result<WarmupServiceClient<Channel>> {
    Ok(WarmupServiceClient::new(channel(world).await?))
}

/// `message` with `token`, bounded in time.
pub fn with_token<T>(message: T, token: &str) -> anyhow::Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    request.set_timeout(Duration::from_secs(20));
    Ok(request)
}

/// A report of a warm-up that went well.
#[must_use]
pub fn good_report() -> Report {
    let now = SystemTime::now();
    Report {
        success: true,
        request_count: 3,
        planned_count: 3,
        connections: 1,
        ..Report::without_requests(EndedBy::Count, now, "3/3 requests succeeded")
    }
}

/// Submits `report` with `token`.
pub async fn submit(
    world: &World,
    token: &str,
    report: &Report,
) -> anyhow::Result<Result<Response<SubmitReportResponse>, Status>> {
    let message = SubmitReportRequest { result: Some(report.into()) };
    Ok(sidecars(world).await?.submit_report(with_token(message, token)?).await)
}
