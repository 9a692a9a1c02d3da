//! The plan that a pod's settings and target make.

use proto::plan::{self, Limits, MAX_CONCURRENCY, Plan, Protocol, Request, Shape, Step};

use super::{
    annotations::{Concurrency, Settings},
    target::Target,
};

/// One step with one request for each path, or with the one gRPC call.
#[must_use]
pub fn make(settings: &Settings, target: Target, trace_id: &str) -> Plan {
    Plan {
        version: plan::VERSION,
        trace_id: trace_id.to_owned(),
        port: target.port,
        steps: vec![Step { requests: requests(settings, target.paths), count: settings.requests.get() }],
        shape: settings.shape,
        until: settings.until,
        limits: Limits {
            concurrency: settings.concurrency.map_or(usual_concurrency(settings.shape), Concurrency::get),
            connections: settings.connections.get(),
            retries: settings.retries.get(),
            success_threshold: settings.success_threshold.share(),
        },
        wait: target.wait,
    }
}

fn requests(settings: &Settings, paths: Vec<String>) -> Vec<Request> {
    let protocol = settings.protocol;
    match (protocol, &settings.call) {
        (Protocol::Grpc, Some(call)) => vec![call.request()],
        _ => paths.into_iter().map(|path| Request { protocol, ..Request::get(path) }).collect(),
    }
}

/// Requests in flight at most where a pod says nothing: paced ones do not wait for each other.
fn usual_concurrency(shape: Shape) -> u32 {
    match shape {
        Shape::Paced { .. } => MAX_CONCURRENCY,
        Shape::BackToBack { .. } => 1,
    }
}

/// The trace id of an admission: its UID without dashes, which stays the same over retries and reinvocation.
/// A UID that is no UUID gives the hexadecimal form of its first bytes, padded.
#[must_use]
pub fn trace_id(admission_uid: &str) -> String {
    let hex: String =
        admission_uid.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_lowercase();
    // A trace id of zeros is invalid in W3C Trace Context.
    if hex.bytes().all(|byte| byte == b'0') { format!("{:032x}", 1) } else { format!("{hex:0<32.32}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ground::annotations;

    #[test]
    fn requests_back_to_back_leave_one_at_a_time_unless_the_pod_says_otherwise() {
        for (annotations, concurrency) in [
            ("{}", 64),
            (r#"{"kube-booster.io/warmup-timeout": "5s"}"#, 1),
            (r#"{"kube-booster.io/warmup-timeout": "5s", "kube-booster.io/warmup-concurrency": "8"}"#, 8),
        ] {
            let settings = annotations::read(&serde_json::from_str(annotations).unwrap()).unwrap();
            let wait = plan::Probe::TcpSocket { port: 1 };
            let plan = make(&settings, Target { port: 1, paths: vec!["/".to_owned()], wait }, "");
            assert_eq!(plan.limits.concurrency, concurrency, "{annotations}");
        }
    }

    #[test]
    fn a_trace_id_is_the_admissions_uid() {
        assert_eq!(trace_id("705ab4f5-6393-11e8-b7cc-42010a800002"), "705ab4f5639311e8b7cc42010a800002");
    }

    proptest! {
        #[test]
        fn every_trace_id_is_valid(uid in "\\PC{0,50}") {
            let id = trace_id(&uid);
            prop_assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) && id.bytes().any(|b| b != b'0'));
        }
    }
}
