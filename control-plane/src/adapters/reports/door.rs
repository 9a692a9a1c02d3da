//! The door of a service: who calls is known, by the headers alone, before anything of the message is read.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use tokio::time::{Instant, timeout_at};
use tonic::{Status, body::Body, server::NamedService};
use tower::{Service, ServiceExt};

use super::deadline::Asked;

/// Tells callers from their headers.
pub(super) trait Identify: Send + Sync + 'static {
    /// What the service finds in the request's extensions.
    type Caller: Clone + Send + Sync + 'static;

    fn identify(&self, headers: &HeaderMap) -> impl Future<Output = Result<Self::Caller, Status>> + Send;
}

/// A service behind its door.
pub(super) struct Door<S, I> {
    service: S,
    identify: Arc<I>,
}

impl<S, I> Door<S, I> {
    pub(super) fn before(service: S, identify: Arc<I>) -> Self {
        Self { service, identify }
    }
}

impl<S: Clone, I> Clone for Door<S, I> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), identify: Arc::clone(&self.identify) }
    }
}

impl<S: NamedService, I> NamedService for Door<S, I> {
    const NAME: &'static str = S::NAME;
}

impl<S, I> Service<Request<Body>> for Door<S, I>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    I: Identify,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Self { service, identify } = self.clone();
        async move {
            let now = Instant::now();
            let asked = Asked::read(request.headers(), now);
            let answer = async {
                match identify.identify(request.headers()).await {
                    Ok(caller) => {
                        request.extensions_mut().insert(caller);
                        request.extensions_mut().insert(asked);
                        service.oneshot(request).await
                    }
                    Err(status) => Ok(status.into_http()),
                }
            };
            let late = || Ok(Status::deadline_exceeded("not answered in time").into_http());
            timeout_at(asked.answer(now), answer).await.unwrap_or_else(|_| late())
        }
        .boxed()
    }
}

/// The caller that the door has let in.
pub(super) fn caller<C: Clone + Send + Sync + 'static, T>(request: &tonic::Request<T>) -> Result<C, Status> {
    request.extensions().get().cloned().ok_or_else(|| Status::internal("the service is open without a door"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic::Code;
    use tower::service_fn;

    use super::*;

    /// Lets everybody in who says so.
    struct Polite;

    impl Identify for Polite {
        type Caller = &'static str;

        async fn identify(&self, headers: &HeaderMap) -> Result<&'static str, Status> {
            if headers.contains_key("please") { Ok("guest") } else { Err(Status::unauthenticated("please?")) }
        }
    }

    async fn answer(headers: &[(&str, &str)], takes: Duration) -> (Option<Code>, Option<&'static str>) {
        let service = service_fn(move |request: Request<Body>| async move {
            tokio::time::sleep(takes).await;
            let mut response = Response::new(Body::empty());
            response.extensions_mut().extend(request.extensions().clone());
            Ok(response)
        });
        // A body that never comes: whoever reads it waits for ever.
        let never = futures::stream::pending::<Result<bytes::Bytes, Status>>();
        let mut request = Request::new(Body::new(axum::body::Body::from_stream(never)));
        for (name, value) in headers {
            request.headers_mut().insert(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        let response = Door::before(service, Arc::new(Polite)).oneshot(request).await.unwrap();
        let code = Status::from_header_map(response.headers()).map(|status| status.code());
        (code, response.extensions().get().copied())
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_call_is_answered_without_a_look_at_its_message() {
        assert_eq!(answer(&[], Duration::ZERO).await, (Some(Code::Unauthenticated), None));
        assert_eq!(answer(&[("please", "1")], Duration::ZERO).await, (None, Some("guest")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_over_at_its_deadline() {
        let (start, headers) = (Instant::now(), [("please", "1"), ("grpc-timeout", "2S")]);
        assert_eq!(answer(&headers, Duration::from_hours(1)).await.0, Some(Code::DeadlineExceeded));
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }
}
