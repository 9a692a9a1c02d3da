//! `WarmupService`: for the sidecars.

use std::sync::Arc;

use proto::{
    report::{Report, one_line},
    v1::{
        BeginWarmupRequest, BeginWarmupResponse, Directive, Progress, SubmitReportRequest,
        SubmitReportResponse, warmup_service_server::WarmupService,
    },
};
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

use super::{
    super::metrics::Metrics,
    Call, Settled,
    callers::{Callers, Sidecar},
    door::caller,
    refusal::Refusal,
};
use crate::ground::warmups::{Begun, Recorded};

pub(super) struct Sidecars {
    callers: Arc<Callers>,
    calls: mpsc::Sender<Call>,
    metrics: Metrics,
}

impl Sidecars {
    pub(super) fn new(callers: Arc<Callers>, calls: mpsc::Sender<Call>, metrics: Metrics) -> Self {
        Self { callers, calls, metrics }
    }

    /// Hands a call over where there is room, and waits for its answer.
    async fn call<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Call) -> Result<T, Status> {
        let (answer, answered) = oneshot::channel();
        let handed_over = self.calls.try_send(make(answer));
        handed_over.map_err(|_| self.refuse(&Refusal::Busy("too many calls wait")))?;
        let unanswered = Refusal::NotYet("the pod is gone, or the control plane is stopping");
        answered.await.map_err(|_| self.refuse(&unanswered))
    }

    /// What a sidecar is told whose pod the watch does not know.
    async fn unknown(&self, sidecar: &Sidecar) -> Refusal {
        match self.callers.is_gone(sidecar).await {
            Ok(true) => Refusal::Gone,
            Ok(false) => Refusal::NotYet("the pod is not known as one that waits, or not yet"),
            Err(refusal) => refusal,
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Status {
        refusal.status(&self.metrics)
    }
}

#[tonic::async_trait]
impl WarmupService for Sidecars {
    async fn begin_warmup(
        &self,
        request: Request<BeginWarmupRequest>,
    ) -> Result<Response<BeginWarmupResponse>, Status> {
        let sidecar: Sidecar = caller(&request)?;
        let pod = sidecar.pod.clone();
        let message = request.into_inner();
        let waits = message.progress() == Progress::WaitingForApp;
        let waiting_for = waits.then(|| one_line(&message.message));
        let begun = self.call(|answer| Call::Begin { pod, waiting_for, answer }).await?;
        let directive = match begun {
            Begun::Park => Directive::Park,
            Begun::First(_) | Begun::Again => Directive::Proceed,
            Begun::Unknown => match self.unknown(&sidecar).await {
                gone @ Refusal::Gone => return Err(self.refuse(&gone)),
                // A watch that is behind must not keep the sidecar from its work.
                _ => Directive::Proceed,
            },
        };
        Ok(Response::new(BeginWarmupResponse { directive: directive.into() }))
    }

    async fn submit_report(
        &self,
        request: Request<SubmitReportRequest>,
    ) -> Result<Response<SubmitReportResponse>, Status> {
        let sidecar: Sidecar = caller(&request)?;
        let result = request
            .into_inner()
            .result
            .ok_or_else(|| Status::invalid_argument("the report has no result"))?;
        let report = Report::try_from(result).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let (pod, report) = (sidecar.pod.clone(), Box::new(report));
        let refusal = match self.call(|answer| Call::Report { pod, report, answer }).await? {
            Settled::Recorded => return Ok(Response::new(SubmitReportResponse { recorded: true })),
            Settled::NotRecorded => return Ok(Response::new(SubmitReportResponse { recorded: false })),
            Settled::Later(Recorded::Unknown) => self.unknown(&sidecar).await,
            Settled::Crowded(wait) => Refusal::Crowded(wait),
            Settled::Later(_) => Refusal::NotYet("the API server has not taken the report yet"),
        };
        Err(self.refuse(&refusal))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::StatusExt;

    use super::{
        super::{access::Access, issuer},
        *,
    };
    use crate::ground::observed::PodRef;

    #[tokio::test]
    async fn a_full_queue_asks_for_another_try_in_a_second() {
        let nowhere = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let (client, metrics) = (kube::Client::try_from(nowhere).unwrap(), Metrics::default());
        let access = Access::new(client.clone(), metrics.clone());
        let callers = Callers::new(access, issuer::keep(client).0, metrics.clone());
        let (calls, mut queue) = mpsc::channel(1);
        let sidecars = Sidecars::new(Arc::new(callers), calls, metrics);
        let begin = |answer| {
            let pod = PodRef { namespace: "shop".into(), name: "web-1".into(), uid: "u1".into() };
            Call::Begin { pod, waiting_for: None, answer }
        };
        let (first, second) = tokio::join!(sidecars.call(begin), async {
            let second = sidecars.call(begin).await;
            let Some(Call::Begin { answer, .. }) = queue.recv().await else { panic!("a call waits") };
            answer.send(Begun::Park).unwrap();
            second
        });
        assert_eq!(first.unwrap(), Begun::Park);
        let status = second.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        let pause = status.get_details_retry_info().and_then(|info| info.retry_delay);
        assert_eq!(pause, Some(std::time::Duration::from_secs(1)));
    }
}
