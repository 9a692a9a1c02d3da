//! `WarmupService`: for the sidecars.

use std::time::Duration;

use proto::{
    report::{Report, one_line},
    v1::{
        BeginWarmupRequest, BeginWarmupResponse, Directive, Progress, SubmitReportRequest,
        SubmitReportResponse, warmup_service_server::WarmupService,
    },
};
use tokio::sync::{mpsc, oneshot};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{Access, Call, Settled};
use crate::ground::{
    observed::PodRef,
    warmups::{Begun, Recorded},
};

/// Before sidecars try again; they add jitter.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Sidecars {
    access: Access,
    calls: mpsc::Sender<Call>,
}

impl Sidecars {
    pub(super) fn new(access: Access, calls: mpsc::Sender<Call>) -> Self {
        Self { access, calls }
    }

    async fn pod<T>(&self, request: &Request<T>) -> Result<PodRef, Status> {
        let user = self.access.authenticate(request.metadata()).await?;
        user.pod().ok_or_else(|| {
            Status::permission_denied("the token is bound to no pod; only the injected sidecar may report")
        })
    }

    /// Hands a call over where there is room, and waits for its answer.
    async fn call<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Call) -> Result<T, Status> {
        let (answer, answered) = oneshot::channel();
        self.calls.try_send(make(answer)).map_err(|_| later("too many calls wait"))?;
        answered.await.map_err(|_| later("the pod is gone, or the control plane is stopping"))
    }
}

fn later(why: &str) -> Status {
    Status::with_error_details(Code::Unavailable, why, ErrorDetails::with_retry_info(Some(RETRY_AFTER)))
}

#[tonic::async_trait]
impl WarmupService for Sidecars {
    async fn begin_warmup(
        &self,
        request: Request<BeginWarmupRequest>,
    ) -> Result<Response<BeginWarmupResponse>, Status> {
        let pod = self.pod(&request).await?;
        let message = request.into_inner();
        let waits = message.progress() == Progress::WaitingForApp;
        let waiting_for = waits.then(|| one_line(&message.message));
        let begun = self.call(|answer| Call::Begin { pod, waiting_for, answer }).await?;
        let directive = match begun {
            Begun::Park => Directive::Park,
            // A watch that is behind must not keep the sidecar from its work.
            Begun::First(_) | Begun::Again | Begun::Unknown => Directive::Proceed,
        };
        Ok(Response::new(BeginWarmupResponse { directive: directive.into() }))
    }

    async fn submit_report(
        &self,
        request: Request<SubmitReportRequest>,
    ) -> Result<Response<SubmitReportResponse>, Status> {
        let pod = self.pod(&request).await?;
        let result = request
            .into_inner()
            .result
            .ok_or_else(|| Status::invalid_argument("the report has no result"))?;
        let report = Report::try_from(result).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let report = Box::new(report);
        match self.call(|answer| Call::Report { pod, report, answer }).await? {
            Settled::Recorded => Ok(Response::new(SubmitReportResponse { recorded: true })),
            Settled::NotRecorded => Ok(Response::new(SubmitReportResponse { recorded: false })),
            Settled::Later(Recorded::Unknown) => {
                Err(later("the pod is not known as one that waits, or not yet"))
            }
            Settled::Later(_) => Err(later("the API server has not taken the report yet")),
        }
    }
}
