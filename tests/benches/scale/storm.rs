//! All waiting pods report at once, each on a TLS connection of its own.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tests::usage::{forget_peak, memory, processor_time};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    bench::Bench,
    latencies::Latencies,
    sidecar::{Contact, Taken},
};

/// Connections that are being opened at once where nothing else is measured.
const HANDS: usize = 32;
/// What is still under way in the control plane has ended by then.
const AFTERMATH: Duration = Duration::from_secs(2);

/// Measures with as many waiting pods as there are, and leaves their gates open.
#[expect(clippy::cast_precision_loss)]
pub(crate) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let (pid, count) = (bench.pid()?, bench.pods.len());
    let handshakes = handshakes(bench).await?;
    bench.say(&format!("a storm of {count} reports"));
    forget_peak(pid)?;
    let (before, start) = (processor_time(pid)?, Instant::now());
    let taken = all_report(bench).await;
    let lasted = start.elapsed();
    sleep(AFTERMATH).await;
    let used = processor_time(pid)?.saturating_sub(before);
    let peak = memory(pid)?.peak;
    let opened = bench.opened().await?;
    let latencies: Latencies = taken.iter().map(|taken| taken.latency).collect();
    let tries: u32 = taken.iter().map(|taken| taken.tries).sum();
    let figures = &mut bench.figures;
    figures.set("storm_reports", count as f64);
    figures.set("storm_cpu_seconds", used.as_secs_f64());
    figures.set("storm_handshakes_cpu_seconds", handshakes.as_secs_f64());
    figures.set("storm_lost", count.saturating_sub(opened) as f64);
    figures.set("storm_lasted_seconds", lasted.as_secs_f64());
    figures.set("storm_tries", f64::from(tries));
    figures.set("storm_report_to_true_p50_seconds", latencies.quantile(0.5));
    figures.set("storm_report_to_true_p99_seconds", latencies.quantile(0.99));
    figures.set("storm_peak_bytes", peak as f64);
    Ok(())
}

async fn all_report(bench: &Bench) -> Vec<Taken> {
    let start = Instant::now();
    let mut sidecars = JoinSet::new();
    for pod in bench.pods.clone() {
        let contact = bench.contact.clone();
        sidecars.spawn(async move { contact.report(&pod.token, start).await });
    }
    sidecars.join_all().await.into_iter().flatten().collect()
}

/// What as many connections cost the control plane on which nothing is said.
async fn handshakes(bench: &Bench) -> anyhow::Result<Duration> {
    let before = processor_time(bench.pid()?)?;
    let connect = async |contact: Contact, token: Arc<str>| contact.connect(&token).await.map(drop);
    let all = bench.pods.iter().map(|pod| connect(bench.contact.clone(), Arc::clone(&pod.token)));
    stream::iter(all).buffer_unordered(HANDS).for_each(async |_| {}).await;
    Ok(processor_time(bench.pid()?)?.saturating_sub(before))
}
