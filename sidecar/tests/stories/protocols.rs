//! Each protocol that a plan may name.

use http::Version;
use proto::{
    plan::{Header, Plan, Probe, Protocol, Request, Shape},
    report::Report,
};

use crate::{
    app,
    control_plane::ControlPlane,
    setting::{Setting, quick},
    versions::{App, Manner, Speaks, mute},
};

async fn carry_out(plan: &Plan) -> Report {
    let control_plane = ControlPlane::start().await;
    Setting::new(plan, &control_plane).live().await;
    control_plane.report()
}

fn by(protocol: Protocol, port: u16, count: u32) -> Plan {
    let mut plan = quick(port, count, 60_000);
    plan.steps[0].requests[0].protocol = protocol;
    plan
}

async fn warm(protocol: Protocol, manner: Manner, count: u32) -> (Report, App) {
    let app = App::start(manner).await;
    let report = carry_out(&by(protocol, app.port, count)).await;
    (report, app)
}

#[tokio::test]
async fn https_takes_any_certificate_and_the_version_that_the_app_prefers() {
    for (speaks, version) in [(Speaks::Tls, Version::HTTP_11), (Speaks::TlsHttp2, Version::HTTP_2)] {
        let app = App::start(Manner::of(speaks)).await;
        let mut plan = by(Protocol::Https, app.port, 10);
        // One after the other, however busy the machine is.
        plan.limits.concurrency = 1;
        plan.shape = Shape::Paced { duration_ms: 1_000, ramp_ms: 0 };
        let report = carry_out(&plan).await;
        assert_eq!((report.request_count, report.failed_count), (10, 0), "{speaks:?}: {}", report.message);
        assert_eq!(report.connections, 1, "{speaks:?}");
        assert!(app.seen().iter().all(|seen| seen.version == version), "{speaks:?}");
    }
}

#[tokio::test]
async fn h2c_speaks_http2_in_clear_text_from_the_first_byte() {
    let (report, app) = warm(Protocol::H2c, Manner::of(Speaks::Clear), 10).await;
    assert_eq!((report.request_count, report.failed_count, report.connections), (10, 0, 1));
    for seen in app.seen() {
        assert_eq!((seen.version, seen.host.as_deref()), (Version::HTTP_2, None));
        assert_eq!(seen.authority, Some(format!("127.0.0.1:{}", app.port)));
    }
}

#[tokio::test]
async fn a_virtual_host_is_named_in_either_version() {
    for (protocol, version) in [(Protocol::Http, Version::HTTP_11), (Protocol::H2c, Version::HTTP_2)] {
        let app = App::start(Manner::of(Speaks::Clear)).await;
        let mut plan = by(protocol, app.port, 1);
        let headers = vec![Header { name: "Host".to_owned(), value: "shop.example".to_owned() }];
        plan.steps[0].requests[0] = Request { protocol, headers, ..Request::get("/cart") };
        assert_eq!(carry_out(&plan).await.failed_count, 0);
        let seen = app.seen().pop().unwrap();
        assert_eq!((seen.version, seen.path.as_str()), (version, "/cart"));
        assert_eq!(seen.authority.or(seen.host).as_deref(), Some("shop.example"));
    }
}

