//! gRPC calls, by what the app tells of its services.

use std::time::Duration;

use proto::{
    plan::{GrpcCall, Header, Plan, Probe, Protocol, Request, Shape},
    report::{EndedBy, Report},
};
use sidecar::ground::patience::Patience;
use tokio::time::sleep;

use crate::{
    app,
    control_plane::ControlPlane,
    services::{App, Manner, Reflects},
    setting::{Setting, plan},
    versions,
};

const GET: &str = "kube_booster.v1.ReportService/GetReport";
const LIST: &str = "kube_booster.v1.ReportService/ListReports";

/// A plan of `count` calls.
fn calls(port: u16, method: &str, payload: &str, count: u32) -> Plan {
    let mut plan = plan(port, count, 100);
    let call = GrpcCall { method: method.to_owned(), payload: payload.to_owned() };
    plan.steps[0].requests[0] =
        Request { protocol: Protocol::Grpc, grpc: Some(call), ..Request::get(format!("/{method}")) };
    plan
}

async fn carry_out(plan: &Plan) -> Report {
    let control_plane = ControlPlane::start().await;
    Setting::new(plan, &control_plane).live().await;
    control_plane.report()
}

async fn call(manner: Manner, method: &str, payload: &str) -> (Report, App) {
    let app = App::start(manner).await;
    let report = carry_out(&calls(app.port, method, payload, 4)).await;
    (report, app)
}

/// The message about calls that were not made.
async fn refused(reflects: Reflects, method: &str, payload: &str) -> String {
    let (report, app) = call(Manner { reflects, ..Manner::default() }, method, payload).await;
    assert_eq!((report.ended_by, report.success), (EndedBy::BadPlan, false), "{}", report.message);
    assert_eq!((report.request_count, report.planned_count), (0, 4));
    assert!(app.messages().is_empty(), "{:?}", app.messages());
    report.message
}

