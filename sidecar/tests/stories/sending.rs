//! The requests, as the app sees them and the report tells of them.

use std::time::Duration;

use proto::{
    plan::{Limits, Plan, Request},
    report::{EndedBy, Report},
};
use tokio::time::sleep;

use crate::{
    app::{App, Reply},
    control_plane::ControlPlane,
    setting::{Setting, plan, quick},
};

/// The report on an app that answers the i-th request with `reply(i)`.
async fn warm(
    count: u32,
    millis: u64,
    reply: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> (Report, App) {
    let app = App::start(reply).await;
    let report = carry_out(&plan(app.port, count, millis)).await;
    (report, app)
}

async fn carry_out(plan: &Plan) -> Report {
    let control_plane = ControlPlane::start().await;
    Setting::new(plan, &control_plane).live().await;
    control_plane.report()
}

#[tokio::test]
async fn requests_leave_on_schedule() {
    let (report, app) = warm(20, 400, |_| Reply::Status(200)).await;
    assert_eq!((report.request_count, report.failed_count), (20, 0));
    assert_eq!((report.success, report.ended_by), (true, EndedBy::Count));
    assert!(report.elapsed() >= Duration::from_millis(380), "the last leaves then: {:?}", report.elapsed());
    assert_eq!(app.paths(), ["/"; 20]);
}

#[tokio::test]
async fn each_request_is_marked_and_has_a_span_of_its_own() {
    let (_, app) = warm(2, 20, |_| Reply::Status(200)).await;
    let seen = app.seen.lock().unwrap();
    let heads: Vec<_> = seen.requests.iter().map(|(_, head)| head.as_str()).collect();
    let trace = |head: &str| head.lines().find(|line| line.starts_with("traceparent")).unwrap().to_owned();
    for head in &heads {
        assert!(head.starts_with("GET / HTTP/1.1\r\n"));
        assert!(head.contains(&format!("host: 127.0.0.1:{}\r\n", app.port)));
        assert!(head.contains("user-agent: kube-booster/1.0\r\n"));
        assert!(head.contains("x-warmup-request: true\r\n"));
        assert!(trace(head).starts_with("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    }
    assert_ne!(trace(heads[0]), trace(heads[1]));
}

#[tokio::test]
async fn a_connection_that_the_app_closes_costs_no_request() {
    for reply in [Reply::AnnounceClose, Reply::ThenClose] {
        let (report, app) = warm(10, 100, move |_| reply).await;
        assert_eq!((report.request_count, report.failed_count), (10, 0), "{reply:?}: {}", report.message);
        assert_eq!(report.connections, 10, "{reply:?}");
        // One more is the probe's.
        assert_eq!(app.seen.lock().unwrap().connections, 11, "{reply:?}");
    }
}

#[tokio::test]
async fn a_request_lost_with_a_kept_connection_goes_out_again() {
    let app = App::start(|index| if index == 2 { Reply::Close } else { Reply::Status(200) }).await;
    let report = carry_out(&quick(app.port, 5, 60_000)).await;
    assert_eq!((report.request_count, report.failed_count, report.connections), (5, 0, 2));
    assert_eq!(app.paths().len(), 6);
}

#[tokio::test]
async fn a_request_that_the_app_may_have_acted_on_goes_out_once() {
    let app = App::start(|index| if index == 2 { Reply::Close } else { Reply::Status(200) }).await;
    let mut plan = plan(app.port, 5, 50);
    plan.steps[0].requests[0].method = "POST".to_owned();
    let report = carry_out(&plan).await;
    assert_eq!((report.request_count, report.failed_count, app.paths().len()), (5, 1, 5));
    assert!(report.message.ends_with("; 1 x connection closed"), "{}", report.message);
}

#[tokio::test]
async fn an_app_that_answers_nothing_on_a_fresh_connection_fails() {
    let (report, app) = warm(4, 40, |_| Reply::Close).await;
    assert_eq!((report.failed_count, report.success), (4, false));
    assert!(report.message.contains("4 x connection closed"), "{}", report.message);
    assert_eq!(app.paths().len(), 4);
}

#[tokio::test]
async fn errors_of_the_app_are_counted_as_such() {
    let (report, _) = warm(4, 40, |index| Reply::Status(if index < 3 { 503 } else { 200 })).await;
    assert_eq!((report.failed_count, report.success), (3, false));
    assert_eq!(report.statuses, [(200, 1), (503, 3)].into());
    assert!(report.message.starts_with("1/4 requests succeeded, "), "{}", report.message);
    assert!(report.message.ends_with("; 3 x 503"), "{}", report.message);
}

#[tokio::test]
async fn redirects_are_named_and_not_followed() {
    let (report, app) = warm(4, 40, |index| Reply::Status(if index == 0 { 302 } else { 200 })).await;
    assert_eq!((report.failed_count, report.success), (0, true));
    assert!(report.message.ends_with("; 25% answered 3xx"), "{}", report.message);
    assert_eq!(app.paths(), ["/", "/", "/", "/"]);
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    let (report, app) = warm(2, 20, |_| Reply::Endless).await;
    assert_eq!((report.failed_count, report.connections), (0, 2));
    for _ in 0..100 {
        if app.seen.lock().unwrap().cut == 2 {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("the connections stay open: {:?}", app.seen.lock().unwrap());
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_no_response() {
    let (report, _) = warm(2, 20, |_| Reply::Garbage).await;
    assert_eq!(report.statuses, [(0, 2)].into());
    assert!(report.message.ends_with("; 2 x not HTTP"), "{}", report.message);
}

#[tokio::test]
async fn a_slow_answer_does_not_hold_up_the_requests_after_it() {
    // Were any of them to wait for another, none would ever be answered.
    let (report, app) = warm(10, 100, |_| Reply::Together(10)).await;
    assert_eq!((report.request_count, report.failed_count, report.connections), (10, 0, 10));
    assert_eq!(app.seen.lock().unwrap().most_in_flight, 10);
}

#[tokio::test]
async fn requests_that_wait_for_a_slot_are_as_slow_as_they_are_for_users() {
    let app = App::start(|_| Reply::After(Duration::from_millis(100), 200)).await;
    let limits = Limits { concurrency: 2, ..Limits::default() };
    let report = carry_out(&Plan { limits, ..plan(app.port, 100, 400) }).await;
    assert_eq!(app.seen.lock().unwrap().most_in_flight, 2);
    assert_eq!(report.ended_by, EndedBy::Time);
    assert!(report.request_count < 20 && report.planned_count == 100, "{}", report.message);
    assert!(report.message.ends_with("; the time limit came first"), "{}", report.message);
    // The last ones were due soon after the start and sent near the end; the sidecar itself was hardly late.
    assert!(report.latency.unwrap().p99 > Duration::from_millis(300), "{}", report.message);
    assert!(report.lateness_p99.unwrap() < Duration::from_millis(80), "{:?}", report.lateness_p99);
}

#[tokio::test]
async fn a_request_is_given_up_after_a_second_once_the_app_has_answered() {
    let (report, _) = warm(2, 20, |index| if index == 0 { Reply::Status(200) } else { Reply::Silent }).await;
    assert_eq!((report.request_count, report.failed_count), (2, 1));
    assert!(report.message.ends_with("; 1 x timed out"), "{}", report.message);
    assert!(report.elapsed() < Duration::from_secs(3), "{:?}", report.elapsed());
}

#[tokio::test]
async fn a_path_that_is_still_cold_gets_its_time_although_another_is_warm() {
    let reply =
        |i| if i % 2 == 1 { Reply::After(Duration::from_millis(1_500), 200) } else { Reply::Status(200) };
    let app = App::start(reply).await;
    let mut plan = plan(app.port, 4, 400);
    plan.steps[0].requests = vec![Request::get("/quick"), Request::get("/slow")];
    let report = carry_out(&plan).await;
    assert_eq!((report.request_count, report.failed_count), (4, 0), "{}", report.message);
}
