//! What the users saw.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Visit;

const FIRST: Duration = Duration::from_secs(1);

/// A run in numbers. As JSON it is one line of camelCase fields; times are in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// `--label`.
    pub label: String,
    /// When the shop first accepted a connection, RFC 3339.
    pub started_at: String,
    /// All users.
    #[serde(flatten)]
    pub all: Quantiles,
    /// How late we ourselves sent half of them; part of the latencies.
    pub lateness_p50_ms: Option<f64>,
    /// How late we were at most.
    pub lateness_max_ms: Option<f64>,
    /// The users who were due in the first second.
    pub first_second: Quantiles,
    /// When each user was due, and how long they waited; `None` for an error.
    #[serde(rename = "eachMs", skip_serializing_if = "Option::is_none")]
    pub each: Option<Vec<(f64, Option<f64>)>>,
}

/// Latencies of requests; `None` if none has one.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quantiles {
    /// How many were sent.
    pub requests: usize,
    /// How many got no page, or none in time.
    pub failed: usize,
    /// Of the very first request.
    pub first_request_ms: Option<f64>,
    /// Median.
    pub p50_ms: Option<f64>,
    /// 99th percentile, nearest rank.
    pub p99_ms: Option<f64>,
    /// Largest.
    pub max_ms: Option<f64>,
}

impl Summary {
    /// Sums up `visits`, in any order.
    #[must_use]
    pub fn of(label: &str, started_at: SystemTime, mut visits: Vec<Visit>) -> Self {
        visits.sort_by_key(|visit| visit.scheduled);
        let first_second = visits.partition_point(|visit| visit.scheduled < FIRST);
        let mut lateness: Vec<Duration> = visits.iter().map(|visit| visit.late).collect();
        lateness.sort_unstable();
        Self {
            label: label.to_owned(),
            started_at: humantime::format_rfc3339_millis(started_at).to_string(),
            all: Quantiles::of(&visits),
            lateness_p50_ms: nearest_rank(&lateness, 50).map(milliseconds),
            lateness_max_ms: nearest_rank(&lateness, 100).map(milliseconds),
            first_second: Quantiles::of(&visits[..first_second]),
            each: Some(visits.iter().map(each).collect()),
        }
    }
}

impl Quantiles {
    /// Of `visits` in the order of their schedule.
    fn of(visits: &[Visit]) -> Self {
        let mut latencies: Vec<Duration> =
            visits.iter().filter_map(|visit| visit.outcome.latency()).collect();
        latencies.sort_unstable();
        let rank = |percent| nearest_rank(&latencies, percent).map(milliseconds);
        Self {
            requests: visits.len(),
            failed: visits.iter().filter(|visit| visit.outcome.failed()).count(),
            first_request_ms: visits.first().and_then(|visit| visit.outcome.latency()).map(milliseconds),
            p50_ms: rank(50),
            p99_ms: rank(99),
            max_ms: rank(100),
        }
    }
}

fn each(visit: &Visit) -> (f64, Option<f64>) {
    (milliseconds(visit.scheduled), visit.outcome.latency().map(milliseconds))
}

/// The smallest value that at least `percent` of all do not exceed.
fn nearest_rank(sorted: &[Duration], percent: usize) -> Option<Duration> {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}

/// To a hundredth.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 100.0
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, from {}; latency in ms", self.label, self.started_at)?;
        let [requests, failed, first] = ["requests", "failed", "first"];
        writeln!(f, "{:<14}{requests:>9}{failed:>8}{first:>10}{:>10}{:>10}{:>10}", "", "p50", "p99", "max")?;
        writeln!(f, "{:<14}{}", "first second", self.first_second)?;
        writeln!(f, "{:<14}{}", "all", self.all)?;
        let (p50, max) = (self.lateness_p50_ms.unwrap_or_default(), self.lateness_max_ms.unwrap_or_default());
        writeln!(f, "of which our own lateness: p50 {p50:.1}, max {max:.1}")
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9}{:>8}", self.requests, self.failed)?;
        [self.first_request_ms, self.p50_ms, self.p99_ms, self.max_ms].iter().try_for_each(
            |value| match value {
                Some(value) => write!(f, "{value:>10.1}"),
                None => write!(f, "{:>10}", "–"),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::users::Outcome;

    fn visit(scheduled: u64, outcome: Outcome) -> Visit {
        Visit { scheduled: Duration::from_millis(scheduled), late: Duration::from_millis(2), outcome }
    }

    /// Two seconds of 100 requests, the i-th served in i ms, from the last to the first.
    fn visits() -> Vec<Visit> {
        (1..=100).rev().map(|i| visit(20 * (i - 1), Outcome::Served(Duration::from_millis(i)))).collect()
    }

    #[test]
    fn percentiles_are_by_nearest_rank_and_the_first_is_the_first_scheduled() {
        let summary = Summary { each: None, ..Summary::of("cold", SystemTime::UNIX_EPOCH, visits()) };
        expect![[r#"{"label":"cold","startedAt":"1970-01-01T00:00:00.000Z","requests":100,"failed":0,"firstRequestMs":1.0,"p50Ms":50.0,"p99Ms":99.0,"maxMs":100.0,"latenessP50Ms":2.0,"latenessMaxMs":2.0,"firstSecond":{"requests":50,"failed":0,"firstRequestMs":1.0,"p50Ms":25.0,"p99Ms":50.0,"maxMs":50.0}}"#]]
            .assert_eq(&serde_json::to_string(&summary).unwrap());
    }

    #[test]
    fn an_error_is_no_latency_but_waiting_in_vain_is() {
        let gave_up = Outcome::GaveUp(Duration::from_secs(10));
        let summary = Summary::of(
            "bad",
            SystemTime::UNIX_EPOCH,
            vec![visit(0, Outcome::Failed), visit(1_000, gave_up)],
        );
        expect![[r"
            bad, from 1970-01-01T00:00:00.000Z; latency in ms
                           requests  failed     first       p50       p99       max
            first second          1       1         –         –         –         –
            all                   2       2         –   10000.0   10000.0   10000.0
            of which our own lateness: p50 2.0, max 2.0
        "]]
        .assert_eq(&summary.to_string());
    }

    #[test]
    fn each_user_is_told_of_in_the_order_of_their_arrival() {
        let served = Outcome::Served(Duration::from_micros(1_234));
        let summary =
            Summary::of("all", SystemTime::UNIX_EPOCH, vec![visit(10, Outcome::Failed), visit(0, served)]);
        assert_eq!(summary.each, Some(vec![(0.0, Some(1.23)), (10.0, None)]));
    }

    #[test]
    fn no_visits_have_no_latency() {
        assert_eq!(nearest_rank(&[], 50), None);
    }
}
