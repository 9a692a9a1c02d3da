//! Between the domain types and their gRPC messages.

use std::time::{Duration, SystemTime};

use crate::{
    plan::{MAX_REQUESTS, MAX_RETRIES},
    report::{EndedBy, PathReport, Quantiles, Report, one_line, short_path},
    v1,
};

impl From<&Report> for v1::Result {
    fn from(report: &Report) -> Self {
        Self {
            success: report.success,
            request_count: report.request_count,
            failed_count: report.failed_count,
            latency_p50: report.latency.and_then(|latency| duration(latency.p50)),
            latency_p99: report.latency.and_then(|latency| duration(latency.p99)),
            success_rate: report.success_rate(),
            message: report.message.clone(),
            planned_count: report.planned_count,
            first_request_latency: report.first_request.and_then(duration),
            cold: report.cold.map(v1::Quantiles::from),
            warm: report.warm.map(v1::Quantiles::from),
            status_counts: report
                .statuses
                .iter()
                .map(|(status, count)| v1::StatusCount { status: (*status).into(), count: *count })
                .collect(),
            connections_used: report.connections,
            app_wait: report.app_wait.and_then(duration),
            schedule_lateness_p99: report.lateness_p99.and_then(duration),
            start_time: Some(report.started.into()),
            end_time: Some(report.ended.into()),
            ended_by: v1::EndedBy::from(report.ended_by).into(),
            service_time: report.service_time.map(v1::Quantiles::from),
            retry_count: report.retries,
            restart_count: report.restarts,
            held_back: report.held_back.and_then(duration),
            paths: report.paths.iter().map(v1::PathResult::from).collect(),
        }
    }
}

impl From<&PathReport> for v1::PathResult {
    fn from(path: &PathReport) -> Self {
        Self {
            path: path.path.clone(),
            request_count: path.request_count,
            failed_count: path.failed_count,
            first_request_latency: path.first_request.and_then(duration),
            warm_p50: path.warm_p50.and_then(duration),
        }
    }
}

impl From<v1::PathResult> for PathReport {
    fn from(path: v1::PathResult) -> Self {
        Self {
            path: short_path(&path.path),
            request_count: path.request_count,
            failed_count: path.failed_count,
            first_request: path.first_request_latency.and_then(from_duration),
            warm_p50: path.warm_p50.and_then(from_duration),
        }
    }
}

/// HTTP knows some 60.
const MAX_STATUSES: usize = 128;
/// As many as an endpoint annotation may name.
const MAX_PATHS: usize = 64;

/// Why a message holds no report.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A field that every report has is absent.
    #[error("the result lacks {0}")]
    Missing(&'static str),
    /// More than any warm-up does.
    #[error(
        "the result counts more than {MAX_REQUESTS} requests, {MAX_STATUSES} statuses or {MAX_PATHS} paths"
    )]
    TooMany,
    /// Numbers that cannot be.
    #[error("the result has {failed} failed of {requests} requests")]
    MoreFailedThanSent {
        /// `failed_count`.
        failed: u32,
        /// `request_count`.
        requests: u32,
    },
}

impl TryFrom<v1::Result> for Report {
    type Error = WireError;

