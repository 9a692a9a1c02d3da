//! What an answer of the control plane means for the report.

use std::time::Duration;

use prost::Message;

/// Pause before a try that most likely fails again.
const SLOW: Duration = Duration::from_secs(10);
/// Longest pause that the control plane can ask for.
const LONGEST: Duration = Duration::from_mins(1);
/// Refusals in a row after which nothing is tried any more.
const MAX_REFUSALS: u32 = 3;

/// What to do after a failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Try again, after the next pause of the backoff.
    Retry,
    /// Try again after this long.
    RetryAfter(Duration),
    /// It will not be taken, however often we try.
    GiveUp,
}

/// Judges the tries of one report.
#[derive(Debug, Default)]
pub(super) struct Judge {
    refusals: u32,
}

impl Judge {
    /// Judges a failed try. A refusal (the report or the pod is not wanted) may come from a control plane in the middle
    /// of its own update: it is tried again, slowly, three times in all.
    pub(super) fn judge(&mut self, code: tonic::Code, details: &[u8]) -> Verdict {
        use tonic::Code;
        match code {
            Code::InvalidArgument
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::AlreadyExists
            | Code::OutOfRange
            | Code::Unimplemented => {
                self.refusals += 1;
                if self.refusals < MAX_REFUSALS { Verdict::RetryAfter(SLOW) } else { Verdict::GiveUp }
            }
            _ => {
                self.refusals = 0;
                asked_pause(details).map_or(Verdict::Retry, |pause| Verdict::RetryAfter(pause.min(LONGEST)))
            }
        }
    }
}

/// The pause that a `google.rpc.RetryInfo` in a status asks for.
fn asked_pause(details: &[u8]) -> Option<Duration> {
    let status = rpc::Status::decode(details).ok()?;
    let info = status.details.iter().find(|detail| detail.type_url == rpc::RETRY_INFO)?;
    rpc::RetryInfo::decode(&*info.value).ok()?.retry_delay?.try_into().ok()
}

/// The two messages of `google/rpc` that we read; only their fields that matter.
mod rpc {
    pub(super) const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Status {
        #[prost(message, repeated, tag = "3")]
        pub(super) details: Vec<prost_types::Any>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        pub(super) retry_delay: Option<prost_types::Duration>,
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn asking(pause: Duration) -> Vec<u8> {
        let info = rpc::RetryInfo { retry_delay: pause.try_into().ok() };
        let detail = prost_types::Any { type_url: rpc::RETRY_INFO.to_owned(), value: info.encode_to_vec() };
        rpc::Status { details: vec![detail] }.encode_to_vec()
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for code in [Code::Unavailable, Code::Unauthenticated, Code::DeadlineExceeded, Code::Internal] {
            assert_eq!(Judge::default().judge(code, b""), Verdict::Retry, "{code:?}");
        }
    }

    #[test]
    fn the_pause_that_the_control_plane_asks_for_is_kept_up_to_a_minute() {
        let mut judge = Judge::default();
        for (asked, kept) in [(2, 2), (3_600, 60)] {
            let verdict = judge.judge(Code::Unavailable, &asking(Duration::from_secs(asked)));
            assert_eq!(verdict, Verdict::RetryAfter(Duration::from_secs(kept)));
        }
    }

    #[test]
    fn a_refusal_is_tried_three_times_in_all() {
        let mut judge = Judge::default();
        let verdicts: Vec<_> = (0..3).map(|_| judge.judge(Code::PermissionDenied, b"")).collect();
        assert_eq!(verdicts, [Verdict::RetryAfter(SLOW), Verdict::RetryAfter(SLOW), Verdict::GiveUp]);
    }

    #[test]
    fn details_that_nobody_can_read_ask_for_nothing() {
        assert_eq!(Judge::default().judge(Code::Unavailable, b"\xff\xff"), Verdict::Retry);
    }
}
