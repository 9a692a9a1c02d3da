//! Before the app answers.

use std::time::Duration;

use proto::{
    names::POD_IPS_ENV,
    plan::Plan,
    report::EndedBy,
    v1::{Directive, Progress},
};
use sidecar::ground::patience::Patience;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::sleep,
};

use crate::{
    app::{App, Reply},
    control_plane::ControlPlane,
    setting::{Setting, http_probe, plan},
};

/// A port that is ours and on which nobody listens yet.
fn reserved() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn short() -> Patience {
    Patience { app: Duration::from_millis(400), silence: Duration::from_millis(100), ..Patience::default() }
}

#[tokio::test]
async fn an_app_that_listens_late_is_warmed() {
    let control_plane = ControlPlane::start().await;
    let (socket, port) = reserved();
    let setting = Setting::new(&plan(port, 3, 30), &control_plane);
    let late = async {
        sleep(Duration::from_millis(300)).await;
        App::on(socket.listen(16).unwrap(), |_| Reply::Status(200))
    };
    let ((), app) = tokio::join!(setting.live(), late);
    let report = control_plane.report();
    assert_eq!((report.request_count, report.failed_count), (3, 0));
    assert!(report.app_wait.is_some_and(|wait| wait >= Duration::from_millis(300)));
    assert_eq!(app.paths(), ["/", "/", "/"]);
}

#[tokio::test]
async fn requests_start_only_once_the_probe_is_answered_well() {
    let control_plane = ControlPlane::start().await;
    let app = App::start(|index| Reply::Status(if index < 3 { 503 } else { 200 })).await;
    let plan = Plan { wait: http_probe(app.port), ..plan(app.port, 2, 20) };
    Setting::new(&plan, &control_plane).live().await;
    assert_eq!(app.paths(), ["/up", "/up", "/up", "/up", "/", "/"]);
    assert!(app.seen.lock().unwrap().requests[0].1.contains("x-probe: yes"));
    assert_eq!(control_plane.report().failed_count, 0);
}

#[tokio::test]
async fn an_app_that_listens_on_the_pods_address_alone_is_warmed_there() {
    let control_plane = ControlPlane::start().await;
    // Linux answers on all of 127.0.0.0/8.
    let app = App::on(TcpListener::bind("127.0.0.2:0").await.unwrap(), |_| Reply::Status(200));
    let mut setting = Setting::new(&plan(app.port, 1, 10), &control_plane);
    setting.variables.insert(POD_IPS_ENV.to_owned(), "127.0.0.2".to_owned());
    setting.live().await;
    assert_eq!(control_plane.report().failed_count, 0);
    assert!(app.seen.lock().unwrap().requests[0].1.contains(&format!("host: 127.0.0.2:{}", app.port)));
}

#[tokio::test]
async fn an_app_on_ipv6_alone_is_warmed_there() {
    let control_plane = ControlPlane::start().await;
    let app = App::on(TcpListener::bind("[::1]:0").await.unwrap(), |_| Reply::Status(200));
    Setting::new(&plan(app.port, 1, 10), &control_plane).live().await;
    assert_eq!(control_plane.report().failed_count, 0);
    assert!(app.seen.lock().unwrap().requests[0].1.contains(&format!("host: [::1]:{}", app.port)));
}

#[tokio::test]
async fn a_probe_that_gets_no_answer_is_asked_again() {
    let control_plane = ControlPlane::start().await;
    let app = App::start(|index| if index == 0 { Reply::Silent } else { Reply::Status(200) }).await;
    let plan = Plan { wait: http_probe(app.port), ..plan(app.port, 1, 10) };
    Setting::new(&plan, &control_plane).live().await;
    assert_eq!(app.paths(), ["/up", "/up", "/"]);
}

#[tokio::test]
async fn an_app_that_needs_more_than_a_second_for_each_answer_is_warmed() {
    let control_plane = ControlPlane::start().await;
    let app = App::start(|_| Reply::After(Duration::from_millis(1_300), 200)).await;
    let plan = Plan { wait: http_probe(app.port), ..plan(app.port, 1, 10) };
    Setting::new(&plan, &control_plane).live().await;
    assert_eq!(control_plane.report().failed_count, 0);
    assert_eq!(app.paths().last().map(String::as_str), Some("/"));
}

#[tokio::test]
async fn an_app_that_never_answers_is_reported_with_what_was_tried() {
    let control_plane = ControlPlane::start().await;
    let (_socket, port) = reserved();
    Setting::new(&plan(port, 3, 30), &control_plane).live_with(&short()).await;
    let report = control_plane.report();
    assert_eq!((report.ended_by, report.success), (EndedBy::AppUnavailable, false));
    assert_eq!((report.request_count, report.planned_count, report.app_wait), (0, 3, None));
    let tried = format!("the app never answered: 127.0.0.1:{port} connection refused, [::1]:{port}");
    assert!(report.message.starts_with(&tried), "{}", report.message);
    assert!(report.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn a_long_silence_is_told_once() {
    let control_plane = ControlPlane::start().await;
    let (_socket, port) = reserved();
    Setting::new(&plan(port, 3, 30), &control_plane).live_with(&short()).await;
    let desk = control_plane.desk.lock().unwrap();
    assert_eq!(desk.begun.len(), 1);
    assert_eq!(desk.begun[0].progress(), Progress::WaitingForApp);
    assert!(desk.begun[0].message.contains(&format!("127.0.0.1:{port} connection refused")));
}

#[tokio::test]
async fn a_control_plane_that_wants_no_warm_up_ends_the_wait() {
    let control_plane = ControlPlane::start().await;
    control_plane.desk.lock().unwrap().directive = Directive::Park;
    let patience = Patience { app: Duration::from_mins(15), ..short() };
    let (_socket, port) = reserved();
    Setting::new(&plan(port, 3, 30), &control_plane).live_with(&patience).await;
    assert!(control_plane.desk.lock().unwrap().reports.is_empty());
}

#[tokio::test]
async fn an_app_that_is_bound_elsewhere_than_its_probe_is_warmed_where_it_is() {
    let control_plane = ControlPlane::start().await;
    let management = App::start(|_| Reply::Status(200)).await;
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let app = App::on(listener, |_| Reply::Status(200));
    let plan = Plan { wait: http_probe(management.port), ..plan(app.port, 2, 20) };
    let mut setting = Setting::new(&plan, &control_plane);
    setting.variables.insert(POD_IPS_ENV.to_owned(), "127.0.0.2".to_owned());
    setting.live().await;
    assert_eq!(control_plane.report().failed_count, 0);
    assert_eq!((management.paths(), app.paths()), (vec!["/up".to_owned()], vec!["/".to_owned(); 2]));
}
