//! What a warm-up takes of the machine, and what is left of it afterwards.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, ensure};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use tests::usage::{mapped, memory, threads};
use tokio::time::sleep;

use super::{
    Bench,
    app::App,
    generators::{Load, attack},
    sidecar::{Sidecar, plan},
};

const RATE: u32 = 1_000;
/// Between looks at a process that does not tell when it is about to end.
const LOOK: Duration = Duration::from_millis(20);

/// Sums of all runs.
#[derive(Debug, Default)]
struct Sums {
    peak: f64,
    private: f64,
    parked: f64,
    threads: f64,
    cpu: f64,
}

/// Measures sidecar and vegeta in turn; of memory the most of all runs counts, of time the mean.
pub(crate) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    bench.figures.set("binary_bytes", size(&bench.generators.sidecar)?);
    let runs = bench.sizes.costs;
    let (mut ours, mut theirs) = (Sums::default(), Sums::default());
    for run in 0..runs {
        eprintln!("what it costs, run {} of {runs}", run + 1);
        warm(bench, &mut ours).await?;
        if let Some(vegeta) = bench.generators.vegeta.clone() {
            attacked(bench, &vegeta, &mut theirs).await?;
        }
    }
    #[expect(clippy::cast_precision_loss)]
    let per_1000 = 1_000.0 / (f64::from(bench.sizes.costly_requests) * runs as f64);
    let figures = &mut bench.figures;
    figures.set("peak_rss_bytes", ours.peak);
    figures.set("private_bytes", ours.private);
    figures.set("parked_rss_bytes", ours.parked);
    figures.set("threads", ours.threads);
    figures.set("cpu_per_1000_requests_seconds", ours.cpu * per_1000);
    if let Some(vegeta) = &bench.generators.vegeta {
        figures.set("vegeta_binary_bytes", size(vegeta)?);
        figures.set("vegeta_peak_rss_bytes", theirs.peak);
        figures.set("vegeta_private_bytes", theirs.private);
        figures.set("vegeta_threads", theirs.threads);
        figures.set("vegeta_cpu_per_1000_requests_seconds", theirs.cpu * per_1000);
    }
    Ok(())
}

/// The size of a file, in bytes.
#[expect(clippy::cast_precision_loss)]
pub(crate) fn size(file: &Path) -> anyhow::Result<f64> {
    let file = fs::metadata(file).with_context(|| format!("{} is not there", file.display()))?;
    Ok(file.len() as f64)
}

/// A warm-up with its report, start and end included.
#[expect(clippy::cast_precision_loss)]
async fn warm(bench: &mut Bench, sums: &mut Sums) -> anyhow::Result<()> {
    let (app, load) = app(bench).await?;
    let before = spent()?;
    let plan = plan(load.port, load.count, load.duration());
    let sidecar = Sidecar::start(&bench.generators.sidecar, &plan, &bench.desk)?;
    let received = bench.desk.receive().await?;
    ensure!(received.report.failed_count == 0, "requests failed: {}", received.report.message);
    sidecar.parked().await?;
    let parked = mapped(sidecar.pid()?)?;
    let (status, _) = sidecar.terminate().await?;
    ensure!(status.success(), "the sidecar ended with {status}");
    sums.cpu += spent()?.saturating_sub(before).as_secs_f64();
    sums.peak = sums.peak.max(received.held.peak as f64);
    sums.private = sums.private.max(received.held.mapped.anonymous as f64);
    sums.threads = sums.threads.max(received.held.threads as f64);
    sums.parked = sums.parked.max(parked.resident as f64);
    app.finish().await.map(drop)
}

#[expect(clippy::cast_precision_loss)]
async fn attacked(bench: &Bench, vegeta: &Path, sums: &mut Sums) -> anyhow::Result<()> {
    let (app, load) = app(bench).await?;
    let before = spent()?;
    let folder = tempfile::tempdir()?;
    let mut attack = attack(vegeta, load, folder.path())?.spawn()?;
    let pid = attack.id().context("it runs")?;
    while attack.try_wait()?.is_none() {
        // It may be gone at any moment.
        if let (Ok(memory), Ok(mapped), Ok(threads)) = (memory(pid), mapped(pid), threads(pid)) {
            sums.peak = sums.peak.max(memory.peak as f64);
            sums.private = sums.private.max(mapped.anonymous as f64);
            sums.threads = sums.threads.max(threads as f64);
        }
        sleep(LOOK).await;
    }
    sums.cpu += spent()?.saturating_sub(before).as_secs_f64();
    app.finish().await.map(drop)
}

async fn app(bench: &Bench) -> anyhow::Result<(App, Load)> {
    let app = App::start(Duration::ZERO).await?;
    let load = Load { port: app.port, rate: RATE, count: bench.sizes.costly_requests };
    Ok((app, load))
}

/// Processor time of all processes that this one has started and seen end.
fn spent() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.try_into()?))
}
