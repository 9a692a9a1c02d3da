//! What the webhook adds to the creation of a pod: the same API server with it and without it, in turn.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tests::usage::processor_time;
use tokio::time::Instant;

use super::{
    bench::{Bench, create},
    creation::{Created, Kind, OTHERS, WAITING},
    latencies::Latencies,
};

/// Pods that are created side by side.
const HANDS: usize = 8;

/// What all rounds found.
#[derive(Default)]
struct Samples {
    removed: Latencies,
    ready_made: Latencies,
    present: Latencies,
    unannotated: Latencies,
    removed_rate: Vec<f64>,
    present_rate: Vec<f64>,
    processor_time: Duration,
    injected: usize,
}

/// Measures at the `level`-th number of pods, and leaves so many waiting pods behind.
pub(crate) async fn measure(bench: &mut Bench, level: usize) -> anyhow::Result<()> {
    let (rounds, pods) = (bench.sizes.rounds, bench.sizes.pods[level]);
    let (one_by_one, side_by_side) = (bench.sizes.one_by_one[level], bench.sizes.side_by_side[level]);
    bench.fill(pods.saturating_sub(rounds * (one_by_one + side_by_side))).await?;
    bench.say("pods are created without and with the webhook, in turn");
    let (called, handled) = (api_servers_calls(bench).await?, our_answers(bench).await?);
    let mut samples = Samples::default();
    for _ in 0..rounds {
        bench.webhook.remove(&bench.creator).await?;
        without(bench, &mut samples, one_by_one, side_by_side).await?;
        bench.webhook.restore(&bench.creator).await?;
        with(bench, &mut samples, one_by_one, side_by_side).await?;
    }
    let (called, handled) =
        (called.mean_until(&api_servers_calls(bench).await?), handled.mean_until(&our_answers(bench).await?));
    bench.fill(pods).await?;
    keep(bench, &samples, pods);
    bench.figures.set(format!("webhook_call_mean_{pods}_seconds"), called);
    bench.figures.set(format!("webhook_answer_mean_{pods}_seconds"), handled);
    Ok(())
}

async fn without(
    bench: &Bench,
    samples: &mut Samples,
    one_by_one: usize,
    side_by_side: usize,
) -> anyhow::Result<()> {
    for _ in 0..one_by_one {
        samples.removed.push(bench.creator.create(Kind::Annotated, OTHERS).await?.took);
        samples.ready_made.push(bench.creator.create(Kind::ReadyMade, OTHERS).await?.took);
    }
    let start = Instant::now();
    let all = (0..side_by_side).map(|_| bench.creator.create(Kind::Annotated, OTHERS));
    let created: Vec<Created> = stream::iter(all).buffer_unordered(HANDS).try_collect().await?;
    samples.removed_rate.push(rate(created.len(), start));
    Ok(())
}

async fn with(
    bench: &mut Bench,
    samples: &mut Samples,
    one_by_one: usize,
    side_by_side: usize,
) -> anyhow::Result<()> {
    let before = processor_time(bench.pid()?)?;
    for _ in 0..one_by_one {
        let created = bench.creator.create(Kind::Annotated, WAITING).await?;
        samples.present.push(created.took);
        bench.keep([created]);
        samples.unannotated.push(bench.creator.create(Kind::Unannotated, OTHERS).await?.took);
    }
    let start = Instant::now();
    let created = create(&bench.creator, side_by_side, HANDS).await?;
    samples.present_rate.push(rate(created.len(), start));
    bench.keep(created);
    samples.processor_time += processor_time(bench.pid()?)?.saturating_sub(before);
    samples.injected += one_by_one + side_by_side;
    Ok(())
}

#[expect(clippy::cast_precision_loss)]
fn rate(count: usize, start: Instant) -> f64 {
    count as f64 / start.elapsed().as_secs_f64()
}

#[expect(clippy::cast_precision_loss)]
fn keep(bench: &mut Bench, samples: &Samples, pods: usize) {
    let figures = &mut bench.figures;
    let kinds = [
        ("removed", &samples.removed),
        ("ready_made", &samples.ready_made),
        ("present", &samples.present),
        ("unannotated", &samples.unannotated),
    ];
    for (name, latencies) in kinds {
        figures.set(format!("webhook_{name}_p50_{pods}_seconds"), latencies.quantile(0.5));
        figures.set(format!("webhook_{name}_p99_{pods}_seconds"), latencies.quantile(0.99));
    }
    let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
    figures.set(format!("webhook_removed_{pods}_rate"), mean(&samples.removed_rate));
    figures.set(format!("webhook_present_{pods}_rate"), mean(&samples.present_rate));
    let each = samples.processor_time.as_secs_f64() / samples.injected as f64;
    figures.set(format!("injection_cpu_{pods}_seconds"), each);
}

/// Sum and count of a histogram.
struct Total {
    sum: f64,
    count: f64,
}

impl Total {
    /// All samples of family `name` whose labels hold `label`.
    fn read(metrics: &str, name: &str, label: &str) -> Self {
        let total = |suffix: &str| {
            let name = format!("{name}_{suffix}");
            let lines = metrics.lines().filter(|line| line.starts_with(&name) && line.contains(label));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        Self { sum: total("sum"), count: total("count") }
    }

    fn mean_until(&self, later: &Self) -> f64 {
        (later.sum - self.sum) / (later.count - self.count)
    }
}

/// The webhook's calls as the API server takes their time, patch included.
async fn api_servers_calls(bench: &Bench) -> anyhow::Result<Total> {
    let request = axum::http::Request::get("/metrics").body(Vec::new())?;
    let metrics = bench.client.request_text(request).await?;
    Ok(Total::read(&metrics, "apiserver_admission_webhook_admission_duration_seconds", "kube-booster.io"))
}

async fn our_answers(bench: &Bench) -> anyhow::Result<Total> {
    let metrics = bench.control_plane.metrics().await?;
    Ok(Total::read(&metrics, "kube_booster_webhook_request_duration_seconds", ""))
}
