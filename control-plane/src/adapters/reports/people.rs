//! `ReportService`: reads the pods' annotations, so that every replica has every report.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{ListParams, ObjectMeta},
};
use proto::{
    names,
    report::Record,
    v1::{
        self, GetReportRequest, ListMissedPodsRequest, ListMissedPodsResponse, ListReportsRequest,
        ListReportsResponse, PodReference, State, WatchReportsRequest, report_service_server::ReportService,
    },
};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};
use tracing::warn;

use super::{
    access::{Access, Person},
    deadline::Asked,
    door::caller,
    in_time,
    missed::{self, MissedQuestion},
    refusal,
    watchers::{Selection, Watchers},
};

/// Most reports of one page, and how many there are when the caller does not say.
const MAX_PAGE: u32 = 500;

pub(super) struct People {
    access: Access,
    client: Client,
    missed: mpsc::Sender<MissedQuestion>,
    watchers: Watchers,
}

impl People {
    pub(super) fn new(
        access: Access,
        client: Client,
        missed: mpsc::Sender<MissedQuestion>,
        watchers: Watchers,
    ) -> Self {
        Self { access, client, missed, watchers }
    }

    async fn authorize(
        &self,
        person: &Person,
        verb: &str,
        namespace: &str,
        name: &str,
    ) -> Result<(), Status> {
        let authorized = self.access.authorize(&person.user, verb, namespace, name).await;
        authorized.map_err(|refusal| self.access.status(&refusal))
    }
}

#[tonic::async_trait]
impl ReportService for People {
    async fn get_report(&self, request: Request<GetReportRequest>) -> Result<Response<v1::Report>, Status> {
        let person: Person = caller(&request)?;
        let GetReportRequest { namespace, name, uid } = request.into_inner();
        for (field, value) in [("namespace", &namespace), ("name", &name)] {
            if !is_dns_name(value) {
                return Err(Status::invalid_argument(format!("{field} must be the {field} of a pod")));
            }
        }
        self.authorize(&person, "get", &namespace, &name).await?;
        let not_found = || Status::not_found(format!("no pod {namespace}/{name} that is or was warmed"));
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let metadata = match in_time(pods.get_metadata_opt(&name)).await? {
            Ok(pod) => pod.ok_or_else(not_found)?.metadata,
            Err(error) => return Err(status(&error)),
        };
        let is_injected =
            metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(names::INJECTED_LABEL));
        let is_asked_for = uid.is_empty() || metadata.uid.as_ref() == Some(&uid);
        if !is_injected || !is_asked_for {
            return Err(not_found());
        }
        Ok(Response::new(report(&metadata)))
    }

    async fn list_reports(
        &self,
        request: Request<ListReportsRequest>,
    ) -> Result<Response<ListReportsResponse>, Status> {
        let person: Person = caller(&request)?;
        let asked = request.into_inner();
        check_namespace(&asked.namespace)?;
        self.authorize(&person, "list", &asked.namespace, "").await?;
        let pods: Api<Pod> = match asked.namespace.as_str() {
            "" => Api::all(self.client.clone()),
            namespace => Api::namespaced(self.client.clone(), namespace),
        };
        let page =
            in_time(pods.list_metadata(&list_params(&asked)?)).await?.map_err(|error| status(&error))?;
        Ok(Response::new(ListReportsResponse {
            reports: page.items.iter().map(|pod| report(&pod.metadata)).collect(),
            next_page_token: page.metadata.continue_.unwrap_or_default(),
        }))
    }

    async fn list_missed_pods(
        &self,
        request: Request<ListMissedPodsRequest>,
    ) -> Result<Response<ListMissedPodsResponse>, Status> {
        let person: Person = caller(&request)?;
        let asked = request.into_inner();
        check_namespace(&asked.namespace)?;
        self.authorize(&person, "list", &asked.namespace, "").await?;
        Ok(Response::new(missed::list(&self.missed, asked).await?))
    }

    type WatchReportsStream = super::watchers::Reports;

    async fn watch_reports(
        &self,
        request: Request<WatchReportsRequest>,
    ) -> Result<Response<Self::WatchReportsStream>, Status> {
        let (person, asked): (Person, Asked) = (caller(&request)?, caller(&request)?);
        let WatchReportsRequest { namespace, label_selector } = request.into_inner();
        check_namespace(&namespace)?;
        self.authorize(&person, "watch", &namespace, "").await?;
        let selection = Selection { namespace, labels: selector(&label_selector) };
        let stream = self.watchers.watch(person, selection, asked);
        stream.map(Response::new).map_err(|refusal| self.access.status(&refusal))
    }
}

/// Of the pods that we injected, those that the caller asks for.
fn selector(theirs: &str) -> String {
    let ours = format!("{}=true", names::INJECTED_LABEL);
    if theirs.is_empty() { ours } else { format!("{ours},{theirs}") }
}

