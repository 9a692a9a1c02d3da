//! What a request is answered with.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

use crate::curve::{Curve, Visitor};
use crate::route::Route;
use crate::workers::{Refused, Workers};

/// Marks the requests of kube-booster's sidecar.
const WARMUP_HEADER: &str = "x-warmup-request";
/// The curve is printed when so many requests were served.
const MILESTONES: [u32; 2] = [50, 500];

/// Hands requests to the workers and takes their times.
pub(crate) struct Front {
    workers: Workers,
    curve: Mutex<Curve>,
}

impl Front {
    pub(crate) fn new(workers: Workers) -> Self {
        Self { workers, curve: Mutex::default() }
    }

    /// `/ready` and `/latency` say nothing about the workers and are no part of the curve.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        }
        match request.uri().path() {
            "/ready" => text(StatusCode::OK, "ready\n"),
            "/latency" => text(StatusCode::OK, self.curve().to_string()),
            _ => match Route::parse(request.uri()) {
                Some(route) => self.measured(route, visitor(request.headers())).await,
                None => not_found(),
            },
        }
    }

    /// The curve so far.
    pub(crate) fn curve(&self) -> MutexGuard<'_, Curve> {
        self.curve.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn measured(&self, route: Route, visitor: Visitor) -> Response<Full<Bytes>> {
        let arrived = Instant::now();
        let number = self.curve().arrive();
        let answer = self.workers.page(route).await;
        if let Err(Refused) = answer {
            self.curve().refuse();
            return text(StatusCode::SERVICE_UNAVAILABLE, "too many requests wait\n");
        }
        let served = self.curve().record(number, visitor, arrived.elapsed());
        if MILESTONES.contains(&served) {
            print!("{}", self.curve());
        }
        answer.ok().flatten().map_or_else(not_found, html)
    }
}

fn visitor(headers: &HeaderMap) -> Visitor {
    match headers.get(WARMUP_HEADER).map(HeaderValue::as_bytes) {
        Some(b"true") => Visitor::Warmup,
        _ => Visitor::User,
    }
}

fn not_found() -> Response<Full<Bytes>> {
    text(StatusCode::NOT_FOUND, "no such page\n")
}

fn html(page: Bytes) -> Response<Full<Bytes>> {
    response(StatusCode::OK, "text/html; charset=utf-8", page)
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", body.into())
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::catalogue::generate;

    fn front() -> Front {
        Front::new(Workers::start(2, &generate(100).into()).unwrap())
    }

    async fn get(front: &Front, path: &str, warmup: &str) -> (u16, String) {
        let request = Request::get(path).header("X-Warmup-Request", warmup).body(()).unwrap();
        let response = front.answer(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_page_of_the_shop_is_served() {
        let front = front();
        for path in ["/", "/search?q=lamp", "/product/42", "/report", "/ready", "/latency"] {
            assert_eq!(get(&front, path, "false").await.0, 200, "{path}");
        }
        for path in ["/nothing", "/product/100", "/?page=0"] {
            assert_eq!(get(&front, path, "false").await.0, 404, "{path}");
        }
    }

    #[tokio::test]
    async fn only_reading_is_allowed() {
        let request = Request::post("/").body(()).unwrap();
        assert_eq!(front().answer(request).await.status(), 405);
    }

    #[tokio::test]
    async fn requests_of_the_warm_up_are_counted_apart_and_probes_not_at_all() {
        let front = front();
        for warmup in ["true", "true", "no"] {
            get(&front, "/report", warmup).await;
        }
        let (_, curve) = get(&front, "/latency", "").await;
        assert!(curve.starts_with("3 requests served, 0 refused; below: 2 warm-up, 1 of users\n"), "{curve}");
    }
}