#[tokio::test]
async fn a_plans_method_headers_and_body_are_sent_as_they_are() {
    for (protocol, speaks) in [
        (Protocol::Http, Speaks::Clear),
        (Protocol::H2c, Speaks::Clear),
        (Protocol::Https, Speaks::Tls),
        (Protocol::Https, Speaks::TlsHttp2),
    ] {
        let app = App::start(Manner::of(speaks)).await;
        let mut plan = by(protocol, app.port, 3);
        let headers = vec![Header { name: "Content-Type".to_owned(), value: "application/json".to_owned() }];
        plan.steps[0].requests[0] = Request {
            protocol,
            method: "POST".to_owned(),
            headers,
            body: Some(r#"{"sku": "ä"}"#.to_owned()),
            ..Request::get("/cart")
        };
        assert_eq!(carry_out(&plan).await.failed_count, 0, "{protocol:?}");
        let seen = app.seen();
        assert_eq!(seen.len(), 3, "{protocol:?}");
        for seen in seen {
            assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/cart"));
            assert_eq!(
                (seen.kind.as_deref(), &*seen.body),
                (Some("application/json"), r#"{"sku": "ä"}"#.as_bytes())
            );
        }
    }
}

#[tokio::test]
async fn a_probes_virtual_host_is_named() {
    for (protocol, speaks) in [(Protocol::Http, Speaks::Clear), (Protocol::Https, Speaks::TlsHttp2)] {
        let app = App::start(Manner::of(speaks)).await;
        let headers = vec![Header { name: "Host".to_owned(), value: "shop.example".to_owned() }];
        let probe = Probe::HttpGet { port: app.port, path: "/ready".to_owned(), protocol, headers };
        carry_out(&Plan { wait: probe, ..by(protocol, app.port, 1) }).await;
        assert_eq!(app.seen()[0].host.as_deref(), Some("shop.example"), "{protocol:?}");
    }
}

#[tokio::test]
async fn an_app_that_refuses_http2_streams_has_closed_them_and_speaks_http() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let refusing = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut connection) = h2::server::handshake(stream).await else { continue };
            tokio::spawn(async move {
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                }
            });
        }
    });
    let report = carry_out(&by(Protocol::H2c, port, 2)).await;
    refusing.abort();
    assert!(report.message.ends_with("; 2 x connection closed"), "{}", report.message);
}

#[tokio::test]
async fn an_app_that_closes_its_http2_connections_costs_no_request() {
    let manner = Manner { per_connection: Some(3), ..Manner::of(Speaks::Clear) };
    let (report, app) = warm(Protocol::H2c, manner, 12).await;
    assert_eq!((report.request_count, report.failed_count), (12, 0), "{}", report.message);
    // A request that leaves while a connection is being closed may still be answered on it.
    assert!((3..=12).contains(&report.connections), "{}", report.connections);
    assert!(app.seen().len() >= 12);
}

#[tokio::test]
async fn a_body_above_the_limit_does_not_end_an_http2_connection() {
    let manner = Manner { body: 3 << 20, ..Manner::of(Speaks::TlsHttp2) };
    let (report, _app) = warm(Protocol::Https, manner, 5).await;
    assert_eq!((report.request_count, report.failed_count), (5, 0));
    assert!(report.connections < 5, "{}", report.connections);
}

#[tokio::test]
async fn an_app_that_does_not_speak_the_protocol_is_said_not_to() {
    let old = app::App::start(|_| app::Reply::Status(200)).await;
    let clear = App::start(Manner::of(Speaks::Clear)).await;
    let tls = App::start(Manner::of(Speaks::Tls)).await;
    for (protocol, port, cause) in [
        (Protocol::Https, clear.port, "TLS handshake failed"),
        (Protocol::H2c, old.port, "not HTTP"),
        (Protocol::Http, tls.port, "not HTTP"),
    ] {
        let report = carry_out(&by(protocol, port, 2)).await;
        assert_eq!((report.failed_count, report.success), (2, false), "{protocol:?}");
        assert!(report.message.contains(&format!("2 x {cause}")), "{protocol:?}: {}", report.message);
    }
}

#[tokio::test]
async fn an_app_that_accepts_and_says_nothing_times_out_in_each_protocol() {
    let (port, _mute) = mute().await;
    for protocol in [Protocol::Https, Protocol::H2c] {
        let sender = sidecar::adapters::app::send::Sender::to(([127, 0, 0, 1], port).into(), 1);
        let request = http::Request::get("/").body(bytes::Bytes::new()).unwrap();
        let answer = sender.send(protocol, request, std::time::Duration::from_millis(100)).await;
        assert_eq!(answer.outcome.to_string(), "timed out", "{protocol:?}");
    }
}

#[tokio::test]
async fn an_https_probe_is_asked_over_tls() {
    let app = App::start(Manner::of(Speaks::TlsHttp2)).await;
    let probe = Probe::HttpGet {
        port: app.port,
        path: "/ready".to_owned(),
        protocol: Protocol::Https,
        headers: Vec::new(),
    };
    let report = carry_out(&Plan { wait: probe, ..by(Protocol::Https, app.port, 1) }).await;
    assert_eq!((report.request_count, report.failed_count), (1, 0));
    let seen: Vec<_> = app.seen().into_iter().map(|seen| (seen.path, seen.version)).collect();
    assert_eq!(seen, [("/ready".to_owned(), Version::HTTP_11), ("/".to_owned(), Version::HTTP_2)]);
}
