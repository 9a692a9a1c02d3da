//! Reviews that are decided at once: each takes a slot, or waits for one in a bounded queue, or is shed.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{extract::Request, response::Response};
use futures::future::BoxFuture;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tower::{Layer, Service};

use super::{
    bodies::is_own,
    deadline::Deadline,
    refusal::Refusal,
    tracking::{Tracking, Visit},
};
use crate::adapters::metrics::Metrics;

/// The longest wait for a slot: with the second after which a shed caller comes back, it fits twice into the 5 s that
/// our webhook configuration gives an API server in all.
const PATIENCE: Duration = Duration::from_secs(1);
/// Reviews that wait; at a millisecond each, which is more than a usual one takes, the last of them waits for 1 s.
const QUEUE: usize = 1_024;

/// A layer that lets a bounded number of reviews through at once, first come, first served.
#[derive(Debug, Clone)]
pub(super) struct Limiter {
    slots: Arc<Semaphore>,
    places: Arc<Semaphore>,
    metrics: Metrics,
    tracking: Option<Tracking>,
}

impl Limiter {
    pub(super) fn new(slots: usize, metrics: Metrics, tracking: Option<Tracking>) -> Self {
        let places = Arc::new(Semaphore::new(QUEUE));
        Self { slots: Arc::new(Semaphore::new(slots)), places, metrics, tracking }
    }

    /// A slot and how long it was waited for, or this alone where none is free in time; whoever gives up the wait
    /// leaves the queue.
    async fn slot(&self, deadline: Deadline) -> Result<(OwnedSemaphorePermit, Duration), Duration> {
        let patience = deadline.left(PATIENCE);
        if patience.is_zero() {
            return Err(Duration::ZERO);
        }
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok((slot, Duration::ZERO));
        }
        let _place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Duration::ZERO)?;
        let (_queued, since) = (self.metrics.queued(), Instant::now());
        match timeout(patience, Arc::clone(&self.slots).acquire_owned()).await {
            Ok(Ok(slot)) => Ok((slot, since.elapsed())),
            Ok(Err(_)) | Err(_) => Err(since.elapsed()),
        }
    }

    /// Has `inner` answer `request` once there is a slot, or sends it back.
    async fn answer<S>(
        self,
        mut inner: S,
        request: Request,
        mut visit: Option<Visit>,
    ) -> Result<Response, S::Error>
    where
        S: Service<Request, Response = Response>,
    {
        let deadline = request.extensions().get().copied();
        let deadline = deadline.unwrap_or_else(|| Deadline::of(request.uri(), Instant::now()));
        match self.slot(deadline).await {
            Ok((_slot, waited)) => {
                if let Some(visit) = &mut visit {
                    visit.started(waited);
                }
                let answer = inner.call(request).await?;
                if let Some(visit) = visit {
                    visit.answered(&answer);
                }
                Ok(answer)
            }
            Err(waited) => {
                let answer = Refusal::Overload.answer_after(waited, &self.metrics);
                if let Some(visit) = visit {
                    visit.shed(waited, &answer);
                }
                Ok(answer)
            }
        }
    }
}

impl<S> Layer<S> for Limiter {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { limiter: self.clone(), inner }
    }
}

/// A service behind a [`Limiter`].
#[derive(Debug, Clone)]
pub(super) struct Limited<S> {
    limiter: Limiter,
    inner: S,
}

