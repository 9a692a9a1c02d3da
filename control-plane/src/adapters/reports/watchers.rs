//! `WatchReports`: one metadata-only watch of the API server's for each stream, so that every replica can answer.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures::{Stream, StreamExt, stream::poll_fn};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    core::PartialObjectMeta,
    runtime::watcher::{self, Event, watcher},
};
use proto::{
    names,
    v1::{SnapshotComplete, WatchReportsResponse, watch_reports_response::Event as Told},
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::debug;

use super::{
    super::metrics::Metrics,
    access::{Access, Person},
    deadline::Asked,
    people::{pod_reference, report},
    refusal::Refusal,
};
use crate::ground::{seen::Seen, token};

/// Streams at once, each with a watch and at most `BUFFER` reports of 2 KiB.
const MAX_WATCHERS: usize = 64;
const BUFFER: usize = 64;
/// For a reader that takes nothing.
const SLOWEST: Duration = Duration::from_secs(10);
/// Between two looks at token and right.
const REVIEW: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_hours(1);
/// Pods of one page of the snapshot.
const PAGE: u32 = 500;

type Message = Result<WatchReportsResponse, Status>;

/// What a caller hears.
pub(super) type Reports = Pin<Box<dyn Stream<Item = Message> + Send>>;

/// Which pods a caller asks for.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    /// Empty: all
    pub(super) namespace: String,
    pub(super) labels: String,
}

/// All streams of reports.
pub(super) struct Watchers {
    client: Client,
    access: Access,
    metrics: Metrics,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Watchers {
    pub(super) fn new(client: Client, access: Access, metrics: Metrics, stop: CancellationToken) -> Self {
        Self { client, access, metrics, places: Arc::new(Semaphore::new(MAX_WATCHERS)), stop }
    }

    /// A stream for `person`, who may watch `selection`.
    pub(super) fn watch(
        &self,
        person: Person,
        selection: Selection,
        asked: Asked,
    ) -> Result<Reports, Refusal> {
        let full = Refusal::Busy("too many callers watch");
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| full.clone())?;
        // One more than the buffer: why the stream ends can always be said.
        let (messages, mut received) = mpsc::channel(BUFFER + 1);
        let last = messages.clone().try_reserve_owned().map_err(|_| full)?;
        let (watching, stop, client) =
            (self.metrics.report_watcher(), self.stop.clone(), self.client.clone());
        let watcher = Watcher { access: self.access.clone(), person, selection, messages };
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = watcher.forward(client) => ended,
                ended = watcher.stay_authorized() => ended,
                ended = watcher.end(asked) => ended,
                () = watcher.messages.closed() => Status::cancelled("nobody listens"),
                () = stop.cancelled() => Status::unavailable("the control plane is stopping; start again"),
            };
            debug!(%ended, "a watch of reports ended");
            last.send(Err(ended));
        });
        // What is held for a caller that reads nothing counts until the caller is gone.
        let held = (place, watching);
        Ok(Box::pin(poll_fn(move |context| {
            let _ = &held;
            received.poll_recv(context)
        })))
    }
}

/// One stream.
struct Watcher {
    access: Access,
    person: Person,
    selection: Selection,
    messages: mpsc::Sender<Message>,
}

impl Watcher {
    /// Tells what the API server tells. Returns why that ended.
    async fn forward(&self, client: Client) -> Status {
        let pods: Api<PartialObjectMeta<Pod>> = match self.selection.namespace.as_str() {
            "" => Api::all(client),
            namespace => Api::namespaced(client, namespace),
        };
        let config = watcher::Config::default().labels(&self.selection.labels).page_size(PAGE);
        let mut events = pin!(watcher(pods, config));
        let (mut seen, mut is_complete) = (Seen::default(), false);
        while let Some(event) = events.next().await {
            let told = match event {
                // A list that begins anew does not say what has gone since.
                Ok(Event::Init) if is_complete => return start_again(),
                Ok(Event::Init) => None,
                Ok(Event::InitDone) => {
                    is_complete = true;
                    Some(Told::SnapshotComplete(SnapshotComplete {}))
                }
                Ok(Event::InitApply(pod) | Event::Apply(pod)) => news(&mut seen, &pod),
                Ok(Event::Delete(pod)) => {
                    seen.forget(pod.metadata.uid.as_deref().unwrap_or_default());
                    Some(Told::Gone(pod_reference(&pod.metadata)))
                }
                Err(error) => return self.failed(&error),
            };
            let Some(told) = told else { continue };
            if self.tell(told).await.is_err() {
                return self.access.status(&Refusal::Slow);
            }
        }
        start_again()
    }

    /// Waits for room, but not for long.
    async fn tell(&self, told: Told) -> Result<(), tokio::time::error::Elapsed> {
        let message = Ok(WatchReportsResponse { event: Some(told) });
        // Where nobody listens any more, the stream ends by itself.
        timeout(SLOWEST, self.messages.send(message)).await.map(|_| ())
    }

    fn failed(&self, error: &watcher::Error) -> Status {
        match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 400 => {
                Status::invalid_argument(status.message.clone())
            }
            watcher::Error::WatchError(_) => start_again(),
            error => {
                debug!(%error, "a watch of pods for a caller was interrupted");
                self.access.status(&Refusal::Unanswered)
            }
        }
    }

    /// Returns once the API server says that token or right are no more.
    async fn stay_authorized(&self) -> Status {
        loop {
            sleep(REVIEW).await;
            let reviewed = async {
                let user = self.access.authenticate(&self.person.token).await?;
                self.access.authorize(&user, "watch", &self.selection.namespace, "").await
            };
            match reviewed.await {
                Ok(()) | Err(Refusal::Unanswered | Refusal::Busy(_)) => {}
                Err(refusal) => return self.access.status(&refusal),
            }
        }
    }

    /// Returns when the stream's time is over.
    async fn end(&self, Asked(asked): Asked) -> Status {
        let now = Instant::now();
        let left = token::expiry(&self.person.token).map(|expiry| {
            now + Duration::try_from(expiry.duration_since(Timestamp::now())).unwrap_or_default()
        });
        let first = left.into_iter().chain(asked).fold(now + LONGEST, Instant::min);
        sleep_until(first).await;
        if left == Some(first) {
            return self.access.status(&Refusal::Token(token::Refusal::Expired));
        }
        if asked == Some(first) { Status::deadline_exceeded("the watch has ended") } else { start_again() }
    }
}

/// The pod's report, where it is another one than before.
fn news(seen: &mut Seen, pod: &PartialObjectMeta<Pod>) -> Option<Told> {
    let metadata = &pod.metadata;
    let annotation = metadata.annotations.as_ref().and_then(|all| all.get(names::REPORT_ANNOTATION));
    let uid = metadata.uid.as_deref().unwrap_or_default();
    seen.is_new(uid, annotation.map_or("", String::as_str)).then(|| Told::Report(report(metadata)))
}

fn start_again() -> Status {
    Status::aborted("the watch has ended; start again, with a snapshot")
}
