//! What programs of the first contract wrote, before ramps, retries, paths and service times, is understood for good: a
//! pod keeps its sidecar and its plan for as long as it lives, and its record longer.
//!
//! The files are as those programs wrote them, byte by byte; they are never made anew.

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use prost::Message;
use proto::{
    plan::{Header, Limits, Plan, Probe, Protocol, Request, Shape, Step, Until, VERSION},
    report::{EndedBy, Quantiles, Reason, Record, Report},
    v1::SubmitReportRequest,
};

const SUBMITTED: &[u8] = include_bytes!("recorded/first/submit_report");
const RECORD: &str = include_str!("recorded/first/record.json");
const PLAN: &str = include_str!("recorded/first/plan.json");
const POD_UID: &str = "12345678-1234-1234-1234-123456789012";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn report() -> Report {
    let started = UNIX_EPOCH + ms(1_790_000_000_123);
    Report {
        success: true,
        planned_count: 200,
        request_count: 198,
        failed_count: 3,
        latency: Some(Quantiles { p50: Duration::from_micros(4_321), p99: ms(210) }),
        first_request: Some(ms(1_210)),
        cold: Some(Quantiles { p50: ms(40), p99: ms(1_210) }),
        warm: Some(Quantiles { p50: ms(3), p99: ms(9) }),
        statuses: BTreeMap::from([(0, 1), (200, 195), (503, 2)]),
        connections: 2,
        app_wait: Some(ms(1_500)),
        lateness_p99: Some(Duration::from_micros(120)),
        ended: started + ms(10_050),
        message: "195/200 requests succeeded; 2 x 503, 1 x timed out; the time limit came first".to_owned(),
        ..Report::without_requests(EndedBy::Time, started, "")
    }
}

fn plan() -> Plan {
    let cookie = Header { name: "Cookie".to_owned(), value: "a=1".to_owned() };
    let search = Request { headers: vec![cookie], ..Request::get("/search?q=$(HOME)") };
    Plan {
        version: VERSION,
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        port: 8080,
        steps: vec![Step { requests: vec![Request::get("/"), search], count: 200 }],
        shape: Shape::Paced { duration_ms: 10_000, ramp_ms: 0 },
        until: Until::Count,
        limits: Limits { concurrency: 64, connections: 1, retries: 0, success_threshold: 0.5 },
        wait: Probe::HttpGet {
            port: 8081,
            path: "/ready".to_owned(),
            protocol: Protocol::Https,
            headers: vec![Header { name: "X-Probe".to_owned(), value: "1".to_owned() }],
        },
    }
}

/// The report in a submission, as the control plane reads it.
fn submitted(bytes: &[u8]) -> Report {
    let request = SubmitReportRequest::decode(bytes).expect("a submission");
    request.result.expect("a result").try_into().expect("a report")
}

#[test]
fn an_older_sidecars_report_is_understood() {
    assert_eq!(submitted(SUBMITTED), report());
}

#[test]
fn what_a_newer_sidecar_adds_to_a_report_is_ignored() {
    // Field 900 as a number, 901 as bytes: beside the result, and in it.
    let unknown: &[u8] = b"\xa0\x38\x07\xaa\x38\x03new";
    let mut beside = SUBMITTED.to_vec();
    beside.extend_from_slice(unknown);
    assert_eq!(submitted(&beside), report());
    // Fields of one message may come in parts, which are joined.
    let length = u8::try_from(unknown.len()).expect("a short field");
    let inside = [SUBMITTED, &[0x0a, length], unknown].concat();
    assert_eq!(submitted(&inside), report());
}

#[test]
fn an_end_that_only_a_newer_sidecar_knows_is_its_time_limit() {
    let mut request = SubmitReportRequest::decode(SUBMITTED).expect("a submission");
    let result = request.result.as_mut().expect("a result");
    result.ended_by = 77;
    assert_eq!(submitted(&request.encode_to_vec()).ended_by, EndedBy::Time);
}

#[test]
fn an_older_record_is_understood_and_stays_as_it_was() {
    let record = Record::of_pod(POD_UID, RECORD).expect("a record");
    assert_eq!(record, Record::new(POD_UID, Reason::WarmupSucceeded, report()));
    assert_eq!(record.to_annotation(), RECORD);
}

#[test]
fn what_a_newer_control_plane_adds_to_a_record_is_ignored() {
    let newer = RECORD.replacen('{', r#"{"colour":"green","#, 1).replacen(
        r#""report":{"#,
        r#""report":{"shape":{"of":1},"#,
        1,
    );
    assert_eq!(Record::of_pod(POD_UID, &newer).expect("a record").report, report());
}

#[test]
fn an_older_plan_is_read_by_a_newer_sidecar_and_written_alike_for_an_older_one() {
    assert_eq!(Plan::from_json(PLAN).expect("a plan"), plan());
    assert_eq!(plan().to_json(), PLAN);
}

#[test]
fn what_a_newer_control_plane_adds_to_a_plan_is_ignored() {
    let mut newer = PLAN.to_owned();
    for inside in [
        r#"{"version""#,
        r#"{"requests""#,
        r#"{"protocol""#,
        r#"{"durationMs""#,
        r#"{"concurrency""#,
        r#"{"port":8081"#,
    ] {
        assert!(newer.contains(inside), "{inside}");
        newer = newer.replace(inside, &inside.replacen('{', r#"{"colour":[1,{"a":"b"}],"#, 1));
    }
    assert_eq!(Plan::from_json(&newer).expect("a plan"), plan());
}
