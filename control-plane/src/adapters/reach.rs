//! Which namespaces the API server calls the webhook for.

use std::{collections::HashSet, time::Duration};

use k8s_openapi::api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Namespace};
use kube::{
    Api, Client,
    api::ListParams,
    core::{ParseExpressionError, Selector, SelectorExt},
};
use proto::names;
use tokio::time::timeout;

/// Namespaces of one page.
const PAGE: u32 = 500;
/// For all calls together.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The API server did not say.
    #[error("cannot read the webhook's configuration or the namespaces")]
    Api(#[source] Box<kube::Error>),
    /// The API server did not answer in time.
    #[error("cannot read the webhook's configuration or the namespaces: the API server does not answer")]
    Silence,
    /// Somebody wrote a selector that the API server would not take today.
    #[error("cannot read the webhook's namespaceSelector")]
    Selector(#[source] ParseExpressionError),
}

impl From<kube::Error> for ReachError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// The namespaces that the webhook is called for, but for our `own` and kube-system; none where it is not registered.
pub async fn namespaces(client: &Client, own: &str) -> Result<HashSet<String>, ReachError> {
    timeout(TIMEOUT, read(client, own)).await.map_err(|_| ReachError::Silence)?
}

async fn read(client: &Client, own: &str) -> Result<HashSet<String>, ReachError> {
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let configuration = configurations.get_opt(names::WEBHOOK_CONFIGURATION).await?;
    let mut webhooks = configuration.and_then(|found| found.webhooks).unwrap_or_default().into_iter();
    let webhook = webhooks.find(|webhook| webhook.name == names::WEBHOOK);
    let Some(webhook) = webhook else { return Ok(HashSet::new()) };
    let selector = webhook.namespace_selector.unwrap_or_default();
    let selector = Selector::try_from(selector).map_err(ReachError::Selector)?;

    let all: Api<Namespace> = Api::all(client.clone());
    let (mut reached, mut params) = (HashSet::new(), ListParams::default().limit(PAGE));
    loop {
        let page = all.list_metadata(&params).await?;
        let is_reached = |name: &str| name != own && name != "kube-system";
        let matching = page.items.into_iter().map(|namespace| namespace.metadata);
        let matching =
            matching.filter(|metadata| selector.matches(&metadata.labels.clone().unwrap_or_default()));
        reached.extend(matching.filter_map(|metadata| metadata.name).filter(|name| is_reached(name)));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(reached),
        }
    }
}
