//! What becomes of the figures when the app stops for a while: whoever waits for one answer before the next request
//! notices next to nothing.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{
    Bench,
    app::App,
    generators::{Load, attack, attack_p99, done},
};

const RATE: u32 = 100;

/// Stops the app in the middle of a warm-up, and of vegeta's attack.
pub(crate) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let stall = bench.sizes.stall;
    eprintln!("an app that stops for {stall:?}");
    let (app, load) = app(bench).await?;
    let (received, stopped) =
        tokio::join!(bench.generators.warm(load, &mut bench.desk), stop(&app, load, stall));
    stopped?;
    let p99 = received?.report.latency.map_or(f64::NAN, |latency| latency.p99.as_secs_f64());
    bench.figures.set("stall_p99_seconds", p99);

    let Some(vegeta) = bench.generators.vegeta.clone() else { return Ok(()) };
    let (app, load) = self::app(bench).await?;
    let folder = tempfile::tempdir()?;
    let attack = attack(&vegeta, load, folder.path())?;
    let (sent, stopped) = tokio::join!(done(attack), stop(&app, load, stall));
    stopped?;
    sent?;
    bench.figures.set("vegeta_stall_p99_seconds", attack_p99(&vegeta, folder.path()).await?);
    Ok(())
}

async fn app(bench: &Bench) -> anyhow::Result<(App, Load)> {
    let app = App::start(Duration::ZERO).await?;
    let load = Load { port: app.port, rate: RATE, count: bench.sizes.stalled_requests };
    Ok((app, load))
}

async fn stop(app: &App, load: Load, stall: Duration) -> anyhow::Result<()> {
    sleep(load.duration() / 2).await;
    app.signal(Signal::SIGSTOP)?;
    sleep(stall).await;
    app.signal(Signal::SIGCONT)
}
