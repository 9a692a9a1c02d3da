//! The way of the report to the control plane.

use std::{fs, time::Duration};

use proto::{
    names::{PLAN_ENV, REPORT_FILE, TOKEN_FILE},
    plan::{Limits, MAX_CONCURRENCY, MAX_REQUESTS, Plan},
    report::{EndedBy, Reason, Record, Report},
    v1::{Directive, Progress},
};
use sidecar::ground::patience::Patience;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::{Instant, sleep},
};
use tonic::Code;

use crate::{
    app::{App, Reply},
    control_plane::{Authority, ControlPlane},
    setting::{POD_UID, Setting, http_probe, plan},
};

#[tokio::test]
async fn a_control_plane_that_comes_late_gets_the_report() {
    let app = App::start(|_| Reply::Status(200)).await;
    let authority = Authority::new();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let setting = Setting::at(&plan(app.port, 2, 20), &address.to_string(), &authority.pem);
    let late = async {
        sleep(Duration::from_millis(500)).await;
        ControlPlane::on(socket.listen(16).unwrap(), &authority)
    };
    let ((), control_plane) = tokio::join!(setting.live(), late);
    assert_eq!(control_plane.report().request_count, 2);
}

#[tokio::test]
async fn a_busy_control_plane_is_asked_again() {
    let app = App::start(|_| Reply::Status(200)).await;
    let control_plane = ControlPlane::start().await;
    control_plane.desk.lock().unwrap().refusals = [Code::Unavailable, Code::Unavailable].into();
    Setting::new(&plan(app.port, 2, 20), &control_plane).live().await;
    assert_eq!(control_plane.report().request_count, 2);
    assert_eq!(app.paths().len(), 2);
}

#[tokio::test]
async fn the_token_is_read_again_for_each_try() {
    let app = App::start(|_| Reply::After(Duration::from_millis(200), 200)).await;
    let control_plane = ControlPlane::start().await;
    control_plane.desk.lock().unwrap().refusals = [Code::Unauthenticated].into();
    let setting = Setting::new(&plan(app.port, 1, 10), &control_plane);
    let renewal = async {
        while control_plane.desk.lock().unwrap().tokens.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        fs::write(setting.mount.path().join(TOKEN_FILE), "second").unwrap();
    };
    tokio::join!(setting.live(), renewal);
    let desk = control_plane.desk.lock().unwrap();
    assert_eq!(desk.tokens, ["Bearer first", "Bearer second", "Bearer second"]);
}

#[tokio::test]
async fn the_control_plane_hears_that_the_requests_start() {
    let app = App::start(|_| Reply::Status(200)).await;
    let control_plane = ControlPlane::start().await;
    Setting::new(&plan(app.port, 2, 20), &control_plane).live().await;
    let desk = control_plane.desk.lock().unwrap();
    assert_eq!(desk.begun.len(), 1);
    assert_eq!((desk.begun[0].progress(), desk.begun[0].app_wait.is_some()), (Progress::Starting, true));
}

/// However busy this machine is, the control plane's word comes before the first request.
fn polite() -> Patience {
    Patience { start: Duration::from_secs(15), word: Duration::from_secs(15), ..Patience::default() }
}

#[tokio::test]
async fn only_a_short_plan_keeps_its_connection_for_the_report() {
    for (millis, connections) in [(20, 1), (5_000, 2)] {
        // The app takes its time, so that the connection stands when it answers.
        let app = App::start(|index| Reply::Status(if index < 5 { 503 } else { 200 })).await;
        let control_plane = ControlPlane::start().await;
        let plan = Plan { wait: http_probe(app.port), ..plan(app.port, 1, millis) };
        Setting::new(&plan, &control_plane).live_with(&polite()).await;
        let desk = control_plane.desk.lock().unwrap();
        assert_eq!(desk.connections, connections, "over {millis} ms");
    }
}

