//! The list of all pods, page by page, as the API server writes it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Client, Resource, api::ListParams, core::Request};
use tokio::time::timeout;

/// Pods of one page: bounds what is in memory at once.
pub const PAGE: u32 = 500;
/// For one page.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a page could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CensusError {
    /// The API server did not give it.
    #[error("cannot list pods")]
    Api(#[source] Box<kube::Error>),
    /// The API server did not answer in time.
    #[error("cannot list pods: the API server does not answer")]
    Silence,
}

/// Which pods, and where the list goes on.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Of one namespace; of all where absent
    pub namespace: Option<String>,
    /// A label selector; empty for all
    pub labels: String,
    /// Pods of this page, [`PAGE`] at most
    pub limit: u32,
    /// What the page before names; empty for the first
    pub token: String,
}

/// One page of the list of pods that have not ended, as JSON: whoever reads it keeps only what it needs.
pub async fn page(client: &Client, asked: &Asked) -> Result<String, CensusError> {
    let params = ListParams {
        label_selector: Some(asked.labels.clone()).filter(|labels| !labels.is_empty()),
        field_selector: Some("status.phase!=Succeeded,status.phase!=Failed".to_owned()),
        limit: Some(asked.limit.min(PAGE)),
        continue_token: Some(asked.token.clone()).filter(|token| !token.is_empty()),
        ..ListParams::default()
    };
    let pods = Request::new(Pod::url_path(&(), asked.namespace.as_deref()));
    let api = |error| CensusError::Api(Box::new(error));
    let request = pods.list(&params).map_err(|error| api(kube::Error::BuildRequest(error)))?;
    timeout(TIMEOUT, client.request_text(request)).await.map_err(|_| CensusError::Silence)?.map_err(api)
}
