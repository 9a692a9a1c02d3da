use proto::plan::{Limits, Probe, Protocol, Request, Shape, Step, Until, VERSION};

use super::*;
use crate::ground::chain::chain;

fn plan(path: &str) -> String {
    Plan {
        version: VERSION,
        trace_id: "0".repeat(32),
        port: 80,
        steps: vec![Step { requests: vec![Request::get(path)], count: 1 }],
        shape: Shape::Paced { duration_ms: 1, ramp_ms: 0 },
        until: Until::Count,
        limits: Limits { concurrency: 1, ..Limits::default() },
        wait: Probe::TcpSocket { port: 80 },
    }
    .to_json()
}

fn good(variable: &str) -> Option<String> {
    Some(match variable {
        PLAN_ENV => plan("/$(HOME)"),
        REPORT_ADDRESS_ENV => "[fd00::1]:9090".to_owned(),
        REPORT_SERVER_NAME_ENV => "reports.example".to_owned(),
        REPORT_CA_ENV => "-----BEGIN CERTIFICATE-----".to_owned(),
        POD_UID_ENV => "u1".to_owned(),
        POD_IPS_ENV => "10.0.0.7, fd00::7,127.0.0.1".to_owned(),
        _ => return None,
    })
}

fn check(variable: &str, value: Option<&str>, expected: &str) {
    let environment = |asked: &str| if asked == variable { value.map(str::to_owned) } else { good(asked) };
    let contact = Contact::read(&environment).map(drop);
    let problem = contact.and_then(|()| Errand::read(&environment).map(drop)).unwrap_err();
    assert_eq!(chain(&problem), format!("the environment variable {variable} {expected}"));
}

#[test]
fn each_bad_variable_is_named_with_what_is_wrong() {
    for variable in [PLAN_ENV, REPORT_ADDRESS_ENV, REPORT_SERVER_NAME_ENV, REPORT_CA_ENV, POD_UID_ENV] {
        check(variable, None, "is not set");
        check(variable, Some(" "), "is not set");
    }
    check(REPORT_ADDRESS_ENV, Some("reports.svc:9090"), "holds no IP address with a port");
    check(REPORT_CA_ENV, Some("nothing"), "holds no PEM certificate");
    check(POD_IPS_ENV, Some("10.0.0.7;10.0.0.8"), "holds no list of IP addresses");
}

#[test]
fn a_plan_that_cannot_be_carried_out_says_why() {
    let check = |plan: &str, why: &str| {
        check(PLAN_ENV, Some(plan), &format!("holds no plan that can be carried out: {why}"));
    };
    check("{", "the plan is not readable: EOF while parsing an object at line 1 column 1");
    check(r#"{"version":9}"#, "the plan has version 9, and this sidecar knows version 1");
    check(&plan("/a b"), r#""/a b" is not a path"#);
    let mut asking = Plan::from_json(&plan("/")).unwrap();
    asking.wait =
        Probe::HttpGet { port: 80, path: "a b".to_owned(), protocol: Protocol::Http, headers: vec![] };
    check(&asking.to_json(), r#"the probe cannot be sent: "a b" is not a path"#);
}

#[test]
fn the_app_is_sought_on_loopback_first_and_nowhere_twice() {
    let errand = Errand::read(&good).unwrap();
    let texts: Vec<_> = errand.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["127.0.0.1", "::1", "10.0.0.7", "fd00::7"]);
    let without_ips = |variable: &str| good(variable).filter(|_| variable != POD_IPS_ENV);
    assert_eq!(Errand::read(&without_ips).unwrap().addresses.len(), 2);
}

#[test]
fn the_kubelet_has_halved_the_dollars_already() {
    let errand = Errand::read(&good).unwrap();
    assert_eq!(errand.plan.steps[0].requests[0].path, "/$(HOME)");
}
