//! Bodies of reviews: read whole before anything waits for them, in a bounded time and a bounded sum of bytes.

mod budget;
mod readers;

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{
        HeaderMap,
        header::{CONTENT_TYPE, USER_AGENT},
    },
    middleware::Next,
    response::Response,
};
use bytes::BytesMut;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout};

use self::{
    budget::{Budget, Claim},
    readers::Readers,
};
use super::{SELF_CHECK, deadline::Deadline, refusal::Refusal};
use crate::adapters::metrics::Metrics;

/// etcd takes objects of 1.5 MiB by default; a review holds one twice at most.
pub(super) const MAX_BODY: usize = 3 << 20;
/// For a whole body: 3 MiB take 25 ms at 1 Gbit/s.
const BODY_TIME: Duration = Duration::from_secs(2);

/// What bodies may take together.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    budget: Budget,
    readers: Readers,
    metrics: Metrics,
}

impl Bodies {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { budget: Budget::default(), readers: Readers::default(), metrics }
    }

    async fn read(&self, body: Body, deadline: Deadline) -> Result<(Bytes, Claim), Refusal> {
        let reader = self.readers.enter();
        tokio::select! {
            biased;
            read = timeout(deadline.left(BODY_TIME), self.collect(body)) => {
                read.unwrap_or(Err(Refusal::SlowBody))
            }
            () = reader.given_up() => Err(Refusal::SlowBody),
        }
    }

    async fn collect(&self, mut body: Body) -> Result<(Bytes, Claim), Refusal> {
        if axum::body::HttpBody::size_hint(&body).lower() > MAX_BODY as u64 {
            return Err(Refusal::TooLarge);
        }
        let (mut whole, mut claim) = (BytesMut::new(), Claim::default());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Refusal::BrokenBody)?.into_data() else { continue };
            if whole.len() + data.len() > MAX_BODY {
                return Err(Refusal::TooLarge);
            }
            self.budget.grow(&mut claim, whole.len(), data.len()).ok_or(Refusal::Overload)?;
            whole.extend_from_slice(&data);
        }
        Ok((whole.freeze(), claim))
    }
}

/// Hands the request on with its whole body and its deadline.
pub(super) async fn whole(State(bodies): State<Bodies>, request: Request, next: Next) -> Response {
    let arrived = Instant::now();
    let deadline = Deadline::of(request.uri(), arrived);
    if !is_json(request.headers()) {
        return Refusal::MediaType.answer(&bodies.metrics);
    }
    let (mut parts, body) = request.into_parts();
    match bodies.read(body, deadline).await {
        Ok((bytes, _claim)) => {
            let _review = (!is_own(&parts.headers)).then(|| bodies.metrics.review());
            parts.extensions.insert(deadline);
            next.run(Request::from_parts(parts, Body::from(bytes))).await
        }
        Err(refusal) => refusal.answer_after(arrived.elapsed(), &bodies.metrics),
    }
}

/// Whether our own check of the webhook asks.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    headers.get(USER_AGENT).is_some_and(|agent| agent == SELF_CHECK)
}

/// The API server's reviews are.
fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, iter};

    use axum::http::HeaderValue;
    use futures::{StreamExt, stream};

    use super::*;

    fn patient() -> Deadline {
        Deadline(Instant::now() + Duration::from_secs(9))
    }

    fn pieces(size: usize, count: usize, pause: Duration) -> Body {
        let pieces = stream::iter(iter::repeat_n(Bytes::from(vec![b' '; size]), count));
        Body::from_stream(pieces.then(move |piece| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, Infallible>(piece)
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_in_is_given_up() {
        let (bodies, start) = (Bodies::new(Metrics::default()), Instant::now());
        let trickling = || pieces(1, 1_000, Duration::from_millis(100));
        assert_eq!(bodies.read(trickling(), patient()).await.unwrap_err(), Refusal::SlowBody);
        assert_eq!(start.elapsed(), BODY_TIME);
        let hurried = Deadline(Instant::now() + Duration::from_millis(700));
        assert_eq!(bodies.read(trickling(), hurried).await.unwrap_err(), Refusal::SlowBody);
        assert_eq!(start.elapsed(), BODY_TIME + Duration::from_millis(700));
        let answer = Refusal::SlowBody.answer(&bodies.metrics);
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (429, &HeaderValue::from_static("1"))
        );
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused_by_its_length_or_once_it_is() {
        let bodies = Bodies::new(Metrics::default());
        let known = Body::from(vec![b' '; MAX_BODY + 1]);
        assert_eq!(bodies.read(known, patient()).await.unwrap_err(), Refusal::TooLarge);
        let unknown = pieces(1 << 20, 4, Duration::ZERO);
        assert_eq!(bodies.read(unknown, patient()).await.unwrap_err(), Refusal::TooLarge);
        let (bytes, _) = bodies.read(pieces(1 << 20, 3, Duration::ZERO), patient()).await.unwrap();
        assert_eq!(bytes.len(), MAX_BODY);
    }

    #[tokio::test]
    async fn giant_bodies_are_shed_when_they_are_too_much_together_and_usual_ones_are_not() {
        let bodies = Bodies::new(Metrics::default());
        let mut held = Vec::new();
        let refusal = loop {
            match bodies.read(Body::from(vec![b' '; MAX_BODY]), patient()).await {
                Ok(read) => held.push(read),
                Err(refusal) => break refusal,
            }
        };
        assert_eq!(refusal, Refusal::Overload);
        assert_eq!(held.len(), 4);
        assert!(bodies.read(Body::from(vec![b' '; 10_000]), patient()).await.is_ok());
        held.pop();
        assert!(bodies.read(Body::from(vec![b' '; MAX_BODY]), patient()).await.is_ok());
    }

    #[test]
    fn json_is_recognized() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/jsonp", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_json(&headers), expected, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
