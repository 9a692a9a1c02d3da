//! Memory that is asked for comes back: the control plane's allocator, in a process that has nothing else to do.

use std::time::Duration;

use control_plane::adapters::{
    metrics::Metrics,
    performance::{Performance, PerformanceArgs},
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Freed by the time of the first look.
const BURST: usize = 64 << 20;

fn burst() -> usize {
    // Pieces as large as reviews: what is larger than a page and smaller than what is mapped alone.
    let pieces: Vec<Vec<u8>> =
        (0..BURST / 16_384).map(|piece| vec![piece.to_le_bytes()[0]; 16_384]).collect();
    pieces.iter().map(Vec::len).sum()
}

#[tokio::test]
async fn what_a_burst_has_left_is_given_back_past_the_threshold() {
    let args = PerformanceArgs {
        enable_webhook_performance_tracking: false,
        webhook_performance_window: Duration::from_mins(1),
        webhook_slow_request_threshold: Duration::from_millis(500),
        webhook_gc_threshold: 1,
        webhook_gc_min_interval: Duration::ZERO,
    };
    let metrics = Metrics::default();
    let performance = Performance::new(&args, 1, metrics.clone());
    assert_eq!(burst(), BURST);
    let returned = async {
        loop {
            let text = metrics.encode();
            let line =
                text.lines().find_map(|line| line.strip_prefix("kube_booster_memory_returned_bytes_total "));
            let returned = line.map_or(0, |bytes| bytes.parse::<usize>().unwrap());
            if returned > BURST / 2 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        waited = tokio::time::timeout(Duration::from_secs(30), returned) => waited.expect("memory comes back"),
        () = performance.watch(&args) => unreachable!("it has no end"),
    }
}
