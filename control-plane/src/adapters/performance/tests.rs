use axum::{body::Body, http::Request};
use clap::Parser;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::ground::performance::{Ending, Parts, Review};

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    args: PerformanceArgs,
}

fn args(flags: &[&str]) -> Result<PerformanceArgs, clap::Error> {
    Flags::try_parse_from([&["kube-booster"], flags].concat()).map(|flags| flags.args)
}

async fn asked(performance: &Performance) -> Value {
    let request = Request::get(PATH).body(Body::empty()).unwrap();
    let answer = performance.router().oneshot(request).await.unwrap();
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[test]
fn flags_are_as_in_go_and_values_have_units() {
    let usual = args(&[]).unwrap();
    assert!(!usual.enable_webhook_performance_tracking);
    assert_eq!(usual.webhook_gc_threshold, 100_000_000);
    assert_eq!(usual.webhook_slow_request_threshold, Duration::from_millis(500));
    for (flag, is_on) in [("", true), ("=true", true), ("=false", false)] {
        let flag = format!("--enable-webhook-performance-tracking{flag}");
        assert_eq!(args(&[&flag]).unwrap().enable_webhook_performance_tracking, is_on);
    }
    for (value, bytes) in [("200000000", 200_000_000), ("64Mi", 64 << 20), ("0", 0), ("0.5GB", 500_000_000)] {
        let read = args(&[&format!("--webhook-gc-threshold={value}")]).unwrap();
        assert_eq!(read.webhook_gc_threshold, bytes);
    }
}

#[test]
fn a_flag_that_means_nothing_is_refused_with_what_to_write() {
    for (flag, advice) in [
        ("--webhook-performance-window=1s", "from 10s to 1h"),
        ("--webhook-performance-window=60", "use one such as"),
        ("--webhook-gc-threshold=much", "such as 100MB or 64Mi"),
        ("--webhook-gc-threshold=-1", "such as 100MB or 64Mi"),
    ] {
        let error = args(&[flag]).unwrap_err().to_string();
        assert!(error.contains(advice), "{flag}: {error}");
    }
}

#[tokio::test]
async fn a_snapshot_tells_of_reviews_where_they_are_tracked_and_of_memory_always() {
    let performance = Performance::new(&args(&[]).unwrap(), 3, Metrics::default());
    let answer = asked(&performance).await;
    assert_eq!(answer.get("webhook"), None);
    assert!(answer["memory"]["residentBytes"].as_u64().unwrap() > 1 << 20);
    assert!(performance.tracked().is_none());

    let tracking = args(&["--enable-webhook-performance-tracking"]).unwrap();
    let performance = Performance::new(&tracking, 3, Metrics::default());
    let tracker = performance.tracked().unwrap().tracker;
    tracker.arrived();
    let took = Duration::from_millis(2);
    let (ending, waited) = (Ending::Answered, Duration::ZERO);
    let review = Review { ending, took, waited, parts: Parts::default(), is_slow: false };
    tracker.ended(&review, false, Instant::now());
    let answer = asked(&performance).await;
    assert_eq!((&answer["webhook"]["slots"], &answer["webhook"]["running"]), (&3.into(), &0.into()));
    for span in ["window", "sinceStart"] {
        let figures = &answer["webhook"][span];
        assert_eq!((&figures["requests"], &figures["durations"]["maxSeconds"]), (&1.into(), &0.002.into()));
    }
    assert_eq!(answer["webhookTasks"]["polls"], 0);
}

#[tokio::test(start_paused = true)]
async fn the_process_is_looked_at_every_five_seconds() {
    let (args, metrics) = (args(&[]).unwrap(), Metrics::default());
    let performance = Performance::new(&args, 1, metrics.clone());
    let looks = async {
        tokio::time::sleep(2 * LOOK).await;
        metrics.encode()
    };
    let text = tokio::select! {
        text = looks => text,
        () = performance.clone().watch(&args) => unreachable!("it has no end"),
    };
    assert!(text.contains(r#"kube_booster_memory_bytes{kind="resident"}"#), "{text}");
    assert!(text.contains("kube_booster_runtime_tasks"), "{text}");
    assert!(performance.latest().1.resident_bytes.is_some());
}

#[tokio::test(start_paused = true)]
async fn past_the_threshold_memory_is_asked_for_once_per_interval() {
    let args = args(&["--webhook-gc-threshold=1", "--webhook-gc-min-interval=1h"]).unwrap();
    let metrics = Metrics::default();
    let performance = Performance::new(&args, 1, metrics.clone());
    let purged = async {
        while performance.latest().1.purges == 0 {
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(3 * LOOK).await;
    };
    tokio::select! {
        () = purged => {}
        () = performance.clone().watch(&args) => unreachable!("it has no end"),
    }
    assert!(metrics.encode().contains("kube_booster_memory_purges_total 1\n"));
}
