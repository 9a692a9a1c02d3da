//! Why a call is turned away.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::super::metrics::Metrics;
use crate::ground::token;

/// Before callers try again; sidecars add jitter.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The longest pause that sidecars keep.
const LONGEST: Duration = Duration::from_mins(1);

/// A reason, with what its caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No bearer token.
    NoToken,
    /// The cluster's keys say so.
    Token(token::Refusal),
    /// The API server's review says so.
    Invalid,
    /// The token is good, and its pod is not there any more.
    Gone,
    /// The user lacks the right.
    Forbidden(String),
    /// Calls come faster than they may.
    TooFast(Duration),
    /// As many as may wait at once do: for the gatekeeper, a review, or a place to watch from.
    Busy(&'static str),
    /// The pod's gate opens in about this long, and as many as may wait for that do.
    Crowded(Duration),
    /// The watch is behind, or the API server has not taken the report.
    NotYet(&'static str),
    /// The API server does not answer.
    Unanswered,
    /// A watcher does not take what it asked for.
    Slow,
}

impl Refusal {
    /// What the caller is told; counted.
    pub(super) fn status(&self, metrics: &Metrics) -> Status {
        metrics.call_refused(self.label());
        match self {
            Self::NoToken => Status::unauthenticated(
                "the call needs `authorization: Bearer TOKEN`; make one with \
                 `kubectl create token NAME --audience kube-booster.io`",
            ),
            Self::Token(refusal @ token::Refusal::NoPod) => Status::permission_denied(refusal.to_string()),
            Self::Token(refusal) => Status::unauthenticated(refusal.to_string()),
            Self::Invalid => Status::unauthenticated(
                "the token is not valid for audience kube-booster.io (kubectl create token NAME --audience \
                 kube-booster.io), has expired, or its pod is gone",
            ),
            Self::Gone => Status::not_found("the pod of the token is gone"),
            Self::Forbidden(why) => Status::permission_denied(why),
            Self::TooFast(wait) => {
                later(Code::ResourceExhausted, "calls of this pod come too fast", (*wait).max(RETRY_AFTER))
            }
            Self::Busy(what) => later(Code::Unavailable, what, RETRY_AFTER),
            Self::NotYet(why) => later(Code::Unavailable, why, RETRY_AFTER),
            Self::Crowded(wait) => {
                let why = "many openings wait for the API server; this pod's comes in its turn";
                later(Code::Unavailable, why, (*wait).clamp(RETRY_AFTER, LONGEST))
            }
            Self::Slow => Status::resource_exhausted(
                "the changes are not taken fast enough; start again, with a snapshot",
            ),
            Self::Unanswered => unanswered(),
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::Token(refusal) => refusal.label(),
            Self::Invalid => "invalid",
            Self::Gone => "pod_gone",
            Self::Forbidden(_) => "forbidden",
            Self::TooFast(_) => "too_fast",
            Self::Busy(_) => "busy",
            Self::NotYet(_) => "not_yet",
            Self::Crowded(_) => "crowded",
            Self::Unanswered => "api_server",
            Self::Slow => "slow_watcher",
        }
    }
}

/// What a caller is told for whom the API server does not answer.
pub(super) fn unanswered() -> Status {
    later(Code::Unavailable, "the API server does not answer; try again", RETRY_AFTER)
}

fn later(code: Code, why: &str, after: Duration) -> Status {
    Status::with_error_details(code, why, ErrorDetails::with_retry_info(Some(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_asks_for_a_pause_and_what_does_not_asks_for_none() {
        let metrics = Metrics::default();
        let pause = |refusal: Refusal| {
            let status = refusal.status(&metrics);
            (status.code(), status.get_details_retry_info().and_then(|info| info.retry_delay))
        };
        let second = Some(Duration::from_secs(1));
        assert_eq!(pause(Refusal::Busy("full")), (Code::Unavailable, second));
        assert_eq!(pause(Refusal::NotYet("behind")), (Code::Unavailable, second));
        assert_eq!(pause(Refusal::Unanswered), (Code::Unavailable, second));
        let long = Duration::from_secs(3);
        assert_eq!(pause(Refusal::TooFast(long)), (Code::ResourceExhausted, Some(long)));
        assert_eq!(pause(Refusal::Crowded(long)), (Code::Unavailable, Some(long)));
        assert_eq!(pause(Refusal::Crowded(Duration::ZERO)), (Code::Unavailable, second));
        assert_eq!(pause(Refusal::Crowded(60 * LONGEST)), (Code::Unavailable, Some(LONGEST)));
        assert_eq!(pause(Refusal::Gone), (Code::NotFound, None));
        assert_eq!(pause(Refusal::Token(token::Refusal::Expired)), (Code::Unauthenticated, None));
        assert_eq!(pause(Refusal::Token(token::Refusal::NoPod)), (Code::PermissionDenied, None));
        let counted = metrics.encode();
        let line = r#"kube_booster_report_calls_refused_total{reason="busy"} 1"#;
        assert!(counted.lines().any(|found| found == line), "{counted}");
    }
}
