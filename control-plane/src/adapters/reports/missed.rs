//! Pods that ask for a warm-up and were missed, for `ReportService`: found when somebody asks.

use std::time::Duration;

use proto::v1::{self, ListMissedPodsRequest, ListMissedPodsResponse, PodReference};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tonic::Status;

use super::{people::page_size, refusal};
use crate::ground::scan::NotWarmed;

/// For one page: the API server is asked for the webhook's namespaces and for the pods.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A question for one page, with where to answer.
#[derive(Debug)]
pub struct MissedQuestion {
    /// Of one namespace; of all where empty
    pub namespace: String,
    /// A label selector; empty for all
    pub labels: String,
    /// Pods to look at
    pub limit: u32,
    /// What the page before named; empty for the first
    pub token: String,
    /// The page
    pub answer: oneshot::Sender<Result<MissedPage, MissedError>>,
}

/// The missed ones among the pods that were looked at.
#[derive(Debug)]
pub struct MissedPage {
    /// In the API server's order
    pub pods: Vec<NotWarmed>,
    /// What asks for the next page; `None` on the last
    pub next: Option<String>,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissedError {
    /// The API server takes the question for a mistake, and says why.
    Asked(String),
    /// The API server did not answer.
    Unavailable,
}

pub(super) async fn list(
    questions: &mpsc::Sender<MissedQuestion>,
    asked: ListMissedPodsRequest,
) -> Result<ListMissedPodsResponse, Status> {
    let (answer, answered) = oneshot::channel();
    let ListMissedPodsRequest { namespace, label_selector: labels, page_token: token, .. } = asked;
    let limit = page_size(asked.page_size)?;
    let question = MissedQuestion { namespace, labels, limit, token, answer };
    questions.try_send(question).map_err(|_| Status::unavailable("too many ask at once; try again"))?;
    match timeout(TIMEOUT, answered).await {
        Ok(Ok(Ok(page))) => Ok(ListMissedPodsResponse {
            pods: page.pods.into_iter().map(missed_pod).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }),
        Ok(Ok(Err(MissedError::Asked(why)))) => Err(Status::invalid_argument(why)),
        _ => Err(refusal::unanswered()),
    }
}

fn missed_pod(missed: NotWarmed) -> v1::MissedPod {
    let pod = missed.pod;
    v1::MissedPod {
        pod: Some(PodReference {
            namespace: pod.namespace.into(),
            name: pod.name.into(),
            uid: pod.uid.into(),
        }),
        created: Some(std::time::SystemTime::from(missed.created).into()),
    }
}