#[tokio::test]
async fn a_pod_whose_gate_is_open_is_not_warmed() {
    let app = App::start(|_| Reply::Status(200)).await;
    let control_plane = ControlPlane::start().await;
    control_plane.desk.lock().unwrap().directive = Directive::Park;
    Setting::new(&plan(app.port, 2, 20), &control_plane).live_with(&polite()).await;
    assert!(app.paths().is_empty());
    assert!(control_plane.desk.lock().unwrap().reports.is_empty());
}

#[tokio::test]
async fn a_pod_whose_gate_turns_out_to_be_open_is_warmed_no_further() {
    let app = App::start(|_| Reply::Status(200)).await;
    let control_plane = ControlPlane::start().await;
    control_plane.desk.lock().unwrap().directive = Directive::Park;
    let hasty = Patience { start: Duration::ZERO, word: Duration::from_secs(15), ..Patience::default() };
    Setting::new(&plan(app.port, 12_000, 300_000), &control_plane).live_with(&hasty).await;
    assert!(control_plane.desk.lock().unwrap().reports.is_empty());
}

#[tokio::test]
async fn a_control_plane_that_says_nothing_holds_up_no_warm_up() {
    let app = App::start(|_| Reply::Status(200)).await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let patience = Patience {
        start: Duration::from_millis(10),
        word: Duration::from_millis(100),
        report: Duration::from_millis(100),
        ..Patience::default()
    };
    Setting::at(&plan(app.port, 2, 20), &address, &Authority::new().pem).live_with(&patience).await;
    assert_eq!(app.paths().len(), 2);
}

#[tokio::test]
async fn a_control_plane_with_a_foreign_certificate_gets_no_report() {
    let app = App::start(|_| Reply::Status(200)).await;
    let control_plane = ControlPlane::start().await;
    let patience = Patience { report: Duration::from_millis(300), ..Patience::default() };
    let address = control_plane.address.to_string();
    Setting::at(&plan(app.port, 2, 20), &address, &Authority::new().pem).live_with(&patience).await;
    let desk = control_plane.desk.lock().unwrap();
    assert!(desk.tokens.is_empty() && desk.connections > 0, "{desk:?}");
}

#[tokio::test]
async fn a_control_plane_that_answers_nothing_is_asked_again() {
    let app = App::start(|_| Reply::Status(200)).await;
    let control_plane = ControlPlane::start().await;
    control_plane.desk.lock().unwrap().unanswered = 2;
    let patience = Patience { answer: Duration::from_millis(300), ..Patience::default() };
    Setting::new(&plan(app.port, 2, 20), &control_plane).live_with(&patience).await;
    assert_eq!(control_plane.report().request_count, 2);
    assert_eq!(app.paths().len(), 2);
}

#[tokio::test]
async fn a_control_plane_that_is_replaced_with_another_certificate_gets_the_report() {
    let app = App::start(|_| Reply::After(Duration::from_millis(300), 200)).await;
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut first = ControlPlane::on(listener, &authority);
    first.desk.lock().unwrap().refusals = [Code::Unavailable; 1_000].into();
    let setting = Setting::new(&plan(app.port, 1, 10), &first);
    let replacement = async {
        while first.desk.lock().unwrap().tokens.len() < 2 {
            sleep(Duration::from_millis(5)).await;
        }
        first.stop().await;
        ControlPlane::on(TcpListener::bind(address).await.unwrap(), &authority)
    };
    let ((), second) = tokio::join!(setting.live(), replacement);
    assert_eq!((second.report().request_count, app.paths().len()), (1, 1));
}