fn list_params(asked: &ListReportsRequest) -> Result<ListParams, Status> {
    let page = page_size(asked.page_size)?;
    let params = ListParams::default().labels(&selector(&asked.label_selector)).limit(page);
    Ok(if asked.page_token.is_empty() { params } else { params.continue_token(&asked.page_token) })
}

/// Objects of a page of which a caller asked for `asked`.
pub(super) fn page_size(asked: i32) -> Result<u32, Status> {
    match u32::try_from(asked) {
        Ok(0) => Ok(MAX_PAGE),
        Ok(size) => Ok(size.min(MAX_PAGE)),
        Err(_) => Err(Status::invalid_argument("page_size must not be negative")),
    }
}

fn check_namespace(namespace: &str) -> Result<(), Status> {
    if namespace.is_empty() || is_dns_name(namespace) {
        return Ok(());
    }
    Err(Status::invalid_argument("namespace must be the name of a namespace, or empty for all"))
}

/// What ends up in a path of the API server's; a slash there would name another resource.
fn is_dns_name(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    (1..=253).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('.')
}

/// The pod's report as it shows it itself.
pub(super) fn report(metadata: &ObjectMeta) -> v1::Report {
    let uid = metadata.uid.clone().unwrap_or_default();
    let annotation = metadata.annotations.as_ref().and_then(|all| all.get(names::REPORT_ANNOTATION));
    let record = annotation.and_then(|annotation| Record::of_pod(&uid, annotation));
    let state = if record.is_some() { State::Complete } else { State::Pending };
    v1::Report {
        pod: Some(pod_reference(metadata)),
        state: state.into(),
        reason: record.as_ref().map(|record| record.reason.to_string()).unwrap_or_default(),
        result: record.map(|record| v1::Result::from(&record.report)),
    }
}

pub(super) fn pod_reference(metadata: &ObjectMeta) -> PodReference {
    PodReference {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
    }
}

fn status(error: &kube::Error) -> Status {
    match error {
        kube::Error::Api(status) if status.code == 400 => Status::invalid_argument(status.message.clone()),
        kube::Error::Api(status) if status.code == 410 => {
            Status::invalid_argument("the page token has expired; start again without one")
        }
        error => {
            warn!(%error, "cannot read pods");
            refusal::unanswered()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_leave_its_path_is_none() {
        assert!(is_dns_name("web-1.x"));
        for text in ["", "a/b", "../secrets", "..", "A", "a b", "ä", &"a".repeat(254)] {
            assert!(!is_dns_name(text), "{text}");
        }
    }

    #[test]
    fn only_labelled_pods_are_listed_in_bounded_pages() {
        let asked =
            ListReportsRequest { label_selector: "app=web".to_owned(), ..ListReportsRequest::default() };
        let params = list_params(&asked).unwrap();
        assert_eq!(params.label_selector.as_deref(), Some("kube-booster.io/injected=true,app=web"));
        assert_eq!(params.limit, Some(500));
        assert_eq!(
            list_params(&ListReportsRequest { page_size: 9_999, ..asked.clone() }).unwrap().limit,
            Some(500)
        );
        assert!(list_params(&ListReportsRequest { page_size: -1, ..asked }).is_err());
    }

    #[test]
    fn a_pod_without_a_record_of_its_own_is_pending() {
        let annotation = |value: &str| Some([(names::REPORT_ANNOTATION.to_owned(), value.to_owned())].into());
        let metadata =
            ObjectMeta { uid: Some("u1".to_owned()), annotations: annotation(""), ..ObjectMeta::default() };
        assert_eq!(report(&metadata).state(), State::Pending);
        let at = std::time::UNIX_EPOCH;
        let result = proto::report::Report::without_requests(proto::report::EndedBy::NoReport, at, "none");
        let record = Record::new("u1", proto::report::Reason::WarmupTimedOut, result);
        let own = ObjectMeta { annotations: annotation(&record.to_annotation()), ..metadata.clone() };
        assert_eq!((report(&own).state(), report(&own).reason.as_str()), (State::Complete, "WarmupTimedOut"));
        let copied = Record { pod_uid: "u0".to_owned(), ..record }.to_annotation();
        assert_eq!(
            report(&ObjectMeta { annotations: annotation(&copied), ..metadata }).state(),
            State::Pending
        );
    }

    #[test]
    fn an_expired_page_token_asks_for_a_new_start() {
        let answered = |code| {
            let answer = kube::core::Status { code, ..kube::core::Status::failure("no", "") };
            status(&kube::Error::Api(Box::new(answer)))
        };
        assert_eq!(answered(410).code(), tonic::Code::InvalidArgument);
        assert_eq!(answered(410).message(), "the page token has expired; start again without one");
        assert_eq!(answered(400).message(), "no");
        assert_eq!(answered(500).code(), tonic::Code::Unavailable);
    }
}