#[tokio::test]
async fn a_method_is_called_with_the_message_that_the_apps_reflection_describes() {
    for reflects in [Reflects::V1, Reflects::V1Alpha] {
        for over_tls in [false, true] {
            let manner = Manner { reflects, over_tls };
            let (report, app) = call(manner, LIST, r#"{"labelSelector": "a=b", "page_size": 7}"#).await;
            assert_eq!((report.request_count, report.failed_count), (4, 0), "{manner:?}: {}", report.message);
            assert_eq!((report.success, report.ended_by), (true, EndedBy::Count));
            assert_eq!(report.statuses, [(200, 4)].into());
            let expected = r#"ListReportsRequest { namespace: "", label_selector: "a=b", page_size: 7, page_token: "" }"#;
            assert_eq!(app.messages(), [expected; 4], "{manner:?}");
        }
    }
}

#[tokio::test]
async fn a_call_is_marked_and_says_how_long_it_is_waited_for() {
    let app = App::start(Manner::default()).await;
    let mut plan = calls(app.port, GET, "{}", 1);
    plan.steps[0].requests[0].headers =
        vec![Header { name: "authorization".to_owned(), value: "Bearer a".to_owned() }];
    assert_eq!(carry_out(&plan).await.failed_count, 0);
    let metadata = app.metadata();
    let value = |name| metadata.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(value("grpc-timeout"), Some("10000m"));
    assert_eq!(value("x-warmup-request"), Some("true"));
    assert_eq!(value("authorization"), Some("Bearer a"));
    assert_eq!(value("user-agent"), Some("kube-booster/1.0"));
    assert!(value("traceparent").unwrap().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
}

#[tokio::test]
async fn a_call_that_fails_is_counted_and_its_status_named() {
    let (report, app) = call(Manner::default(), GET, r#"{"name": "away"}"#).await;
    assert_eq!((report.request_count, report.failed_count, report.success), (4, 4, false));
    assert_eq!(report.statuses, [(200, 4)].into(), "the HTTP status is 200 whatever gRPC says");
    assert!(report.message.ends_with("; 4 x gRPC UNAVAILABLE"), "{}", report.message);
    assert_eq!(app.messages().len(), 4);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_given_up() {
    let app = App::start(Manner::default()).await;
    let sender = sidecar::adapters::app::send::Sender::to(([127, 0, 0, 1], app.port).into(), 1);
    let body = sidecar::ground::grpc::frame(b"\x12\x04slow");
    let request = http::Request::post(format!("/{GET}")).header("content-type", "application/grpc");
    let request = request.header("host", "app").body(body).unwrap();
    let outcome = sender.send(Protocol::Grpc, request, Duration::from_millis(300)).await.outcome.to_string();
    // Whichever of the two clocks is the first.
    assert!(["timed out", "gRPC CANCELLED", "gRPC DEADLINE_EXCEEDED"].contains(&&*outcome), "{outcome}");
    assert!(app.messages()[0].contains("slow"), "{:?}", app.messages());
}

#[tokio::test]
async fn an_answer_above_the_limit_is_cut_and_counts_as_one() {
    let (report, _app) = call(Manner::default(), GET, r#"{"name": "long"}"#).await;
    assert_eq!((report.request_count, report.failed_count), (4, 0), "{}", report.message);
}

#[tokio::test]
async fn what_does_not_exist_is_named_and_not_called() {
    let message = refused(Reflects::V1, "shop.v1.Cart/Get", "{}").await;
    assert_eq!(message, "shop.v1.Cart/Get: the app has no such service; correct the gRPC method");
    let message = refused(Reflects::V1Alpha, "kube_booster.v1.ReportService/Got", "{}").await;
    let expected =
        "kube_booster.v1.ReportService/Got: the service has no such method; correct the gRPC method";
    assert_eq!(message, expected);
}

#[tokio::test]
async fn a_method_that_streams_is_named_and_not_called() {
    let message = refused(Reflects::V1, "kube_booster.v1.ReportService/WatchReports", "{}").await;
    let expected = "kube_booster.v1.ReportService/WatchReports: it streams, and only unary methods are called; choose \
                    another gRPC method";
    assert_eq!(message, expected);
}

#[tokio::test]
async fn a_payload_that_does_not_fit_is_refused_without_its_values() {
    for (payload, why) in [
        (r#"{"pageSize": 1, "page_sise": "secret"}"#, r#"its message has no field "page_sise""#),
        (r#"{"namespace": "a", "pageSize": "secret"}"#, r#"its field "pageSize" does not take that value"#),
    ] {
        let message = refused(Reflects::V1, LIST, payload).await;
        assert_eq!(message, format!("{LIST}: {why}; correct the gRPC payload"));
    }
}

#[tokio::test]
async fn without_reflection_a_payload_cannot_be_sent() {
    let message = refused(Reflects::Nothing, LIST, r#"{"pageSize": 1}"#).await;
    let expected = format!(
        "{LIST}: the app has no gRPC server reflection that answers (gRPC UNIMPLEMENTED); turn reflection on, or leave \
         the gRPC payload out"
    );
    assert_eq!(message, expected);
}

#[tokio::test]
async fn without_reflection_a_call_without_a_payload_is_made_all_the_same() {
    let nothing = Manner { reflects: Reflects::Nothing, ..Manner::default() };
    let (report, app) = call(nothing, LIST, " { } ").await;
    assert_eq!((report.request_count, report.failed_count, app.messages().len()), (4, 0, 4));
    let missing = "kube_booster.v1.ReportService/ListMissedPods";
    let (report, _app) = call(nothing, missing, "{}").await;
    assert_eq!((report.failed_count, report.success), (4, false));
    let ends = format!("; 4 x gRPC UNIMPLEMENTED; the app has no {missing}");
    assert!(report.message.ends_with(&ends), "{}", report.message);
}

#[tokio::test]
async fn reflection_that_leaves_a_service_out_is_believed() {
    let message = refused(Reflects::ItselfAlone, LIST, "{}").await;
    assert!(message.contains("the app has no such service"), "{message}");
}

#[tokio::test]
async fn an_app_that_does_not_speak_grpc_is_said_not_to() {
    let http1 = app::App::start(|_| app::Reply::Status(200)).await;
    let report = carry_out(&calls(http1.port, GET, "{}", 2)).await;
    assert_eq!((report.ended_by, report.success), (EndedBy::BadPlan, false));
    assert_eq!(report.message, format!("no gRPC with the app on port {}: not gRPC", http1.port));
    let http2 = versions::App::start(versions::Manner::of(versions::Speaks::Clear)).await;
    let report = carry_out(&calls(http2.port, GET, "{}", 2)).await;
    assert_eq!((report.request_count, report.failed_count, report.success), (2, 2, false));
    assert!(report.message.ends_with("; 2 x not gRPC"), "{}", report.message);
}

#[tokio::test]
async fn several_calls_are_made_in_turn_beside_requests() {
    let app = App::start(Manner::default()).await;
    let mut plan = calls(app.port, GET, r#"{"name": "a"}"#, 4);
    let list = calls(app.port, LIST, "{}", 1).steps.remove(0).requests.remove(0);
    let health = Request { protocol: Protocol::H2c, ..Request::get("/") };
    plan.steps[0].requests.extend([list, health]);
    // One after the other, however busy the machine is.
    plan.limits.concurrency = 1;
    plan.shape = Shape::Paced { duration_ms: 1_000, ramp_ms: 0 };
    let report = carry_out(&plan).await;
    assert_eq!((report.request_count, report.failed_count), (4, 0), "{}", report.message);
    assert_eq!(report.connections, 1);
    let called: Vec<_> = app.messages().iter().map(|message| message[..4].to_owned()).collect();
    assert_eq!(called, ["GetR", "List", "GetR"]);
}

#[tokio::test]
async fn an_app_on_ipv6_is_called_there() {
    let app = App::on("[::1]:0", Manner::default()).await;
    let report = carry_out(&calls(app.port, GET, "{}", 2)).await;
    assert_eq!((report.request_count, report.failed_count), (2, 0), "{}", report.message);
}

#[tokio::test]
async fn calls_start_once_the_health_service_says_that_the_app_serves() {
    for service in ["", "shop"] {
        let app = App::start(Manner::default()).await;
        app.serves(service, false).await;
        let probe = Probe::Grpc { port: app.port, service: service.to_owned() };
        let plan = Plan { wait: probe, ..calls(app.port, GET, "{}", 2) };
        let control_plane = ControlPlane::start().await;
        let setting = Setting::new(&plan, &control_plane);
        let late = async {
            sleep(Duration::from_millis(300)).await;
            assert!(app.messages().is_empty());
            app.serves(service, true).await;
        };
        tokio::join!(setting.live(), late);
        let report = control_plane.report();
        assert_eq!((report.request_count, report.failed_count), (2, 0), "{}", report.message);
        assert!(report.app_wait.is_some_and(|wait| wait >= Duration::from_millis(300)));
    }
}

#[tokio::test]
async fn an_app_whose_health_service_never_says_so_is_reported_with_what_it_said() {
    let grpc = App::start(Manner::default()).await;
    grpc.serves("", false).await;
    let http2 = versions::App::start(versions::Manner::of(versions::Speaks::Clear)).await;
    for (port, service, said) in
        [(grpc.port, "", "not serving"), (grpc.port, "shop", "gRPC NOT_FOUND"), (http2.port, "", "not gRPC")]
    {
        let probe = Probe::Grpc { port, service: service.to_owned() };
        let control_plane = ControlPlane::start().await;
        let patience = Patience { app: Duration::from_millis(300), ..Patience::default() };
        Setting::new(&Plan { wait: probe, ..plan(port, 1, 10) }, &control_plane).live_with(&patience).await;
        let report = control_plane.report();
        assert_eq!(report.ended_by, EndedBy::AppUnavailable);
        let tried = format!("127.0.0.1:{port} {said}");
        assert!(report.message.contains(&tried), "{}", report.message);
    }
}