/// How often the sidecar connects within a second to a control plane that closes each connection at once.
async fn tries_in_a_second() -> u32 {
    let app = App::start(|_| Reply::Status(200)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let setting = Setting::at(&plan(app.port, 2, 20), &address, &Authority::new().pem);
    let patience = Patience { report: Duration::from_secs(1), ..Patience::default() };
    let mut tries = 0;
    let count = async {
        while listener.accept().await.is_ok() {
            tries += 1;
        }
    };
    tokio::select! {
        () = setting.live_with(&patience) => {}
        () = count => {}
    }
    tries
}

#[tokio::test]
async fn a_control_plane_that_closes_connections_is_not_hammered() {
    let start = Instant::now();
    let tries = tries_in_a_second().await;
    // Pauses of 50, 100, 200 and 400 ms at least, and some tries while the app was waited for; a slow machine has more time.
    let most = 12 + u32::try_from(start.elapsed().as_secs()).unwrap();
    assert!((2..=most).contains(&tries), "{tries} tries");
}

#[tokio::test]
async fn a_token_that_comes_late_is_waited_for() {
    let app = App::start(|_| Reply::Status(200)).await;
    let control_plane = ControlPlane::start().await;
    let setting = Setting::new(&plan(app.port, 2, 20), &control_plane);
    let token = setting.mount.path().join(TOKEN_FILE);
    fs::remove_file(&token).unwrap();
    let late = async {
        while app.paths().len() < 2 {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_millis(200)).await;
        fs::write(&token, "late").unwrap();
    };
    tokio::join!(setting.live(), late);
    assert_eq!(control_plane.report().request_count, 2);
    assert_eq!(control_plane.desk.lock().unwrap().tokens, ["Bearer late"]);
}

#[tokio::test]
async fn a_plan_beyond_the_caps_is_carried_out_within_them() {
    let app = App::start(|_| Reply::After(Duration::from_millis(5), 200)).await;
    let control_plane = ControlPlane::start().await;
    let mut plan = plan(app.port, u32::MAX, 300);
    plan.limits = Limits { concurrency: u32::MAX, success_threshold: 0.0, ..Limits::default() };
    Setting::new(&plan, &control_plane).live().await;
    let report = control_plane.report();
    assert_eq!(report.planned_count, MAX_REQUESTS);
    assert!(report.request_count <= MAX_REQUESTS, "{}", report.message);
    assert!(app.seen.lock().unwrap().most_in_flight <= MAX_CONCURRENCY as usize);
}

#[tokio::test]
async fn a_pod_that_has_its_report_is_left_alone() {
    let app = App::start(|_| Reply::Status(200)).await;
    for (uid, requests) in [(POD_UID, 0), ("another", 2)] {
        let control_plane = ControlPlane::start().await;
        let setting = Setting::new(&plan(app.port, 2, 20), &control_plane);
        let report = Report::without_requests(EndedBy::Count, std::time::SystemTime::now(), "warm");
        let record = Record::new(uid, Reason::WarmupSucceeded, report).to_annotation();
        fs::write(setting.mount.path().join(REPORT_FILE), record).unwrap();
        setting.live().await;
        assert_eq!(app.paths().len(), requests, "with the record of {uid}");
        assert_eq!(control_plane.desk.lock().unwrap().reports.len(), requests / 2);
    }
}

#[tokio::test]
async fn a_plan_that_cannot_be_carried_out_is_reported() {
    let app = App::start(|_| Reply::Status(200)).await;
    let mut wrong = plan(app.port, 2, 20);
    wrong.steps[0].requests[0].method = "G T".to_owned();
    for (text, why) in [("{", "not readable"), (&wrong.to_json(), "not an HTTP method")] {
        let control_plane = ControlPlane::start().await;
        let mut setting = Setting::new(&wrong, &control_plane);
        setting.variables.insert(PLAN_ENV.to_owned(), text.to_owned());
        setting.live().await;
        let report = control_plane.report();
        assert_eq!((report.ended_by, report.success), (EndedBy::BadPlan, false));
        assert!(report.message.contains(PLAN_ENV) && report.message.contains(why), "{}", report.message);
    }
    assert!(app.paths().is_empty());
}
