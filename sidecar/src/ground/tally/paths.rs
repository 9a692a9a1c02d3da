//! What became of each of the requests that a warm-up cycles through.

use std::time::Duration;

use proto::report::{PathReport, short_path};

use super::{Sample, count, nearest_rank};

/// Fewest requests in the last tenth for which its median tells anything.
const FEWEST: usize = 5;

/// One report for each of the requests with these `names`, where there are several and they were sent.
pub(super) fn reports(samples: &[Sample], names: &[String]) -> Vec<PathReport> {
    if names.len() < 2 {
        return Vec::new();
    }
    let of = |(kind, name): (usize, &String)| {
        let samples: Vec<&Sample> = samples.iter().filter(|sample| sample.kind == kind).collect();
        Some(PathReport {
            path: short_path(name),
            request_count: count(samples.len()),
            failed_count: count(samples.iter().filter(|sample| !sample.outcome.is_success()).count()),
            first_request: Some(samples.first()?.latency),
            warm_p50: warm_p50(&samples),
        })
    };
    names.iter().enumerate().filter_map(of).collect()
}

fn warm_p50(samples: &[&Sample]) -> Option<Duration> {
    let last = &samples[samples.len() - samples.len() / 10..];
    let mut latencies: Vec<Duration> = last.iter().map(|sample| sample.latency).collect();
    latencies.sort_unstable();
    nearest_rank(&latencies, 50).filter(|_| latencies.len() >= FEWEST)
}
