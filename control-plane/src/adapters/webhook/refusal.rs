//! Requests that get no review: under `failurePolicy: Ignore` any status but 2xx lets the pod through.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};

use crate::adapters::metrics::Metrics;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("too many reviews at once; try again")]
    Overload,
    #[error("a review is application/json")]
    MediaType,
    #[error("a review has 3 MiB at most")]
    TooLarge,
    #[error("the review did not come in time")]
    SlowBody,
    #[error("the review broke off")]
    BrokenBody,
    #[error("not an AdmissionReview")]
    NotReview,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            // It may be we who are slow.
            Self::Overload | Self::SlowBody => StatusCode::TOO_MANY_REQUESTS,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BrokenBody | Self::NotReview => StatusCode::BAD_REQUEST,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::MediaType => "media_type",
            Self::TooLarge => "too_large",
            Self::SlowBody => "slow_body",
            Self::BrokenBody => "broken_body",
            Self::NotReview => "not_a_review",
        }
    }

    /// What is sent back before its turn says so.
    fn text(self, waited: Duration) -> String {
        match self.status() {
            StatusCode::TOO_MANY_REQUESTS => {
                format!("{self}: waited {} ms, ran 0 ms\n", waited.as_millis())
            }
            _ => format!("{self}\n"),
        }
    }

    /// The answer, counted.
    pub(super) fn answer(self, metrics: &Metrics) -> Response {
        self.answer_after(Duration::ZERO, metrics)
    }

    /// The answer to a request that has `waited`, for its body or for a slot, counted. A 429 tells the API server to
    /// come back in a second; it does, within its timeout.
    pub(super) fn answer_after(self, waited: Duration, metrics: &Metrics) -> Response {
        let mut response = (self.status(), self.text(waited)).into_response();
        if self.status() == StatusCode::TOO_MANY_REQUESTS {
            metrics.count_shed();
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self != Self::Overload {
            metrics.count_refused(self.label());
        }
        response
    }
}
