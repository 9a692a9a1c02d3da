//! While somebody floods the webhook, the API server goes on being served and memory stays bounded.

mod attacks;
mod well_behaved;

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::ensure;
use futures::future::LocalBoxFuture;
use libtest_mimic::Trial;
use tests::{
    control_plane::{World, http_get},
    patience::SOON,
    trials::alone,
    webhook::Caller,
};

/// How long each attack lasts.
const ATTACK: Duration = Duration::from_secs(3);
/// What the manifests give the control plane, in MiB.
const MEMORY_LIMIT: u64 = 256;

pub(crate) fn trials() -> Vec<Trial> {
    vec![alone(
        "whatever is thrown at the webhook, reviews are answered in time and within the memory limit",
        8 * SOON,
        all_attacks,
    )]
}

/// Goes on until it is dropped.
type Attack = for<'a> fn(&'a Target) -> LocalBoxFuture<'a, anyhow::Result<()>>;

/// Whom to attack.
#[derive(Debug, Clone)]
struct Target {
    attacker: Caller,
    /// Ports beside the webhook's.
    others: [u16; 2],
}

async fn all_attacks() -> anyhow::Result<()> {
    let world = Arc::new(World::start(&[]).await?);
    let target = Target {
        attacker: Caller::new(&world, Ipv4Addr::new(127, 0, 0, 66)).await?,
        others: [world.ports.health, world.ports.report],
    };
    println!("{:44} {}  memory in MiB: before, at most, after", "", well_behaved::COLUMNS);
    let mut broken = Vec::new();
    for (name, attack) in attacks::ALL {
        if let Err(error) = withstand(&world, &target, name, attack).await {
            broken.push(format!("{name}: {error:#}"));
        }
    }
    println!("refusals:\n{}", refusals(&world.metrics().await?));
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

async fn withstand(world: &World, target: &Target, name: &str, attack: Attack) -> anyhow::Result<()> {
    let (before, _) = world.memory()?;
    let attacking = launch(target.clone(), attack);
    let served = well_behaved::calls(world, ATTACK).await?;
    let health = http_get(world.ports.health, "/readyz").await;
    tokio::task::spawn_blocking(move || attacking.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the attacker panicked"))?;
    let (after, most) = world.memory()?;
    println!("{name:44} {served}  {before:4} {most:4} {after:4}");
    ensure!(served.failed.is_empty(), "{:?}", served.failed);
    ensure!(most < MEMORY_LIMIT, "{most} MiB");
    ensure!(health?.ends_with("ok\n"));
    Ok(())
}

/// Attacks from a thread of its own, so that the well-behaved are not slowed down by the attacker's own work.
fn launch(target: Target, attack: Attack) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be made").block_on(async {
            // An attacker that is thrown out comes back.
            let again_and_again = async {
                loop {
                    let _ = attack(&target).await;
                    tokio::task::yield_now().await;
                }
            };
            let _ = tokio::time::timeout(ATTACK, again_and_again).await;
        });
    })
}

fn refusals(metrics: &str) -> String {
    let names = ["connections_closed_total", "webhook_refused_total", "webhook_shed_total"];
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines.filter(|line| names.iter().any(|name| line.contains(name))).collect::<Vec<_>>().join("\n")
}
