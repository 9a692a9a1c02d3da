//! Apps that want to be left alone, that lose requests, or that go away.

use std::{net::SocketAddr, time::Duration};

use proto::{
    plan::{Limits, Plan},
    report::{EndedBy, Report},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    time::sleep,
};

use crate::{
    app::{App, Reply},
    control_plane::ControlPlane,
    setting::{Setting, http_probe, plan, quick},
};

async fn carry_out(plan: &Plan) -> Report {
    let control_plane = ControlPlane::start().await;
    Setting::new(plan, &control_plane).live().await;
    control_plane.report()
}

/// A port that stays ours although nobody listens on it.
struct Port {
    address: SocketAddr,
    _reserved: TcpSocket,
}

impl Port {
    fn reserve() -> Self {
        let reserved = Self::socket("127.0.0.1:0".parse().unwrap());
        Self { address: reserved.local_addr().unwrap(), _reserved: reserved }
    }

    fn socket(address: SocketAddr) -> TcpSocket {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseport(true).unwrap();
        socket.bind(address).unwrap();
        socket
    }

    fn listen(&self) -> TcpListener {
        Self::socket(self.address).listen(128).unwrap()
    }
}

/// Waits until `app` was asked for `count` paths.
async fn asked(app: &App, count: usize) {
    while app.paths().len() < count {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn nothing_is_sent_before_the_time_that_the_app_asks_for() {
    for (status, reply) in [
        (503, Reply::Busy(503, 1)),
        (429, Reply::Busy(429, 1)),
        // A date has whole seconds: this one is over in one to two.
        (503, Reply::BusyUntil(503, Duration::from_secs(2))),
    ] {
        let app = App::start(move |index| if index == 2 { reply } else { Reply::Status(200) }).await;
        let report = carry_out(&quick(app.port, 6, 60_000)).await;
        assert_eq!((report.request_count, report.failed_count, report.ended_by), (6, 1, EndedBy::Count));
        assert_eq!(report.statuses, [(200, 5), (status, 1)].into());
        let seen = app.seen.lock().unwrap();
        let pause = seen.requests[3].0 - seen.requests[2].0;
        assert!(pause >= Duration::from_millis(990), "{reply:?}: {pause:?}");
        assert!(report.held_back.is_some_and(|held_back| held_back >= Duration::from_millis(500)));
        assert!(report.message.contains("; held back for "), "{}", report.message);
    }
}

#[tokio::test]
async fn a_status_alone_asks_for_no_pause() {
    let app = App::start(|index| Reply::Status(if index % 2 == 0 { 503 } else { 200 })).await;
    let report = carry_out(&quick(app.port, 6, 60_000)).await;
    assert_eq!((report.failed_count, report.held_back), (3, None));
}

#[tokio::test]
async fn a_pause_past_the_time_limit_ends_the_warm_up_at_once() {
    let app = App::start(|index| if index == 2 { Reply::Busy(503, 3_600) } else { Reply::Status(200) }).await;
    let report = carry_out(&quick(app.port, 100, 60_000)).await;
    assert_eq!((report.request_count, report.ended_by, report.success), (3, EndedBy::Time, false));
    assert!(report.message.ends_with("; the app wants a pause past the time limit"), "{}", report.message);
    assert!(report.elapsed() < Duration::from_secs(30), "{:?}", report.elapsed());
}

#[tokio::test]
async fn requests_for_which_the_pause_leaves_no_time_are_not_sent() {
    let app = App::start(|index| if index == 0 { Reply::Busy(429, 1) } else { Reply::Status(200) }).await;
    // Without the pause the second half of them would leave in the second half of 1.2 s.
    let report = carry_out(&plan(app.port, 12, 1_200)).await;
    assert_eq!((report.planned_count, report.ended_by), (12, EndedBy::Time), "{}", report.message);
    assert!(report.request_count < 6, "{}", report.message);
    assert_eq!(app.paths().len(), report.request_count as usize);
}

#[tokio::test]
async fn a_lost_request_is_sent_again_and_counts_once() {
    let app = App::start(|index| if index < 2 { Reply::Close } else { Reply::Status(200) }).await;
    let limits = Limits { concurrency: 1, retries: 3, ..Limits::default() };
    let report = carry_out(&Plan { limits, ..quick(app.port, 5, 60_000) }).await;
    assert_eq!((report.request_count, report.failed_count, report.retries), (5, 0, 2), "{}", report.message);
    assert_eq!(app.paths().len(), 7);
}

#[tokio::test]
async fn a_request_that_may_not_be_sent_twice_is_sent_once() {
    let app = App::start(|_| Reply::Close).await;
    let limits = Limits { concurrency: 1, retries: 3, ..Limits::default() };
    let mut plan = Plan { limits, ..quick(app.port, 2, 60_000) };
    plan.steps[0].requests[0].method = "POST".to_owned();
    let report = carry_out(&plan).await;
    assert_eq!((report.request_count, report.failed_count, report.retries), (2, 2, 0));
    assert_eq!(app.paths().len(), 2);
}

#[tokio::test]
async fn the_warm_up_starts_over_when_an_app_that_crashed_is_back() {
    let control_plane = ControlPlane::start().await;
    let (port, management) = (Port::reserve(), App::start(|_| Reply::Status(200)).await);
    let plan = Plan { wait: http_probe(management.port), ..quick(port.address.port(), 200, 60_000) };
    let setting = Setting::new(&plan, &control_plane);
    let crash = async {
        let reply = |_| Reply::After(Duration::from_millis(5), 200);
        let first = App::on(port.listen(), reply);
        asked(&first, 20).await;
        drop(first);
        // It is waited for as at the start, by its probe.
        asked(&management, 2).await;
        App::on(port.listen(), |_| Reply::Status(200))
    };
    let ((), app) = tokio::join!(setting.live(), crash);
    let report = control_plane.report();
    assert_eq!((report.request_count, report.failed_count, report.restarts), (200, 0, 1));
    assert_eq!((report.success, report.ended_by), (true, EndedBy::Count));
    assert_eq!(app.paths().len(), 200);
    assert!(report.held_back.is_some_and(|held_back| held_back >= Duration::from_millis(500)));
    assert!(report.message.ends_with("; started over once, when the app came back"), "{}", report.message);
}

#[tokio::test]
async fn an_app_that_does_not_come_back_was_not_warmed() {
    let control_plane = ControlPlane::start().await;
    let port = Port::reserve();
    let limits = Limits { success_threshold: 0.0, ..Limits::default() };
    let plan = Plan { limits, ..plan(port.address.port(), 1_000, 5_000) };
    let setting = Setting::new(&plan, &control_plane);
    let crash = async {
        let app = App::on(port.listen(), |_| Reply::Status(200));
        asked(&app, 10).await;
        app.paths().len()
    };
    let ((), answered) = tokio::join!(setting.live(), crash);
    let report = control_plane.report();
    assert_eq!((report.success, report.ended_by, report.restarts), (false, EndedBy::Time, 0));
    assert!(report.request_count as usize >= answered && report.failed_count > 0, "{}", report.message);
    let end = "; the app takes no connections any more";
    assert!(report.message.ends_with(end), "{}", report.message);
}