    /// Takes a message that a pod sent, within the bounds of what a plan can ask for: derived numbers are derived again, the message is made to fit.
    fn try_from(result: v1::Result) -> Result<Self, WireError> {
        if result.failed_count > result.request_count {
            return Err(WireError::MoreFailedThanSent {
                failed: result.failed_count,
                requests: result.request_count,
            });
        }
        let counts = [
            result.request_count,
            result.planned_count,
            result.connections_used / (MAX_RETRIES + 1),
            result.retry_count / (MAX_RETRIES + 1),
            result.restart_count,
        ];
        let is_long = result.status_counts.len() > MAX_STATUSES || result.paths.len() > MAX_PATHS;
        if is_long || counts.into_iter().any(|count| count > MAX_REQUESTS) {
            return Err(WireError::TooMany);
        }
        Ok(Self {
            success: result.success,
            ended_by: result.ended_by().into(),
            planned_count: result.planned_count,
            request_count: result.request_count,
            failed_count: result.failed_count,
            latency: quantiles(result.latency_p50, result.latency_p99),
            first_request: result.first_request_latency.and_then(from_duration),
            cold: result.cold.and_then(|cold| quantiles(cold.p50, cold.p99)),
            warm: result.warm.and_then(|warm| quantiles(warm.p50, warm.p99)),
            statuses: result
                .status_counts
                .iter()
                .filter_map(|entry| Some((u16::try_from(entry.status).ok()?, entry.count)))
                .collect(),
            connections: result.connections_used,
            app_wait: result.app_wait.and_then(from_duration),
            lateness_p99: result.schedule_lateness_p99.and_then(from_duration),
            service_time: result.service_time.and_then(|service| quantiles(service.p50, service.p99)),
            retries: result.retry_count,
            restarts: result.restart_count,
            held_back: result.held_back.and_then(from_duration),
            paths: result.paths.into_iter().map(PathReport::from).collect(),
            started: time(result.start_time).ok_or(WireError::Missing("start_time"))?,
            ended: time(result.end_time).ok_or(WireError::Missing("end_time"))?,
            message: one_line(&result.message),
        })
    }
}

impl From<EndedBy> for v1::EndedBy {
    fn from(ended_by: EndedBy) -> Self {
        match ended_by {
            EndedBy::Count => Self::Count,
            EndedBy::Time => Self::Time,
            EndedBy::Stable => Self::Stable,
            EndedBy::AppUnavailable => Self::AppUnavailable,
            EndedBy::BadPlan => Self::BadPlan,
            EndedBy::NoReport => Self::NoReport,
        }
    }
}

impl From<v1::EndedBy> for EndedBy {
    /// What a newer sidecar ends by, and we do not know, counts as its time limit.
    fn from(ended_by: v1::EndedBy) -> Self {
        match ended_by {
            v1::EndedBy::Count => Self::Count,
            v1::EndedBy::Time | v1::EndedBy::Unspecified => Self::Time,
            v1::EndedBy::Stable => Self::Stable,
            v1::EndedBy::AppUnavailable => Self::AppUnavailable,
            v1::EndedBy::BadPlan => Self::BadPlan,
            v1::EndedBy::NoReport => Self::NoReport,
        }
    }
}

impl From<Quantiles> for v1::Quantiles {
    fn from(quantiles: Quantiles) -> Self {
        Self { p50: duration(quantiles.p50), p99: duration(quantiles.p99) }
    }
}

fn quantiles(p50: Option<prost_types::Duration>, p99: Option<prost_types::Duration>) -> Option<Quantiles> {
    Some(Quantiles { p50: p50.and_then(from_duration)?, p99: p99.and_then(from_duration)? })
}

/// The message for `duration`; `None` past what the message can hold.
#[must_use]
pub fn duration(duration: Duration) -> Option<prost_types::Duration> {
    duration.try_into().ok()
}

fn from_duration(duration: prost_types::Duration) -> Option<Duration> {
    duration.try_into().ok()
}

