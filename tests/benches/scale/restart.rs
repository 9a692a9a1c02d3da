//! Pods are created while two control planes are restarted one after the other behind a Service.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tests::{forwarder::Forwarder, shipped::ControlPlane};
use tokio_util::sync::CancellationToken;

use super::{
    bench::Bench,
    creation::{Created, Creator, Kind, OTHERS},
    latencies::Latencies,
    webhook::call_at,
};

/// Pods that are created side by side.
const HANDS: usize = 4;
/// By then the Service knows a replica that has become ready.
const KNOWN: Duration = Duration::from_secs(2);

/// Measures how many pods were missed.
#[expect(clippy::cast_precision_loss)]
pub(crate) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    bench.say("two control planes are restarted while pods are created");
    bench.control_plane.kill();
    let mut replicas = [
        ControlPlane::new(&bench.api, "replica-1", &[]).await?,
        ControlPlane::new(&bench.api, "replica-2", &[]).await?,
    ];
    let ports: Vec<_> = replicas.iter().map(ControlPlane::ports).collect();
    let service = Forwarder::to_webhooks(&ports).await?;
    call_at(&bench.client, service.port()).await?;
    for replica in &mut replicas {
        replica.start().await?;
    }
    tokio::time::sleep(KNOWN).await;
    bench.webhook.heard(&bench.creator, true).await?;
    let ended = CancellationToken::new();
    let (created, restarted) = tokio::join!(create_until(&bench.creator, &ended), async {
        let restarted = restart(&mut replicas).await;
        ended.cancel();
        restarted
    });
    restarted?;
    let created = created?;
    let missed = created.iter().filter(|created| !created.is_injected).count();
    let latencies: Latencies = created.iter().map(|created| created.took).collect();
    bench.figures.set("rolling_restart_pods", created.len() as f64);
    bench.figures.set("rolling_restart_missed", missed as f64);
    bench.figures.set("rolling_restart_p99_seconds", latencies.quantile(0.99));
    Ok(())
}

async fn restart(replicas: &mut [ControlPlane]) -> anyhow::Result<()> {
    for replica in replicas {
        replica.terminate().await?;
        replica.start().await?;
        tokio::time::sleep(KNOWN).await;
    }
    Ok(())
}

async fn create_until(creator: &Creator, ended: &CancellationToken) -> anyhow::Result<Vec<Created>> {
    let all = std::iter::repeat_with(|| creator.create(Kind::Annotated, OTHERS));
    let all = stream::iter(all).take_until(ended.cancelled());
    all.buffer_unordered(HANDS).try_collect().await
}