impl<S> Service<Request> for Limited<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (limiter, waiting) = (self.limiter.clone(), self.inner.clone());
        // The one that was polled for readiness is the one to call.
        let inner = std::mem::replace(&mut self.inner, waiting);
        match limiter.tracking.clone().filter(|_| !is_own(request.headers())) {
            None => Box::pin(limiter.answer(inner, request, None)),
            Some(tracking) => {
                let visit = tracking.arrived();
                Box::pin(tracking.watch(limiter.answer(inner, request, Some(visit))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{
        body::Body,
        http::{StatusCode, header::RETRY_AFTER},
        response::IntoResponse,
    };
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    fn limited(
        slots: usize,
        work: Duration,
    ) -> (Metrics, impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone) {
        let metrics = Metrics::default();
        let inner = tower::service_fn(move |_: Request| async move {
            tokio::time::sleep(work).await;
            Ok::<_, Infallible>(StatusCode::OK.into_response())
        });
        (metrics.clone(), Limiter::new(slots, metrics, None).layer(inner))
    }

    fn review(uri: &str) -> Request {
        Request::post(uri).body(Body::empty()).unwrap()
    }

    fn is_in(metrics: &Metrics, line: &str) -> bool {
        metrics.encode().lines().any(|found| found == line)
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_to_come_back_in_a_second() {
        let (metrics, service) = limited(1, Duration::from_mins(1));
        let holder = tokio::spawn(service.clone().oneshot(review("/")));
        tokio::task::yield_now().await;
        let start = Instant::now();
        let answer = service.oneshot(review("/?timeout=5s")).await.unwrap();
        assert_eq!((start.elapsed(), answer.status()), (PATIENCE, StatusCode::TOO_MANY_REQUESTS));
        assert_eq!(answer.headers()[RETRY_AFTER], "1");
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "too many reviews at once; try again: waited 1000 ms, ran 0 ms\n");
        assert!(is_in(&metrics, "kube_booster_webhook_shed_total 1"));
        assert!(is_in(&metrics, "kube_booster_webhook_queue_length 0"));
        assert!(is_in(&metrics, "kube_booster_webhook_queue_wait_seconds_count 1"));
        holder.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_an_answer_that_would_come_too_late() {
        let (_, service) = limited(1, Duration::from_mins(1));
        let _holder = tokio::spawn(service.clone().oneshot(review("/")));
        tokio::task::yield_now().await;
        let start = Instant::now();
        let answer = service.clone().oneshot(review("/?timeout=1s")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(start.elapsed(), Duration::from_millis(500));
        assert_eq!(service.oneshot(review("/?timeout=500ms")).await.unwrap().status(), 429);
        assert_eq!(start.elapsed(), Duration::from_millis(500));
    }

    #[tokio::test(start_paused = true)]
    async fn slots_are_given_in_the_order_of_arrival() {
        let (_, service) = limited(2, Duration::from_millis(100));
        let start = Instant::now();
        let calls = (0..6).map(|_| {
            let service = service.clone();
            async move {
                service.oneshot(review("/")).await.unwrap();
                start.elapsed().as_millis()
            }
        });
        let ends = futures::future::join_all(calls).await;
        assert_eq!(ends, [100, 100, 200, 200, 300, 300]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_is_gone_leaves_the_queue_and_its_slot() {
        let (metrics, service) = limited(1, Duration::from_mins(1));
        let calls: Vec<_> = (0..3).map(|_| tokio::spawn(service.clone().oneshot(review("/")))).collect();
        tokio::task::yield_now().await;
        assert!(is_in(&metrics, "kube_booster_webhook_queue_length 2"));
        for call in calls {
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
        }
        assert!(is_in(&metrics, "kube_booster_webhook_queue_length 0"));
        let start = Instant::now();
        assert_eq!(service.oneshot(review("/")).await.unwrap().status(), StatusCode::OK);
        assert_eq!(start.elapsed(), Duration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_sheds_at_once() {
        let (metrics, service) = limited(1, Duration::from_mins(1));
        let _calls: Vec<_> =
            (0..=QUEUE).map(|_| tokio::spawn(service.clone().oneshot(review("/")))).collect();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let start = Instant::now();
        assert_eq!(service.oneshot(review("/")).await.unwrap().status(), 429);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(is_in(&metrics, "kube_booster_webhook_shed_total 1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_gives_its_slot_back() {
        let inner = tower::service_fn(|request: Request| async move {
            assert!(request.uri().path() != "/panic", "on purpose");
            Ok::<_, Infallible>(StatusCode::OK.into_response())
        });
        let service = Limiter::new(1, Metrics::default(), None).layer(inner);
        assert!(tokio::spawn(service.clone().oneshot(review("/panic"))).await.is_err());
        let answer = timeout(PATIENCE, service.oneshot(review("/"))).await;
        assert_eq!(answer.unwrap().unwrap().status(), StatusCode::OK);
    }
}
