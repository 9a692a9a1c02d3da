//! Requests until the latency is stable, and what proves that the app is warm.

use std::time::Duration;

use proto::{
    plan::{Plan, Request, Until},
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

/// Slow for its first requests.
fn warms_up(index: usize) -> Reply {
    if index < 40 { Reply::After(Duration::from_millis(15), 200) } else { Reply::Status(200) }
}

#[tokio::test]
async fn a_warm_up_ends_once_the_latency_is_stable() {
    let app = App::start(warms_up).await;
    let mut plan = Plan { until: Until::Stable, ..quick(app.port, 12_000, 60_000) };
    plan.steps[0].requests = vec![Request::get("/a"), Request::get("/b?c=d")];
    let report = carry_out(&plan).await;
    assert_eq!((report.ended_by, report.success), (EndedBy::Stable, true), "{}", report.message);
    let count = report.request_count;
    assert!((500..12_000).contains(&count) && report.planned_count == 12_000, "{}", report.message);
    assert!(report.message.starts_with(&format!("{count}/{count} requests succeeded")), "{}", report.message);
    assert!(report.message.contains(&format!("; stable after {count} requests")), "{}", report.message);

    assert!(report.first_request.unwrap() >= Duration::from_millis(15));
    assert!(report.cold.unwrap().p99 > report.warm.unwrap().p50, "{report:?}");
    assert!(report.message.contains(" times faster)"), "{}", report.message);
    let paths: Vec<_> = report.paths.iter().map(|path| (path.path.as_str(), path.failed_count)).collect();
    assert_eq!(paths, [("/a", 0), ("/b?c=d", 0)]);
    assert_eq!(report.paths.iter().map(|path| path.request_count).sum::<u32>(), count);
    assert!(report.paths.iter().all(|path| path.first_request.is_some() && path.warm_p50.is_some()));
}

#[tokio::test]
async fn it_never_goes_past_its_count_or_its_time() {
    let app = App::start(|_| Reply::Status(200)).await;
    let report = carry_out(&Plan { until: Until::Stable, ..quick(app.port, 100, 60_000) }).await;
    assert_eq!((report.ended_by, report.request_count), (EndedBy::Count, 100));
    assert!(!report.message.contains("stable"), "{}", report.message);

    let slow = App::start(|_| Reply::After(Duration::from_millis(20), 200)).await;
    let report = carry_out(&Plan { until: Until::Stable, ..quick(slow.port, 12_000, 300) }).await;
    assert_eq!(report.ended_by, EndedBy::Time);
}

#[tokio::test]
async fn an_app_that_fails_fast_is_not_stable() {
    let app = App::start(|_| Reply::Status(500)).await;
    let report = carry_out(&Plan { until: Until::Stable, ..quick(app.port, 1_000, 60_000) }).await;
    assert_eq!((report.ended_by, report.request_count, report.success), (EndedBy::Count, 1_000, false));
}

#[tokio::test]
async fn a_path_that_fails_is_told_apart() {
    let app = App::start(|index| Reply::Status(if index % 2 == 1 { 404 } else { 200 })).await;
    let mut plan = quick(app.port, 20, 60_000);
    plan.steps[0].requests = vec![Request::get("/there"), Request::get("/missing")];
    let report = carry_out(&plan).await;
    let paths: Vec<_> =
        report.paths.iter().map(|path| (path.path.as_str(), path.request_count, path.failed_count)).collect();
    assert_eq!(paths, [("/there", 10, 0), ("/missing", 10, 10)]);
    assert_eq!(report.paths[0].warm_p50, None, "ten requests are too few to tell");
}
