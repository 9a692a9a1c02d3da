use std::time::UNIX_EPOCH;

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::ground::{grpc::Code, outcome::Failure};

fn frame() -> Frame {
    Frame {
        ended_by: EndedBy::Count,
        planned_count: 4,
        until: Until::Count,
        success_threshold: 0.5,
        connections: 1,
        retries: 0,
        restarts: 0,
        held_back: Duration::ZERO,
        obstacle: None,
        started: UNIX_EPOCH,
        ended: UNIX_EPOCH + Duration::from_secs(1),
    }
}

/// One request per outcome, the i-th with i+1 ms.
fn tally(outcomes: &[Outcome]) -> Tally {
    let mut tally = Tally::default();
    for (index, outcome) in (0..).zip(outcomes) {
        let latency = Duration::from_millis(u64::from(index) + 1);
        tally.record(Sample {
            index,
            kind: 0,
            latency,
            service_time: latency / 2,
            lateness: latency / 100,
            outcome: *outcome,
        });
    }
    tally
}

fn statuses(statuses: &[u16]) -> Tally {
    tally(&statuses.iter().copied().map(Outcome::Status).collect::<Vec<_>>())
}

#[test]
fn a_message_says_what_failed_and_why() {
    let outcomes = [
        Outcome::Status(200),
        Outcome::Status(503),
        Outcome::Failed(Failure::Refused),
        Outcome::Status(503),
        Outcome::Failed(Failure::TimedOut),
        Outcome::Status(302),
    ];
    let report = tally(&outcomes).report(Frame { ended_by: EndedBy::Time, planned_count: 9, ..frame() });
    expect!["2/9 requests succeeded, p50 3.0 ms, p99 6.0 ms, first request 1.0 ms; 2 x 503, 1 x connection refused, 1 x timed out; 17% answered 3xx; the time limit came first"]
        .assert_eq(&report.message);
    assert_eq!(report.statuses, [(0, 2), (200, 1), (302, 1), (503, 2)].into());
    assert_eq!((report.request_count, report.failed_count), (6, 4));
}

#[test]
fn many_causes_are_cut_to_the_most_frequent() {
    let report = statuses(&[500, 500, 501, 502, 503, 504, 505]).report(frame());
    assert!(report.message.contains("2 x 500, 1 x 501, 1 x 502, 1 x 503, 2 x other"), "{}", report.message);
}

#[test]
fn success_is_measured_against_the_threshold() {
    let check = |seen: &[u16], threshold: f64, success: bool| {
        let planned_count = u32::try_from(seen.len()).unwrap();
        let report = statuses(seen).report(Frame { success_threshold: threshold, planned_count, ..frame() });
        assert_eq!(report.success, success, "{seen:?} at {threshold}");
    };
    check(&[200, 500], 0.5, true);
    check(&[200, 500, 500], 0.5, false);
    check(&[200, 399, 204], 1.0, true);
    check(&[500], 0.0, true);
    check(&[], 0.01, false);
    check(&[], 0.0, true);
}

#[test]
fn a_failed_call_has_http_status_200_and_its_grpc_status_in_the_message() {
    let mut tally = Tally::of(vec!["a.B/Get".to_owned(), "a.B/Gone".to_owned()]);
    for (index, code) in [(0, None), (1, Some(12)), (2, Some(14)), (3, Some(12))] {
        let outcome = code.map_or(Outcome::Status(200), |code| Outcome::Called(Code(code)));
        let sample = Sample {
            index,
            kind: index as usize % 2,
            latency: Duration::ZERO,
            service_time: Duration::ZERO,
            lateness: Duration::ZERO,
            outcome,
        };
        tally.record(sample);
    }
    assert!(tally.has_succeeded(0) && !tally.has_succeeded(1));
    let report = tally.report(frame());
    assert_eq!((report.failed_count, report.statuses), (3, [(200, 4)].into()));
    let ends = "; 2 x gRPC UNIMPLEMENTED, 1 x gRPC UNAVAILABLE; the app has no a.B/Gone";
    assert!(report.message.ends_with(ends), "{}", report.message);
}

#[test]
fn a_warm_up_that_wants_a_stable_latency_and_ran_out_of_time_succeeds_by_what_it_sent() {
    let late = |until| Frame { ended_by: EndedBy::Time, planned_count: 2_000, until, ..frame() };
    assert!(statuses(&[200; 100]).report(late(Until::Stable)).success);
    assert!(!statuses(&[500; 100]).report(late(Until::Stable)).success);
    assert!(!statuses(&[]).report(late(Until::Stable)).success);
    assert!(!statuses(&[200; 100]).report(late(Until::Count)).success);
}

#[test]
fn a_share_that_is_met_exactly_is_met() {
    let mut outcomes = vec![200; 55];
    outcomes.extend([500; 45]);
    let report = statuses(&outcomes).report(Frame { success_threshold: 0.55, planned_count: 100, ..frame() });
    assert!(report.success, "{}", report.message);
}

#[test]
fn requests_for_which_there_was_no_time_did_not_succeed() {
    let report = statuses(&[200; 3]).report(Frame { ended_by: EndedBy::Time, planned_count: 100, ..frame() });
    assert!(!report.success, "3 of 100 warm nothing: {}", report.message);
    assert!(report.message.starts_with("3/100 requests succeeded"));
}

