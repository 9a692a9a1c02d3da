//! Requests that leave as soon as there is a slot for them.

use std::time::Duration;

use proto::{
    plan::{Limits, Plan},
    report::{EndedBy, Report},
};

use crate::{
    app::{App, Reply},
    control_plane::ControlPlane,
    setting::{Setting, quick},
};

async fn carry_out(plan: &Plan) -> Report {
    let control_plane = ControlPlane::start().await;
    Setting::new(plan, &control_plane).live().await;
    control_plane.report()
}

#[tokio::test]
async fn requests_follow_one_another_over_one_connection() {
    let app = App::start(|_| Reply::Status(200)).await;
    let report = carry_out(&quick(app.port, 200, 60_000)).await;
    assert_eq!((report.request_count, report.failed_count, report.connections), (200, 0, 1));
    assert_eq!((report.ended_by, report.success), (EndedBy::Count, true));
    assert_eq!(app.seen.lock().unwrap().most_in_flight, 1);
    assert!(report.elapsed() < Duration::from_secs(30), "it does not wait for its limit");
}

#[tokio::test]
async fn as_many_run_at_once_as_are_allowed() {
    let app = App::start(|_| Reply::Together(4)).await;
    let limits = Limits { concurrency: 4, ..Limits::default() };
    let report = carry_out(&Plan { limits, ..quick(app.port, 20, 60_000) }).await;
    assert_eq!((report.request_count, report.failed_count), (20, 0));
    assert_eq!(app.seen.lock().unwrap().most_in_flight, 4);
}

#[tokio::test]
async fn the_time_limit_ends_them() {
    let app = App::start(|_| Reply::After(Duration::from_millis(20), 200)).await;
    let report = carry_out(&quick(app.port, 12_000, 500)).await;
    assert_eq!(report.ended_by, EndedBy::Time);
    assert!((1..100).contains(&report.request_count), "{}", report.message);
    assert!(report.message.ends_with("; the time limit came first"), "{}", report.message);
    assert_eq!(app.paths().len(), report.request_count as usize);
}

#[tokio::test]
async fn latency_does_not_count_the_requests_before() {
    let app = App::start(|_| Reply::After(Duration::from_millis(20), 200)).await;
    let report = carry_out(&quick(app.port, 40, 60_000)).await;
    // From a schedule that knew nothing of slots it would be half of the time that all of them took.
    assert!(report.latency.unwrap().p50 < report.elapsed() / 4, "{}", report.message);
}
