//! What the control plane takes while nothing happens.

use tests::usage::{forget_peak, memory, processor_time};
use tokio::time::sleep;

use super::bench::Bench;

/// Memory and processor time of the idle control plane, with so many waiting pods as there are.
#[expect(clippy::cast_precision_loss)]
pub(crate) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let (pid, pods) = (bench.pid()?, bench.pods.len());
    let before = processor_time(pid)?;
    sleep(bench.sizes.idle).await;
    let used = processor_time(pid)?.saturating_sub(before);
    let memory = memory(pid)?;
    let figures = &mut bench.figures;
    figures.set(format!("idle_{pods}_cores"), used.as_secs_f64() / bench.sizes.idle.as_secs_f64());
    figures.set(format!("rss_{pods}_bytes"), memory.resident as f64);
    figures.set(format!("rss_anonymous_{pods}_bytes"), memory.anonymous as f64);
    bench.say(&format!(
        "{pods} pods wait; the control plane holds {}",
        bench.figures.text(&format!("rss_{pods}_bytes"))
    ));
    Ok(())
}

/// The same after a restart, which lists all pods at once.
#[expect(clippy::cast_precision_loss)]
pub(crate) async fn after_restart(bench: &mut Bench) -> anyhow::Result<()> {
    let pods = bench.pods.len();
    bench.control_plane.kill();
    bench.control_plane.start().await?;
    sleep(bench.sizes.idle).await;
    let memory = memory(bench.pid()?)?;
    bench.figures.set(format!("rss_restarted_{pods}_bytes"), memory.resident as f64);
    bench.figures.set(format!("rss_restarted_peak_{pods}_bytes"), memory.peak as f64);
    forget_peak(bench.pid()?)
}
