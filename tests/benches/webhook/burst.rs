//! What is left resident after a burst of large reviews, with memory given back and without.

use std::time::Duration;

use tests::{
    measure::figures::Figures,
    usage::{forget_peak, memory},
};
use tokio::time::sleep;

use super::{
    driver::Driver,
    reviews,
    server::{Handler, Server, Setting},
    sizes::Sizes,
};

/// An object may have 1.5 MiB in etcd; eight of these at once are within what bodies may take together.
const LARGE: usize = 1_400_000;
const CONNECTIONS: usize = 8;
/// Below what a process holds after the burst.
const THRESHOLD: u64 = 12 << 20;
/// Longer than memory is looked at, twice.
const SETTLED: Duration = Duration::from_secs(12);

/// Memory before, at most, and after.
#[expect(clippy::cast_precision_loss)]
pub(crate) async fn measure(figures: &mut Figures, sizes: Sizes) -> anyhow::Result<()> {
    let mut servers = Vec::new();
    for (name, gc_threshold) in [("kept", 0), ("purged", THRESHOLD)] {
        let server = Server::start(Setting { handler: Handler::Tracked, slots: 2, gc_threshold }).await?;
        servers.push((name, server));
    }
    let request: &'static [u8] = reviews::of_size(LARGE, true).leak();
    for (name, server) in &servers {
        figures.set(format!("burst_{name}_before_bytes"), memory(server.pid)?.resident as f64);
        forget_peak(server.pid)?;
        Driver::connect(&server.caller, CONNECTIONS).await?.send(request, sizes.burst).await?;
    }
    if sizes.settles {
        sleep(SETTLED).await;
    }
    for (name, server) in &servers {
        let memory = memory(server.pid)?;
        figures.set(format!("burst_{name}_bytes"), memory.resident as f64);
        figures.set(format!("burst_{name}_peak_bytes"), memory.peak as f64);
    }
    Ok(())
}
