//! How long a report takes to open its gate, at rates that rise until the API server does not keep up.

use std::time::Duration;

use anyhow::ensure;
use tests::usage::processor_time;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    bench::{Bench, WaitingPod},
    latencies::Latencies,
    sidecar::{Contact, Taken},
};

/// Reports a second of a quiet cluster, and of one that is being rolled out.
const RATES: [usize; 2] = [10, 100];
/// The next rate that is tried, as a share of the last in percent.
const STEP: usize = 125;
/// A rate is sustained where 99 of 100 reports are stored within this, and none had to be brought again.
const SUSTAINED: Duration = Duration::from_secs(1);
/// From the begin of a warm-up to its report.
const WARMING: Duration = Duration::from_secs(1);

/// How it went at one rate.
struct Step {
    latencies: Latencies,
    /// Reports that were stored at the first try.
    at_once: usize,
    /// All of them.
    count: usize,
    /// The control plane's.
    processor_time: Duration,
}

impl Step {
    fn is_sustained(&self) -> bool {
        self.at_once == self.count && self.latencies.quantile(0.99) <= SUSTAINED.as_secs_f64()
    }
}

/// Measures with as many waiting pods as there are.
pub(crate) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    for rate in RATES {
        let step = at(bench, rate).await?;
        keep(bench, &rate.to_string(), &step);
    }
    let mut rate = RATES[1];
    let mut highest = None;
    while rate <= bench.pods.len() {
        let step = at(bench, rate).await?;
        if !step.is_sustained() {
            break;
        }
        highest = Some((rate, step));
        rate = rate * STEP / 100;
    }
    if let Some((rate, step)) = highest {
        keep(bench, "highest", &step);
        #[expect(clippy::cast_precision_loss)]
        bench.figures.set(format!("reports_highest_{}_rate", bench.pods.len()), rate as f64);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss)]
fn keep(bench: &mut Bench, rate: &str, step: &Step) {
    let (pods, figures) = (bench.pods.len(), &mut bench.figures);
    figures.set(format!("report_to_true_{rate}_p50_{pods}_seconds"), step.latencies.quantile(0.5));
    figures.set(format!("report_to_true_{rate}_p99_{pods}_seconds"), step.latencies.quantile(0.99));
    let each = step.processor_time.as_secs_f64() / step.count as f64;
    figures.set(format!("report_cpu_{rate}_{pods}_seconds"), each);
}

/// Begins and reports come at `rate`, whatever becomes of the earlier ones; their gates are closed again afterwards.
async fn at(bench: &Bench, rate: usize) -> anyhow::Result<Step> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let count = ((rate as f64 * bench.sizes.reporting.as_secs_f64()) as usize).clamp(1, bench.pods.len());
    let before = processor_time(bench.pid()?)?;
    let start = Instant::now() + Duration::from_millis(50);
    let mut sidecars = JoinSet::new();
    for (number, pod) in bench.pods[..count].iter().enumerate() {
        #[expect(clippy::cast_precision_loss)]
        let begin = start + Duration::from_secs_f64(number as f64 / rate as f64);
        sidecars.spawn(live(bench.contact.clone(), pod.clone(), begin));
    }
    let taken: Vec<anyhow::Result<Taken>> = sidecars.join_all().await;
    let taken: Vec<Taken> = taken.into_iter().collect::<anyhow::Result<_>>()?;
    let processor_time = processor_time(bench.pid()?)?.saturating_sub(before);
    ensure!(taken.iter().all(|taken| taken.recorded), "a report of a waiting pod was not recorded");
    let step = Step {
        latencies: taken.iter().map(|taken| taken.latency).collect(),
        at_once: taken.iter().filter(|taken| taken.tries == 1).count(),
        count,
        processor_time,
    };
    bench.say(&format!(
        "{rate} reports/s: p50 {:.1} ms, p99 {:.1} ms, {} of {count} stored at the first try",
        1e3 * step.latencies.quantile(0.5),
        1e3 * step.latencies.quantile(0.99),
        step.at_once,
    ));
    bench.close_gates(count).await?;
    Ok(step)
}

/// The sidecar of one pod: it begins, warms and reports, on two connections.
async fn live(contact: Contact, pod: WaitingPod, begin: Instant) -> anyhow::Result<Taken> {
    sleep_until(begin).await;
    // Nobody waits for the answer: a real one starts without it, too.
    let _ = contact.begin(&pod.token).await;
    let due = begin + WARMING;
    sleep_until(due).await;
    let taken = contact.report(&pod.token, due).await;
    taken.ok_or_else(|| anyhow::anyhow!("the report of {} was lost", pod.name))
}