#[test]
fn cold_and_warm_are_the_first_and_last_tenth_of_the_schedule() {
    let mut shuffled = statuses(&[200; 100]);
    shuffled.samples.reverse();
    let report = shuffled.report(frame());
    let quantiles =
        |p50, p99| Some(Quantiles { p50: Duration::from_millis(p50), p99: Duration::from_millis(p99) });
    assert_eq!((report.cold, report.warm), (quantiles(5, 10), quantiles(95, 100)));
    assert_eq!((report.latency, report.first_request), (quantiles(50, 99), Some(Duration::from_millis(1))));
}

#[test]
fn fewer_than_a_hundred_requests_tell_nothing_of_cold_and_warm() {
    let report = statuses(&[200; 99]).report(frame());
    assert_eq!((report.cold, report.warm), (None, None));
}

#[test]
fn what_the_app_refused_and_how_often_it_went_away_is_said() {
    let held = Frame { held_back: Duration::from_millis(1_500), restarts: 1, retries: 7, ..frame() };
    let report = statuses(&[200; 4]).report(held);
    expect!["4/4 requests succeeded, p50 2.0 ms, p99 4.0 ms, first request 1.0 ms; held back for 1.5 s; started over once, when the app came back"]
        .assert_eq(&report.message);
    assert_eq!(
        (report.retries, report.restarts, report.held_back),
        (7, 1, Some(Duration::from_millis(1_500)))
    );
    assert_eq!(statuses(&[200]).report(frame()).held_back, None);
}

#[test]
fn an_app_that_is_gone_was_not_warmed_however_it_answered_before() {
    for (obstacle, ended_by, success, end) in [
        (Some(Obstacle::Refusal), EndedBy::Time, false, "; the app takes no connections any more"),
        (Some(Obstacle::Refusal), EndedBy::Count, false, "; the app takes no connections any more"),
        (Some(Obstacle::Pause), EndedBy::Time, true, "; the app wants a pause past the time limit"),
        (Some(Obstacle::Pause), EndedBy::Count, true, "first request 1.0 ms"),
    ] {
        let report = statuses(&[200; 4]).report(Frame { ended_by, obstacle, ..frame() });
        assert_eq!(report.success, success, "{obstacle:?} {ended_by:?}");
        assert!(report.message.ends_with(end), "{}", report.message);
    }
}

#[test]
fn the_apps_own_time_is_said_where_requests_had_to_wait_for_a_slot() {
    let message = |latency, service_time, lateness| {
        let [latency, service_time, lateness] = [latency, service_time, lateness].map(Duration::from_millis);
        let mut tally = Tally::default();
        let outcome = Outcome::Status(200);
        tally.record(Sample { index: 0, kind: 0, latency, service_time, lateness, outcome });
        let report = tally.report(frame());
        assert_eq!(report.service_time.map(|quantiles| quantiles.p99), Some(service_time));
        report.message
    };
    assert!(message(900, 100, 1).ends_with("; p99 100 ms from the moment of sending"));
    assert!(!message(900, 100, 790).contains("sending"), "that was the sidecar's own fault");
    assert!(!message(12, 3, 0).contains("sending") && !message(190, 100, 0).contains("sending"));
}

#[test]
fn lateness_is_reported_apart() {
    assert_eq!(statuses(&[200; 9]).report(frame()).lateness_p99, Some(Duration::from_micros(90)));
    assert_eq!(Tally::default().report(frame()).lateness_p99, None);
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let failures =
        [Failure::Refused, Failure::Unreachable, Failure::TimedOut, Failure::Closed, Failure::Malformed];
    prop_oneof![
        (100..=599_u16).prop_map(Outcome::Status),
        proptest::sample::select(failures.to_vec()).prop_map(Outcome::Failed),
    ]
}

proptest! {
    #[test]
    fn a_report_adds_up(
        seen in proptest::collection::vec((outcome(), 0..10_000_000_u64), 0..400),
        threshold in 0.0..=1.0,
    ) {
        let mut tally = Tally::default();
        for (index, (outcome, micros)) in (0..).zip(&seen) {
            let latency = Duration::from_micros(*micros);
            tally.record(Sample {
                index,
                kind: 0,
                latency,
                service_time: latency,
                lateness: Duration::ZERO,
                outcome: *outcome,
            });
        }
        let any = tally.has_succeeded(0);
        let report = tally.report(Frame { success_threshold: threshold, ..frame() });
        prop_assert_eq!(report.request_count as usize, seen.len());
        prop_assert_eq!(report.statuses.values().sum::<u32>(), report.request_count);
        prop_assert_eq!(any, report.failed_count < report.request_count);
        prop_assert!(report.message.len() <= proto::report::MAX_MESSAGE);
        if let Some(latency) = report.latency {
            let slowest = seen.iter().map(|(_, micros)| *micros).max().unwrap_or_default();
            prop_assert!(latency.p50 <= latency.p99 && latency.p99 <= Duration::from_micros(slowest));
        }
    }

    #[test]
    fn the_order_of_completion_changes_nothing(
        seen in Just((0..150_u32).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let sample = |index: u32| Sample {
            kind: 0,
            index,
            latency: Duration::from_micros(u64::from(index) * 7 % 101),
            service_time: Duration::from_micros(u64::from(index) * 5 % 97),
            lateness: Duration::from_micros(u64::from(index) % 13),
            outcome: Outcome::Status(200),
        };
        let (mut shuffled, mut sorted) = (Tally::default(), Tally::default());
        for (index, out_of_order) in (0..).zip(&seen) {
            sorted.record(sample(index));
            shuffled.record(sample(*out_of_order));
        }
        prop_assert_eq!(shuffled.report(frame()), sorted.report(frame()));
    }
}
