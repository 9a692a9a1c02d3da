//! How soon after its start, and after the app is there, the sidecar sends.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::{
    Bench,
    app::App,
    latencies::Latencies,
    sidecar::{Sidecar, plan},
};

/// Starts the sidecar again and again, beside apps that take up to half a second to be ready.
pub(crate) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let [mut probed, mut answered, mut ready, mut ended] = <[Latencies; 4]>::default();
    for start in 0..bench.sizes.starts {
        if start % 20 == 0 {
            eprintln!("start {} of {}", start + 1, bench.sizes.starts);
        }
        let app = App::start(Duration::from_millis(u64::from(30 + start * 37 % 470))).await?;
        let plan = plan(app.port, 2, Duration::from_millis(20));
        let sidecar = Sidecar::start(&bench.generators.sidecar, &plan, &bench.desk)?;
        let started = sidecar.started;
        bench.desk.receive().await?;
        sidecar.parked().await?;
        let (status, after) = sidecar.terminate().await?;
        ensure!(status.success(), "the sidecar ended with {status}");
        let notes = app.finish().await?;
        let first = *notes.requests.first().context("a first request")?;
        let until = |from: u64, to: u64| Duration::from_nanos(to.saturating_sub(from));
        probed.push(until(started, *notes.accepted.first().context("a first connection")?));
        answered.push(until(notes.answered.context("a good answer")?, first));
        ready.push(until(notes.ready.context("an app that is ready")?, first));
        ended.push(after);
    }
    for (name, latencies) in [
        ("first_probe", &probed),
        ("good_answer_to_request", &answered),
        ("ready_to_request", &ready),
        ("sigterm_to_exit", &ended),
    ] {
        set(bench, name, latencies);
    }
    Ok(())
}

fn set(bench: &mut Bench, name: &str, latencies: &Latencies) {
    for (quantile, share) in [("p50", 0.5), ("p99", 0.99)] {
        bench.figures.set(format!("{name}_{quantile}_seconds"), latencies.quantile(share));
    }
}
