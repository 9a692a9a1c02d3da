//! What holds for whatever comes from outside; `cargo test` holds it to the corpus, `make fuzz` to what a fuzzer makes up.

use prost::Message;
use proto::{
    plan::{MAX_CONCURRENCY, MAX_DURATION, MAX_REQUESTS, Plan},
    report::{MAX_ANNOTATION, MAX_MESSAGE, Reason, Record, Report},
    v1,
};

/// A UUID, as a pod's UID is.
const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

/// A plan is refused, or within bounds and written as it was read.
///
/// # Panics
/// Where that does not hold.
pub fn plan(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(plan) = Plan::from_env_value(text) else { return };
    assert!((1..=MAX_REQUESTS).contains(&plan.request_count()));
    assert!(plan.steps.iter().all(|step| !step.requests.is_empty() && step.count > 0));
    assert!((1..=MAX_CONCURRENCY).contains(&plan.limits.concurrency));
    assert!((0.0..=1.0).contains(&plan.limits.success_threshold));
    assert!(plan.shape.duration() <= MAX_DURATION);
    assert_eq!(Plan::from_env_value(&plan.to_env_value()).expect("our own plan is readable"), plan);
}

/// An annotation is no record, or one that fits into an annotation and is read there again.
///
/// # Panics
/// Where that does not hold.
pub fn record(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(record) = Record::of_pod(UID, text) {
        fits(&record);
    }
}

/// A message is refused, or makes a report that fits into an annotation and becomes a message again.
///
/// # Panics
/// Where that does not hold.
pub fn result(data: &[u8]) {
    let Ok(message) = v1::Result::decode(data) else { return };
    let Ok(report) = Report::try_from(message) else { return };
    fits(&Record::new(UID, Reason::WarmupSucceeded, report));
}

fn fits(record: &Record) {
    let Report { message, .. } = &record.report;
    assert!((0.0..=1.0).contains(&record.report.success_rate()), "{message}");
    assert!(record.report.summary().len() <= MAX_MESSAGE);
    let text = record.to_annotation();
    assert!(text.len() <= MAX_ANNOTATION, "{} bytes: {text}", text.len());
    let read = Record::of_pod(UID, &text).expect("our own record is readable");
    assert_eq!(read.to_annotation(), text);
    let _ = v1::Result::from(&read.report).encode_to_vec();
}
