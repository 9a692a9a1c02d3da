use std::{convert::Infallible, io};

use axum::{body::Body, extract::Request, http::StatusCode, response::IntoResponse};
use tower::{Layer, Service, ServiceExt};
use tracing_subscriber::fmt::MakeWriter;

use super::{super::limiter::Limiter, *};
use crate::{adapters::webhook::SELF_CHECK, ground::performance::Snapshot};

const WINDOW: Duration = Duration::from_mins(1);

struct Scene {
    tracker: Arc<Tracker>,
    metrics: Metrics,
    tasks: TaskMonitor,
    tracking: Tracking,
}

impl Scene {
    fn new(slots: usize, slow: Duration) -> Self {
        let tracker = Arc::new(Tracker::new(slots, WINDOW, Instant::now().into_std()));
        let (metrics, tasks) = (Metrics::default(), TaskMonitor::new());
        let tracking = Tracking::new(Arc::clone(&tracker), tasks.clone(), slow, metrics.clone());
        Self { tracker, metrics, tasks, tracking }
    }

    /// Reviews that take `work`, one at a time, and tell what they were.
    fn limited(
        &self,
        work: Duration,
    ) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + use<> {
        let inner = tower::service_fn(move |_: Request| async move {
            tokio::time::sleep(work).await;
            let mut answer = "secret".into_response();
            let parts = Parts { decide: work, ..Parts::default() };
            answer.extensions_mut().insert(Course { namespace: "shop".into(), uid: "u1".into(), parts });
            Ok::<_, Infallible>(answer)
        });
        Limiter::new(1, self.metrics.clone(), Some(self.tracking.clone())).layer(inner)
    }

    fn snapshot(&self) -> Snapshot {
        self.tracker.snapshot(Instant::now().into_std())
    }
}

fn review() -> Request {
    Request::post("/?timeout=5s").body(Body::from("secret")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_review_is_told_of_with_its_wait_and_its_parts() {
    let scene = Scene::new(1, WINDOW);
    let work = Duration::from_millis(400);
    let service = scene.limited(work);
    let calls = (0..3).map(|_| service.clone().oneshot(review()));
    let statuses = futures::future::join_all(calls).await.into_iter().map(|answer| answer.unwrap().status());
    assert!(statuses.into_iter().all(|status| status == StatusCode::OK));
    let Snapshot { window, waiting, running, .. } = scene.snapshot();
    assert_eq!((waiting, running, window.answered, window.shed), (0, 0, 3, 0));
    let durations = window.durations.unwrap();
    assert!((durations.min_seconds, durations.max_seconds) == (0.4, 1.2), "{durations:?}");
    assert!((durations.average_decide_seconds - 0.4).abs() < 1e-9);
    assert_eq!(window.queue.waited, 2);
    assert!((window.queue.max_wait_seconds - 0.8).abs() < 1e-9);
    assert!((window.saturation_ratio - 1.0).abs() < 1e-9, "the only slot was always taken");
    assert_eq!(scene.tasks.cumulative().instrumented_count, 3);
}

#[tokio::test(start_paused = true)]
async fn a_review_that_is_shed_and_one_whose_caller_is_gone_leave_nothing_behind() {
    let scene = Scene::new(1, WINDOW);
    let service = scene.limited(Duration::from_secs(30));
    let holder = tokio::spawn(service.clone().oneshot(review()));
    tokio::task::yield_now().await;
    let waiting = tokio::spawn(service.clone().oneshot(review()));
    tokio::task::yield_now().await;
    let there = scene.snapshot();
    assert_eq!((there.waiting, there.running), (1, 1));
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    let shed = service.oneshot(review()).await.unwrap();
    assert_eq!(shed.status(), StatusCode::TOO_MANY_REQUESTS);
    holder.abort();
    assert!(holder.await.unwrap_err().is_cancelled());
    let left = scene.snapshot();
    assert_eq!((left.waiting, left.running, left.window.shed, left.window.abandoned), (0, 0, 1, 2));
    assert_eq!(scene.tasks.cumulative().dropped_count, 3);
}

#[tokio::test(start_paused = true)]
async fn our_own_check_is_not_told_of() {
    let scene = Scene::new(1, WINDOW);
    let mut own = review();
    own.headers_mut().insert("user-agent", SELF_CHECK.parse().unwrap());
    scene.limited(Duration::ZERO).oneshot(own).await.unwrap();
    assert_eq!(scene.snapshot().since_start.requests, 0);
}

/// What is logged meanwhile.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'l> MakeWriter<'l> for Log {
    type Writer = Self;

    fn make_writer(&'l self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn slow_reviews_are_logged_with_their_parts_and_without_bodies_at_a_pace() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let scene = Scene::new(1, Duration::from_millis(10));
    let (slow, fast) = (scene.limited(Duration::from_millis(11)), scene.limited(Duration::from_millis(9)));
    for _ in 0..50 {
        slow.clone().oneshot(review()).await.unwrap();
        fast.clone().oneshot(review()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    slow.oneshot(review()).await.unwrap();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Ten at once, and the one after the pause.
    assert_eq!(lines.len(), 11, "{text}");
    let last = &lines[10];
    assert_eq!(
        (&last["uid"], &last["namespace"], &last["status"]),
        (&"u1".into(), &"shop".into(), &200.into())
    );
    assert_eq!((&last["decide_seconds"], &last["others_not_logged"]), (&0.011.into(), &40.into()));
    assert!(!text.contains("secret"), "{text}");
    assert!(scene.metrics.encode().contains("kube_booster_webhook_slow_reviews_total 51"));
}