/// Years 1970 to 9999, which the annotation can hold.
fn time(timestamp: Option<prost_types::Timestamp>) -> Option<SystemTime> {
    let is_sound = |timestamp: &prost_types::Timestamp| {
        (0..253_402_300_800).contains(&timestamp.seconds) && (0..1_000_000_000).contains(&timestamp.nanos)
    };
    timestamp.filter(is_sound)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::report::{Reason, Record};

    fn report() -> Report {
        let at = UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
        Report {
            success: true,
            request_count: 20,
            failed_count: 3,
            planned_count: 21,
            latency: Some(Quantiles { p50: Duration::from_micros(7), p99: Duration::from_secs(2) }),
            statuses: [(200, 17), (0, 3)].into(),
            connections: 2,
            service_time: Some(Quantiles { p50: Duration::from_micros(6), p99: Duration::from_secs(1) }),
            retries: 4,
            restarts: 1,
            held_back: Some(Duration::from_secs(2)),
            paths: vec![PathReport {
                path: "/search?q=a".to_owned(),
                request_count: 10,
                failed_count: 3,
                first_request: Some(Duration::from_millis(250)),
                warm_p50: Some(Duration::from_micros(310)),
            }],
            ..Report::without_requests(EndedBy::Count, at, "17/20 requests succeeded")
        }
    }

    #[test]
    fn a_report_survives_the_wire() {
        let bytes = v1::Result::from(&report()).encode_to_vec();
        let read = v1::Result::decode(&*bytes).unwrap();
        assert!((read.success_rate - 0.85).abs() < 1e-9);
        assert_eq!(Report::try_from(read), Ok(report()));
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        let forged = v1::Result { failed_count: 21, ..v1::Result::from(&report()) };
        assert_eq!(Report::try_from(forged), Err(WireError::MoreFailedThanSent { failed: 21, requests: 20 }));
        let timeless = v1::Result { end_time: None, ..v1::Result::from(&report()) };
        assert_eq!(Report::try_from(timeless), Err(WireError::Missing("end_time")));
    }

    #[test]
    fn a_time_that_no_annotation_can_hold_is_refused() {
        for (seconds, nanos) in [(i64::MAX, 0), (-1, 0), (0, -1), (253_402_300_799, i32::MAX)] {
            let far = Some(prost_types::Timestamp { seconds, nanos });
            let forged = v1::Result { start_time: far, ..v1::Result::from(&report()) };
            assert_eq!(Report::try_from(forged), Err(WireError::Missing("start_time")));
        }
    }

    #[test]
    fn more_than_any_warm_up_does_is_refused() {
        let forged = v1::Result { request_count: u32::MAX, ..v1::Result::from(&report()) };
        assert_eq!(Report::try_from(forged), Err(WireError::TooMany));
        let status_counts = (0..1_000).map(|status| v1::StatusCount { status, count: 1 }).collect();
        let forged = v1::Result { status_counts, ..v1::Result::from(&report()) };
        assert_eq!(Report::try_from(forged), Err(WireError::TooMany));
    }

    #[test]
    fn a_message_is_made_to_fit() {
        let long = v1::Result { message: "\nä".repeat(400), ..v1::Result::from(&report()) };
        let read = Report::try_from(long).unwrap();
        assert!(read.message.len() <= crate::report::MAX_MESSAGE && !read.message.contains('\n'));
    }

    proptest! {
        /// Whatever a pod sends is refused, or is a report that an annotation can hold.
        #[test]
        fn no_message_panics(
            times in proptest::array::uniform4(proptest::num::i64::ANY),
            nanos in proptest::array::uniform4(proptest::num::i32::ANY),
            counts in proptest::array::uniform3(0..20_000_u32),
            statuses in proptest::collection::vec(0..70_000_u32, 0..20),
            message in "\\PC{0,400}",
        ) {
            let timestamp = |i: usize| Some(prost_types::Timestamp { seconds: times[i], nanos: nanos[i] });
            let length = |i: usize| Some(prost_types::Duration { seconds: times[i], nanos: nanos[i] });
            let forged = v1::Result {
                request_count: counts[0],
                failed_count: counts[1],
                planned_count: counts[2],
                start_time: timestamp(0),
                end_time: timestamp(1),
                latency_p50: length(2),
                latency_p99: length(3),
                app_wait: length(2),
                status_counts: statuses.iter().map(|&status| v1::StatusCount { status, count: 1 }).collect(),
                message,
                ..v1::Result::default()
            };
            if let Ok(report) = Report::try_from(forged) {
                let annotation = Record::new("u1", Reason::WarmupFailed, report).to_annotation();
                prop_assert!(annotation.len() <= crate::report::MAX_ANNOTATION);
            }
        }
    }
}
